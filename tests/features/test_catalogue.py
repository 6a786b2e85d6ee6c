"""Truths: treaties and maps that anyone can look up; what the catalogue promises of each entry."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlcoop import tables
from mlcoop.errors import ConfigError
from mlcoop.features.catalogue import (
    FACTORS,
    PAIR_INPUTS,
    select_factors,
    split_input,
)
from mlcoop.features.factor import DIMENSION_OF, DIMENSIONS, GROUPS
from mlcoop.schema import COUNTRY_VARIABLES


def yearly(name: str, a: str, b: str, years: list[int]) -> list[float]:
    """Return a factor without panel inputs for a pair in observed years."""
    a, b = sorted((a, b))
    table = pd.DataFrame({"country_a": a, "country_b": b, "year": years})
    return FACTORS[name].function(table).tolist()


@pytest.mark.parametrize("factor", FACTORS.values(), ids=lambda f: f.name)
def test_every_entry_is_complete(factor) -> None:
    assert factor.group in GROUPS
    assert factor.lag >= 1 and factor.carry >= 0 and factor.sign in (-1, 0, 1)
    assert re.search(r"doi:10\.\d{4,}/\S+|indicator|\.csv|World Bank", factor.reference)
    assert factor.definition.endswith(".") and len(factor.definition) > 30
    assert factor.label and factor.unit and factor.source
    for name in factor.inputs:
        assert split_input(name)[0] in (*COUNTRY_VARIABLES, *PAIR_INPUTS)


def test_every_group_has_four_factors_and_research_strength_is_apart_by_role() -> None:
    for group in GROUPS:
        members = [f for f in FACTORS.values() if f.group == group]
        assert len([f for f in members if f.default]) >= 4, group
    assert all(
        f.by_role
        for f in FACTORS.values()
        if f.group == "research_strength" and f.role == "country"
    )


def test_published_lags_are_kept() -> None:
    # UIS, NCSES, WIPO and BACI figures come out two years late and more; WDI, WGI and UN votes in
    # the following year.
    two = "rd_share researchers articles research_gap patents technology_gap bilateral_trade"
    one = "gdp wealth_gap size_gap internet exports governance governance_gap voice_gap un_distance"
    for names, least in ((two, 3), (one, 2)):
        for name in names.split():
            assert FACTORS[name].lag >= least


def test_selecting_by_name_group_and_exclusion() -> None:
    names = [f.name for f in select_factors(["proximity"], exclude=["border"])]
    assert names == ["distance", "time_difference", "rail_link"]
    assert "distance_capitals" in [f.name for f in select_factors("all")]
    assert "distance_capitals" not in [f.name for f in select_factors()]
    without = select_factors(exclude=["research_strength"])
    assert not [f for f in without if f.group == "research_strength"]


def test_all_unknown_names_are_reported_together() -> None:
    with pytest.raises(ConfigError) as error:
        select_factors(["distanse", "gdp", "voice_gapp"], where="factors")
    assert 'factors[0]: unknown factor or group "distanse". Did you mean "distance"?' in str(
        error.value
    )
    assert 'factors[2]: unknown factor or group "voice_gapp"' in str(error.value)
    with pytest.raises(ConfigError, match="no factor is left"):
        select_factors(["border"], exclude=["border"])


def test_trade_agreements_by_year() -> None:
    # China and Korea have met in the Asia-Pacific Trade Agreement since China's accession of 2002.
    assert yearly("trade_agreement", "CHN", "KOR", [2001, 2002]) == [0, 1]
    # China and Switzerland: in force July 2014, nothing before.
    assert yearly("trade_agreement", "CHN", "CHE", [2013, 2014]) == [0, 1]
    # A bloc as a party stands for its members of the year: EU-Korea 2011, Croatia joined 2013.
    assert yearly("trade_agreement", "HRV", "KOR", [2011, 2012, 2013]) == [0, 0, 1]
    # The United Kingdom and Japan: the EU's of 2019, none in 2020's table year, own from 2021.
    assert yearly("trade_agreement", "GBR", "JPN", [2018, 2019, 2021]) == [0, 1, 1]


def test_blocs_in_common() -> None:
    # Poland and Hungary: CEFTA until 2003, then EU and the European Economic Area.
    assert yearly("economic_blocs", "POL", "HUN", [1992, 1993, 2003, 2004]) == [0, 1, 1, 2]
    # China and Pakistan meet in the SCO from 2017; both are in no other forum of the table.
    assert yearly("forums", "CHN", "PAK", [2016, 2017]) == [0, 1]
    assert yearly("eu_framework", "TUR", "DEU", [2002, 2003]) == [0, 1]
    # Switzerland was not associated to Horizon Europe from 2021 until 2025.
    assert yearly("eu_framework", "CHE", "DEU", [2020, 2021, 2024, 2025]) == [1, 0, 0, 1]


def test_belt_and_road_counts_years_only_with_china() -> None:
    # Italy signed in March 2019: 1 in 2019, 2 in 2020, and withdrew in 2023.
    logs = yearly("belt_and_road", "CHN", "ITA", [2018, 2019, 2020, 2022, 2023])
    assert logs == pytest.approx([0, np.log(2), np.log(3), np.log(5), 0])
    assert yearly("belt_and_road", "ITA", "GRC", [2020]) == [0]
    assert yearly("belt_and_road", "CHN", "IND", [2020]) == [0]


def test_rail_link() -> None:
    # Boten-Vientiane railway, opened December 2021; the line to Mongolia dates from 1956.
    assert yearly("rail_link", "CHN", "LAO", [2020, 2021, 2022]) == pytest.approx(
        [0, np.log(2), np.log(3)]
    )
    assert yearly("rail_link", "CHN", "MNG", [2001]) == pytest.approx([np.log(26)])
    # The border railway to Kazakhstan (1990) counts, not the container trains of 2011.
    assert yearly("rail_link", "CHN", "KAZ", [2001]) == pytest.approx([np.log(13)])
    assert yearly("rail_link", "DEU", "POL", [2020]) == [0]


def test_strategic_partnership() -> None:
    # China and Uzbekistan: declaration on strategic partnership, June 2012 (Xinhua, 23 June 2016).
    assert yearly("strategic_partnership", "CHN", "UZB", [2011, 2012, 2013]) == pytest.approx(
        [0, np.log(2), np.log(3)]
    )
    assert yearly("strategic_partnership", "UZB", "RUS", [2020]) == [0]


def test_language_and_time() -> None:
    assert yearly("spoken_language", "DEU", "AUT", [2010])[0] > 0.8
    assert yearly("spoken_language", "CHN", "FRA", [2010])[0] < 0.05
    # Beijing 116.4 E, Moscow 37.6 E: 78.8 degrees are 5.25 hours.
    assert yearly("time_difference", "CHN", "RUS", [2010]) == pytest.approx([5.25], abs=0.02)
    # Fiji 178 E and Samoa 172 W lie 10 degrees apart across the date line.
    assert yearly("time_difference", "FJI", "WSM", [2010]) == pytest.approx([0.66], abs=0.05)


def test_un_voting_change_by_hand() -> None:
    table = pd.DataFrame(
        {
            "un_ideal_point_a": [1.0],
            "un_ideal_point_b": [-0.5],  # now 1.5 apart
            "un_ideal_point[-3]_a": [0.5],
            "un_ideal_point[-3]_b": [-1.5],  # then 2.0 apart
        }
    )
    assert FACTORS["un_distance_change"].function(table).tolist() == [-0.5]
    other = {"_a": "_b", "_b": "_a"}  # from the other end it is the same
    turned = table.rename(columns={c: c[:-2] + other[c[-2:]] for c in table})
    assert FACTORS["un_distance_change"].function(turned).tolist() == [-0.5]


def test_research_strength_by_hand() -> None:
    table = pd.DataFrame(
        {
            "international_works": [1000.0],
            "works": [100.0],
            "population": [5e6],
            "articles": [449.0],
            "rd_pct_gdp": [2.0],
            "gdp_usd2015": [5e11],
        }
    )
    # 900 works without the pair; 900 / 5 million = 180 per million; 901 / 450 per article.
    for name, expected in (
        ("works_with_others", np.log(901)),
        ("works_with_others_per_head", np.log(181)),
        ("openness", np.log(901 / 450)),
        ("rd_spending", np.log(1e10)),
    ):
        assert FACTORS[name].function(table).iloc[0] == pytest.approx(expected)
    # A pair's works above its country's total, as two sources may have them: none with others.
    own = table.assign(works=1001.0)
    assert FACTORS["works_with_others"].function(own).iloc[0] == 0
    none = table.assign(articles=0.0)  # a true zero
    assert FACTORS["openness"].function(none).iloc[0] == pytest.approx(np.log(901))


def both(inputs: dict[str, tuple[float, float]]) -> dict[str, float]:
    return {
        f"{name}_{end}": v
        for name, ends in inputs.items()
        for end, v in zip("ab", ends, strict=True)
    }


NAN = float("nan")
LEVELS = [
    *("trade_openness", "exports", "urban", "migrants", "hightech_exports", "internet"),
    *("renewable_electricity", "rd_share", "tertiary_enrolment", "political_stability"),
    *("voice_accountability", "control_of_corruption", "rule_of_law", "regulatory_quality"),
]
QUALITY_OF_TWO = {
    "control_of_corruption": (1.0, -1.0),
    "government_effectiveness": (2.0, NAN),  # what is known of it
    "regulatory_quality": (0.0, -0.5),
    "rule_of_law": (1.0, 0.0),
}
BY_HAND = [
    ("gdp", {"gdp_usd2015": 1e12}, np.log(1e12)),
    ("gdp_per_head", {"gdp_per_head_usd2015": 2e4}, np.log(2e4)),
    ("population", {"population": 5e6}, np.log(5e6)),
    ("tourist_arrivals", {"tourist_arrivals": 0.0}, 0.0),  # log(1 + x): none is a true value
    ("articles", {"articles": 0.0}, 0.0),
    ("articles", {"articles": 449.0}, np.log(450)),
    ("articles_per_head", {"articles": 0.0, "population": 5e6}, 0.0),
    ("articles_per_head", {"articles": 450.0, "population": 5e6}, np.log(91)),
    ("researcher_density", {"researchers_per_million": 2000.0}, np.log(2000)),
    ("researchers", {"researchers_per_million": 2000.0, "population": 5e6}, np.log(10_000)),
    ("patents", {"patents_resident": 0.0, "population": 5e6}, 0.0),
    ("patents", {"patents_resident": 495.0, "population": 5e6}, np.log(100)),
    ("patents_total", {"patents_resident": 99.0}, np.log(100)),
    ("royalties_paid", {"royalties_paid_usd": 0.0}, 0.0),
    ("royalties_received", {"royalties_received_usd": 999.0}, np.log(1000)),
    ("foreign_investment", {"fdi_pct_gdp": -0.75}, -np.log(2)),  # sinh(ln 2) = (2 - 1/2) / 2
    ("governance", {name: ends[0] for name, ends in QUALITY_OF_TWO.items()}, 1.0),
    *((name, {i: 7.5}, 7.5) for name in LEVELS for i in FACTORS[name].inputs),
    ("gdp_product", both({"gdp_usd2015": (1e3, 1e4)}), np.log(1e7)),
    ("size_gap", both({"gdp_usd2015": (1e3, 1e4)}), np.log(10)),
    ("wealth_gap", both({"gdp_per_head_usd2015": (2e4, 5e3)}), np.log(4)),
    ("research_gap", both({"articles": (10.0, 90.0)}), np.log(9)),
    ("bilateral_trade", {"trade_kusd": 0.0}, 0.0),
    ("un_distance", both({"un_ideal_point": (-0.5, 1.0)}), 1.5),
    ("voice_gap", both({"voice_accountability": (-0.5, 1.0)}), 1.5),
    ("governance_gap", both(QUALITY_OF_TWO), 1.5),  # means 1 and -0.5
    (
        "technology_gap",
        both({"patents_resident": (0.0, 495.0), "population": (1e6, 5e6)}),
        np.log(100),
    ),
]


@pytest.mark.parametrize(("name", "inputs", "expected"), BY_HAND)
def test_figures_by_hand(name: str, inputs: dict[str, float], expected: float) -> None:
    """Truth: the arithmetic of each factor's definition."""
    assert {i.removesuffix("_a").removesuffix("_b") for i in inputs} == set(FACTORS[name].inputs)
    found = FACTORS[name].function(pd.DataFrame({i: [v] for i, v in inputs.items()}))
    assert found.tolist() == pytest.approx([expected])


def test_nothing_is_computed_from_impossible_figures() -> None:
    table = pd.DataFrame({"gdp_usd2015": [0.0, -1.0, np.nan, 1.0]})
    assert FACTORS["gdp"].function(table).isna().tolist() == [True, True, True, False]


def test_every_source_key_of_the_tables_is_explained() -> None:
    text = (Path(tables.__file__).parent / "SOURCES.md").read_text(encoding="utf-8")
    for name in tables.TABLES:
        table = tables.load(name)
        for cell in table["source"].unique() if "source" in table else ():
            for key in str(cell).split():
                assert f"`{key}`" in text, f"{name}: {key}"


def test_every_group_belongs_to_a_dimension() -> None:
    """The study's question: external environment, market environment, research strength."""
    assert set(DIMENSION_OF) == set(GROUPS) and set(DIMENSION_OF.values()) == set(DIMENSIONS)
