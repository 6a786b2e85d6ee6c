"""Codes and names. Truth: ISO 3166-1 as pycountry ships it; hand-picked spellings of providers."""

from __future__ import annotations

import io

import pandas as pd
import pycountry
import pytest

from mlcoop.countries import iso2_of, iso3_of, name_of, resolve, to_iso3
from mlcoop.errors import DataError


def test_every_iso_code_and_name_is_understood() -> None:
    for country in pycountry.countries:
        names = [country.alpha_2, country.alpha_3, country.alpha_3.lower(), country.name]
        names += [getattr(country, kind, country.name) for kind in ("official_name", "common_name")]
        for name in names:
            assert to_iso3(name, "test") == country.alpha_3, name


def test_display_names_are_distinct_and_read_back() -> None:
    codes = [c.alpha_3 for c in pycountry.countries] + ["XKX"]
    names = [name_of(code) for code in codes]
    assert len(set(names)) == len(codes)
    assert [to_iso3(name, "test") for name in names] == codes
    assert [iso3_of(iso2_of(code)) for code in codes] == codes


@pytest.mark.parametrize(
    ("spelling", "iso3"),
    [
        # World Bank
        ("Korea, Rep.", "KOR"),
        ("Korea, Dem. People's Rep.", "PRK"),
        ("Egypt, Arab Rep.", "EGY"),
        ("Congo, Dem. Rep.", "COD"),
        ("Congo, Rep.", "COG"),
        ("Gambia, The", "GMB"),
        ("Hong Kong SAR, China", "HKG"),
        ("Macao SAR, China", "MAC"),
        ("Venezuela, RB", "VEN"),
        ("Yemen, Rep.", "YEM"),
        ("Slovak Republic", "SVK"),
        ("Kyrgyz Republic", "KGZ"),
        ("Lao PDR", "LAO"),
        ("West Bank and Gaza", "PSE"),
        ("Turkiye", "TUR"),
        ("Somalia, Fed. Rep.", "SOM"),
        ("Puerto Rico (US)", "PRI"),
        # United Nations, Standard country or area codes (M49)
        ("Republic of Korea", "KOR"),
        ("Democratic People's Republic of Korea", "PRK"),
        ("China, Hong Kong Special Administrative Region", "HKG"),
        ("China, Macao Special Administrative Region", "MAC"),
        ("Saint Helena", "SHN"),
        ("Svalbard and Jan Mayen Islands", "SJM"),
        ("Wallis and Futuna Islands", "WLF"),
        # Web of Science, Scopus
        ("PEOPLES R CHINA", "CHN"),
        ("U ARAB EMIRATES", "ARE"),
        ("Viet Nam", "VNM"),
        ("Russian Federation", "RUS"),
        ("Bosnia & Herzegovina", "BIH"),
        # everyday and old names
        ("South Korea", "KOR"),
        ("Ivory Coast", "CIV"),
        ("côte d’ivoire", "CIV"),
        ("Turkey", "TUR"),
        ("Republic of Turkey", "TUR"),
        ("Republic of Ireland", "IRL"),
        ("U.K.", "GBR"),
        ("U.S.", "USA"),
        ("PRC", "CHN"),
        ("Czech Republic", "CZE"),
        ("Swaziland", "SWZ"),
        ("Burma", "MMR"),
        ("U.S.A.", "USA"),
        ("U.S.", "USA"),
        ("UK", "GBR"),
        ("Kosovo", "XKX"),
        ("XK", "XKX"),
        ("Taiwan", "TWN"),
        ("  Iran ", "IRN"),
    ],
)
def test_usual_spellings(spelling: str, iso3: str) -> None:
    assert to_iso3(spelling, "test") == iso3


@pytest.mark.parametrize(
    ("spelling", "hint"),
    [
        ("Chna", "China"),
        ("Lybia", "Libya"),
        ("Untied States", "United States"),
        ("Korea", "South Korea"),
        ("England", "United Kingdom"),
        ("Soviet Union", "former state"),
        ("na", "in capitals"),
        ("XQZW", "no similar name"),
        ("Deutschland", 'mean "Germany"'),  # was: Netherlands
        ("Deutchland", 'mean "Germany"'),
        ("Österreich", 'mean "Austria"'),  # was: Costa Rica
        ("中国", 'mean "China"'),
        ("Atlantis", "no similar name"),  # was: Albania
        ("GER", "no similar name"),  # one letter off a code says nothing: GEO, NER or DEU
    ],
)
def test_the_unknown_and_the_ambiguous_are_refused_with_a_hint(spelling: str, hint: str) -> None:
    with pytest.raises(DataError, match=hint) as caught:
        to_iso3(spelling, "counts.csv, country_a")
    text = str(caught.value)
    assert text.startswith("counts.csv, country_a") and spelling in text and "\n" not in text


def test_namibia_survives_a_csv_reader_that_keeps_text_and_is_named_when_it_did_not() -> None:
    text = "country\nNA\nCN\n"
    kept = pd.read_csv(io.StringIO(text), keep_default_na=False)["country"]
    assert list(resolve(kept, "f.csv")) == ["NAM", "CHN"]
    lost = pd.read_csv(io.StringIO(text))["country"]
    with pytest.raises(DataError, match="Namibia"):
        resolve(lost, "f.csv")


def test_resolve_lists_every_name_that_is_not_understood() -> None:
    names = pd.Series(["China", "Chna", "Grmany", "Chna", "DE"], index=[5, 6, 7, 8, 9])
    with pytest.raises(DataError, match='"Chna".*"China".*"Grmany".*"Germany"') as caught:
        resolve(names, "f.csv, country_a")
    assert str(caught.value).count("Chna") == 1
    good = resolve(names[[5, 9]], "f.csv")
    assert good.to_dict() == {5: "CHN", 9: "DEU"}
    assert resolve(names[:0], "f.csv").empty
