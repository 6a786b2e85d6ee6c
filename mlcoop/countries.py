"""Country codes and names: any usual spelling to ISO3, and ISO3 back to a short name.

ISO 3166 comes from pycountry, English display names from Unicode CLDR through babel. Beside them
stand only spellings that data providers and papers use and neither library knows. Hong Kong,
Macao and Taiwan are partners of their own, as in the bibliographic sources; Kosovo, which ISO
3166 has not assigned, is XKX / XK as in the World Bank's data and OpenAlex.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from functools import lru_cache

import pandas as pd
import pycountry
from babel import Locale
from babel.languages import get_official_languages
from babel.localedata import locale_identifiers

from mlcoop.errors import DataError, some

KOSOVO = ("XKX", "XK")
# Between an institution's home country and its own number, in its code as an end of a pair.
SEPARATOR = ":"
# Ratio of difflib from which a name is suggested for one that is not known.
_NEAR = 0.8

# Shorter or more usual in English than CLDR's own.
_SHORT_NAMES = {
    "HKG": "Hong Kong",
    "MAC": "Macao",
    "PSE": "Palestine",
    "MMR": "Myanmar",
    "COD": "DR Congo",
    "COG": "Congo",
    "CIV": "Côte d'Ivoire",
    "BIH": "Bosnia and Herzegovina",
    "ATG": "Antigua and Barbuda",
    "TTO": "Trinidad and Tobago",
}

# Spellings of the World Bank, OpenAlex, Scopus, Web of Science, the United Nations and older
# atlases that neither library holds: ISO has "Korea, Republic of" and no "Republic of Korea".
_VARIANTS = {
    "ARE": "UAE; U Arab Emirates",
    "BHS": "Bahamas, The",
    "BIH": "Bosnia; Bosnia-Herzegovina; Bosnia & Herceg",
    "BLR": "Byelarus; Belorussia",
    "BOL": "Bolivia (Plurinational State of)",
    "BRN": "Brunei; Brunei Darussalam",
    "CAF": "Central African Rep; Cent Afr Republ",
    "CHN": "PRC; PR China; P R China; Peoples R China; China (mainland); Mainland China;"
    "China, mainland",
    "CIV": "Ivory Coast; Cote dIvoire; Côte d Ivoire",
    "COD": "Congo, Dem Rep; Congo (Kinshasa); Congo-Kinshasa; DR Congo; DRC; Dem Rep Congo; Zaire;"
    "Democratic Republic of Congo; Congo, Democratic Republic of the;"
    "Congo, The Democratic Republic of; Dem Republ Congo",
    "COG": "Congo, Rep; Congo (Brazzaville); Congo-Brazzaville; Republic of Congo;"
    "Congo, Republic of the; Rep Congo",
    "CPV": "Cape Verde",
    "CUW": "Curacao",
    "CZE": "Czech Rep",
    "DEU": "Federal Republic of Germany",
    "DOM": "Dominican Rep",
    "EGY": "Egypt, Arab Rep",
    "FLK": "Falkland Islands; Malvinas",
    "FSM": "Micronesia; Micronesia, Fed Sts; Micronesia (Federated States of)",
    "GBR": "UK; Great Britain; Britain; United Kingdom of Great Britain",
    "GEO": "Republic of Georgia",
    "GMB": "Gambia, The",
    "GRC": "EL; Hellas",
    "HKG": "Hong Kong; Hong Kong SAR; Hong Kong, China; Hong Kong SAR, China;"
    "China, Hong Kong SAR; Hong Kong (China); China, Hong Kong Special Administrative Region",
    "IRL": "Republic of Ireland",
    "IRN": "Iran; Iran, Islamic Rep; Iran (Islamic Republic of)",
    "KGZ": "Kyrgyz Republic; Kirghizia; Kirgizstan",
    "KNA": "St Kitts and Nevis; Saint Kitts & Nevis",
    "KOR": "South Korea; Korea (South); Korea, South; Korea, Rep; Rep of Korea; S Korea; ROK;"
    "Republic of Korea",
    "LAO": "Laos; Lao PDR; Lao People Democratic Republic",
    "LBY": "Libyan Arab Jamahiriya",
    "MAC": "Macao; Macau; Macao SAR; Macao SAR, China; China, Macao SAR; Macao, China; Macau SAR;"
    "China, Macao Special Administrative Region",
    "MDA": "Moldova; Moldavia; Republic of Moldova",
    "MKD": "Macedonia; Macedonia, FYR; FYR Macedonia; FYROM; Republic of Macedonia;"
    "The former Yugoslav Republic of Macedonia",
    "MMR": "Burma; Myanmar (Burma)",
    "NLD": "Holland; The Netherlands; Netherlands (Kingdom of the)",
    "PNG": "Papua N Guinea",
    "PRK": "North Korea; Korea (North); Korea, North; Korea, Dem People's Rep; DPRK; N Korea;"
    "Korea, Dem Rep",
    "PRI": "Puerto Rico (US)",
    "PSE": "Palestine; Palestinian Territories; Occupied Palestinian Territory; State of Palestine;"
    "West Bank and Gaza; Palestinian Territory",
    "REU": "Reunion",
    "RUS": "Russia; USSR successor Russia",
    "SHN": "Saint Helena",
    "SJM": "Svalbard and Jan Mayen Islands",
    "SLB": "Solomon Is",
    "SOM": "Somalia, Fed Rep",
    "STP": "Sao Tome & Principe",
    "SVK": "Slovak Republic",
    "SWZ": "Swaziland; Kingdom of Eswatini",
    "SYR": "Syria",
    "TLS": "East Timor; Timor Leste",
    "TTO": "Trinidad & Tobago",
    "TUR": "Turkey; Turkiye; Republic of Turkey",
    "TWN": "Taiwan; Taiwan, China; Chinese Taipei; Taiwan (Province of China); Taiwan, ROC",
    "TZA": "Tanzania; Tanzania, United Rep",
    "USA": "USA; US; U.S.; U.S.A.; America; United States of America; The United States",
    "VAT": "Vatican; Vatican City; Holy See",
    "VCT": "St Vincent and the Grenadines; St Vincent & the Grenadines",
    "VEN": "Venezuela; Venezuela, RB; Venezuela (Bolivarian Republic of)",
    "VGB": "British Virgin Islands",
    "VIR": "Virgin Islands (US); US Virgin Islands; United States Virgin Islands",
    "VNM": "Vietnam; Viet Nam",
    "WLF": "Wallis and Futuna Islands",
    "YEM": "Yemen, Rep; Republic of Yemen",
    "WSM": "Western Samoa",
    "XKX": "Kosovo; Republic of Kosovo; Kosovo (UNSCR 1244)",
}

# Names that more than one country may mean, or that no present country bears.
_REFUSED = {
    "korea": 'write "South Korea" or "North Korea"',
    "republic of china": 'write "Taiwan" or "China"',
    "virgin islands": 'write "British Virgin Islands" or "US Virgin Islands"',
    "england": 'the source counts countries; write "United Kingdom"',
    "scotland": 'the source counts countries; write "United Kingdom"',
    "wales": 'the source counts countries; write "United Kingdom"',
    "northern ireland": 'the source counts countries; write "United Kingdom"',
    "soviet union": 'a former state; write its successor, such as "Russia"',
    "ussr": 'a former state; write its successor, such as "Russia"',
    "yugoslavia": 'a former state; write its successor, such as "Serbia"',
    "serbia and montenegro": 'a former state; write "Serbia" or "Montenegro"',
    "czechoslovakia": 'a former state; write "Czechia" or "Slovakia"',
    "netherlands antilles": 'a former territory; write "Curaçao", "Aruba" or another of its parts',
}


def to_iso3(name_or_code: object, where: str) -> str:
    """Return the ISO3 code of a country given by ISO2, ISO3 or an English name.

    Parameters
    ----------
    name_or_code : str
        Codes and names are taken in any case, with or without accents and punctuation. "NA" is
        Namibia's code only in capitals: in other cases it is more often a mark for missing.
    where : str
        File, column and row to name in the error.

    Raises
    ------
    DataError
        Unknown, ambiguous or empty; with the nearest known name. Nothing is guessed.

    Examples
    --------
    >>> to_iso3("NA", "example"), to_iso3("Viet Nam", "example"), to_iso3("XK", "example")
    ('NAM', 'VNM', 'XKX')
    """
    if not isinstance(name_or_code, str) or not name_or_code.strip():
        raise DataError(
            f"{where}: empty country {name_or_code!r}; write its code or name "
            "(a CSV reader may have taken Namibia's code NA for missing)"
        )
    code = _lookup(name_or_code.strip())
    if code is None:
        raise DataError(f"{where}: unknown country {describe_unknown(name_or_code)}")
    return code


def resolve(names: pd.Series, where: str) -> pd.Series:
    """Return a Series of ISO3 codes, or name every country that is not understood.

    Parameters
    ----------
    names : Series of str
        ISO2, ISO3 or English names, as for `to_iso3`.
    where : str
        File and column to name in the error.

    Raises
    ------
    DataError
        One line with all unknown names (at most five shown) and the nearest known one of each.

    Examples
    --------
    >>> list(resolve(pd.Series(["Turkey", "CN"]), "example"))
    ['TUR', 'CHN']
    """
    codes: dict[object, str] = {}
    unknown: dict[str, None] = {}
    for value in names.drop_duplicates():
        text = value.strip() if isinstance(value, str) else ""
        code = _lookup(text) if text else None
        if code is not None:
            codes[value] = code
        elif text:
            unknown[describe_unknown(text)] = None
        else:
            unknown["(empty: write its code or name; Namibia's NA may have been read so)"] = None
    if unknown:
        noun = "country" if len(unknown) == 1 else "countries"
        raise DataError(f"{where}: unknown {noun} {some(unknown)}")
    return names.map(codes).astype(str) if len(names) else names.astype(str)


@lru_cache(maxsize=1024)
def name_of(iso3: str) -> str:
    """Return the short English display name of an ISO3 code.

    >>> name_of("CIV"), name_of("XKX"), name_of("NAM")
    ("Côte d'Ivoire", 'Kosovo', 'Namibia')
    """
    if iso3 in _SHORT_NAMES:
        return _SHORT_NAMES[iso3]
    return str(_display_names()[iso2_of(iso3)])


@lru_cache(maxsize=1024)
def iso2_of(iso3: str) -> str:
    """Return the ISO2 code of an ISO3 code.

    >>> iso2_of("NAM"), iso2_of("XKX")
    ('NA', 'XK')
    """
    try:
        return _codes()[0][iso3]
    except KeyError:
        raise DataError(f'"{iso3}" is not an ISO3 country code; use one such as "CHN"') from None


@lru_cache(maxsize=1024)
def iso3_of(iso2: str) -> str | None:
    """Return the ISO3 code of an ISO2 code exactly as given, or None if there is none.

    >>> iso3_of("NA"), iso3_of("AN")
    ('NAM', None)
    """
    return _codes()[1].get(iso2)


def home_of(code: str) -> str:
    """Return the country of an end of a pair: itself, or the home of an institution.

    >>> home_of("CHN"), home_of("USA:I27837315")
    ('CHN', 'USA')
    """
    return code.partition(SEPARATOR)[0]


def is_iso3(code: object) -> bool:
    """Say whether `code` is an ISO3 code of a present country or territory, or Kosovo's.

    >>> is_iso3("XKX"), is_iso3("ROM"), is_iso3("WLD")
    (True, False, False)
    """
    return code in _codes()[0]


@lru_cache(maxsize=4096)
def describe_unknown(text: str) -> str:
    """Return an unknown name in quotes with a hint: why it is refused, or its nearest match.

    >>> describe_unknown("Chinaa")
    '"Chinaa" (did you mean "China"?)'
    """
    plain = _plain(text)
    if plain in _REFUSED:
        return f'"{text}" ({_REFUSED[plain]})'
    if plain == "na":
        return f'"{text}" (write "NA" in capitals for Namibia)'
    if plain in _foreign_names():
        return f'"{text}" (did you mean "{name_of(_foreign_names()[plain])}"?)'
    # A name of another language that the user misspelt is nearer than any English one.
    names = _foreign_names() | _names()
    # Among look-alikes the one with the same letters wins: "Lybia" is Libya, not Liberia. Other
    # names must be near indeed: "Wonderland" is two thirds Switzerland.
    near = [
        known
        for known in sorted(
            difflib.get_close_matches(plain, names, n=8, cutoff=0.6),
            key=lambda known: _letters_apart(known, plain),
        )
        if _letters_apart(known, plain) == 0
        or difflib.SequenceMatcher(None, known, plain).ratio() >= _NEAR
    ]
    if not near:
        return f'"{text}" (no similar name; use an ISO3 code)'
    return f'"{text}" (did you mean "{name_of(names[near[0]])}"?)'


def _letters_apart(one: str, other: str) -> int:
    a, b = Counter(one), Counter(other)
    return sum((a - b).values()) + sum((b - a).values())


@lru_cache(maxsize=8192)
def _lookup(text: str) -> str | None:
    iso2, iso3 = _codes()
    if text.upper() in iso2:
        return text.upper()
    if text.upper() in iso3 and (text.upper() != "NA" or text == "NA"):
        return iso3[text.upper()]
    plain = _plain(text)
    return None if plain in _REFUSED else _names().get(plain)


@lru_cache(maxsize=1)
def _codes() -> tuple[dict[str, str], dict[str, str]]:
    """Return ISO3 to ISO2 and ISO2 to ISO3."""
    to2 = {c.alpha_3: c.alpha_2 for c in pycountry.countries} | {KOSOVO[0]: KOSOVO[1]}
    return to2, {v: k for k, v in to2.items()}


@lru_cache(maxsize=1)
def _display_names() -> dict[str, str]:
    return dict(Locale("en").territories)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Return plain spellings to ISO3: ISO's own names win over CLDR's, those over variants."""
    known: dict[str, str] = {}

    def add(name: str | None, iso3: str) -> None:
        if name:
            known.setdefault(_plain(name), iso3)

    for country in pycountry.countries:
        for kind in ("name", "official_name", "common_name"):
            add(getattr(country, kind, None), country.alpha_3)
    display = _display_names()
    for iso3, iso2 in _codes()[0].items():
        add(display.get(iso2), iso3)
        add(_SHORT_NAMES.get(iso3), iso3)
        for variant in _VARIANTS.get(iso3, "").split(";"):
            add(variant.strip(), iso3)
    return known


@lru_cache(maxsize=1)
def _foreign_names() -> dict[str, str]:
    """Return plain spellings in other official languages to ISO3, those of one country only.

    For hints alone, since reading a name as a country is left to English: CLDR's hundred-odd
    languages take a second to read.
    """
    languages = {tongue for iso2 in _codes()[1] for tongue in get_official_languages(iso2)}
    meant: dict[str, set[str]] = {}
    for language in sorted(languages & set(locale_identifiers())):
        for iso2, name in Locale.parse(language).territories.items():
            iso3 = iso3_of(iso2)
            if iso3:
                meant.setdefault(_plain(name), set()).add(iso3)
    return {name: next(iter(of)) for name, of in meant.items() if len(of) == 1}


@lru_cache(maxsize=8192)
def _plain(text: str) -> str:
    """Return `text` without case, accents, punctuation, "the" and differences of "and"/"saint"."""
    text = unicodedata.normalize("NFKD", text.casefold().replace("ı", "i"))
    text = text.replace("&", " and ").replace("'", "").replace("’", "").replace("‘", "")
    text = "".join(c for c in text if not unicodedata.combining(c))
    words = "".join(c if c.isalnum() else " " for c in text).split()
    joined = " ".join({"st": "saint"}.get(word, word) for word in words if word != "the")
    # "U.S.A." and "U.K." fall into single letters above.
    return joined.replace(" ", "") if joined in ("u s", "u s a", "u k") else joined
