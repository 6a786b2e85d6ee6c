"""Dated tables to yearly figures of pairs: who was in what with whom, in each observed year."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd

from mlcoop import tables
from mlcoop.features.factor import pairwise

FIRST_YEAR, LAST_YEAR = 1950, 2100
# Beyond a generation a tie is simply there; the age of a railway of 1903 says no more.
MOST_YEARS = 25


@cache
def _codes() -> dict[str, int]:
    found: set[str] = set()
    for name in ("blocs", "research_programmes", "belt_and_road"):
        found |= set(tables.load(name)["iso3"])
    for name in ("agreements", "rail_corridors"):
        table = tables.load(name)
        found |= {code for code in (*table.iloc[:, 0], *table.iloc[:, 1]) if code.isupper()}
    return {code: i + 1 for i, code in enumerate(sorted(found))}  # 0: in no table


@cache
def _membership(table_name: str, kinds: tuple[str, ...]) -> np.ndarray:
    """Return who is in what when, a boolean array (club, country, year)."""
    table = tables.load(table_name)
    club = table.columns[0]
    table = table[table["kind"].isin(kinds)]
    clubs = {name: i for i, name in enumerate(sorted(table[club].unique()))}
    inside = np.zeros((len(clubs), len(_codes()) + 1, LAST_YEAR - FIRST_YEAR + 1), dtype=bool)
    for row in table.itertuples(index=False):
        first, last = _span(row.entered, row.left)
        inside[clubs[getattr(row, club)], _codes()[row.iso3], first:last] = True
    return inside


def _span(first: int, left: object) -> tuple[int, int]:
    end = LAST_YEAR + 1 if pd.isna(left) else int(left)  # type: ignore[call-overload]
    return max(int(first) - FIRST_YEAR, 0), max(end - FIRST_YEAR, 0)


def _indices(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes = _codes()
    a = table["country_a"].map(codes).fillna(0).to_numpy(int)
    b = table["country_b"].map(codes).fillna(0).to_numpy(int)
    year = np.clip(table["year"].to_numpy(int) - FIRST_YEAR, 0, LAST_YEAR - FIRST_YEAR)
    return a, b, year


def shared_memberships(table: pd.DataFrame, table_name: str, kinds: Iterable[str]) -> pd.Series:
    """Return how many clubs of some kinds both countries were in, in each row's year.

    Parameters
    ----------
    table : DataFrame with country_a, country_b, year
    table_name : str
        A dated table whose first column names the club.
    kinds : iterable of str
        Values of its `kind` column.
    """
    a, b, year = _indices(table)
    count = np.zeros(len(table))
    for inside in _membership(table_name, tuple(sorted(kinds))):
        count += inside[a, year] & inside[b, year]
    return pd.Series(count, index=table.index)


@cache
def _bilateral() -> np.ndarray:
    """Return bilateral agreements in force, an integer array (country, country, year)."""
    size = len(_codes()) + 1
    force = np.zeros((size, size, LAST_YEAR - FIRST_YEAR + 1), dtype=np.int16)
    blocs = tables.load("blocs")
    for row in tables.load("agreements").itertuples(index=False):
        first, last = _span(row.in_force, row.ended)
        parties = [_party_years(party, blocs) for party in (row.party_a, row.party_b)]
        window = np.zeros(force.shape[2], dtype=bool)
        window[first:last] = True
        for code_a, years_a in parties[0].items():
            for code_b, years_b in parties[1].items():
                both = years_a & years_b & window
                force[code_a, code_b] += both
                force[code_b, code_a] += both
    return force


def _party_years(party: str, blocs: pd.DataFrame) -> dict[int, np.ndarray]:
    years = np.zeros(LAST_YEAR - FIRST_YEAR + 1, dtype=bool)
    if party in _codes():
        return {_codes()[party]: ~years}
    members: dict[int, np.ndarray] = {}
    # A country that has left may be bound a while longer by what the bloc agreed with others.
    bound = blocs["bloc"].isin([party, f"{party}-transition"])
    for row in blocs[bound].itertuples(index=False):
        first, last = _span(row.entered, row.left)
        members.setdefault(_codes()[row.iso3], years.copy())[first:last] = True
    assert members, f"agreements.csv: party {party} is neither a country nor a bloc"
    return members


def bilateral_agreements(table: pd.DataFrame) -> pd.Series:
    """Return how many bilateral trade agreements were in force between the two countries."""
    a, b, year = _indices(table)
    return pd.Series(_bilateral()[a, b, year].astype(float), index=table.index)


def years_since_belt_and_road(table: pd.DataFrame) -> pd.Series:
    """Return years since the partner of China joined the initiative; 0 before and elsewhere.

    The year of joining counts as 1, so that joining shows at once.
    """
    joined = tables.load("belt_and_road").set_index("iso3")
    partner = table["country_a"].where(table["country_b"] == "CHN", table["country_b"])
    with_china = (table["country_a"] == "CHN") | (table["country_b"] == "CHN")
    entered = partner.map(joined["joined"].astype(float)).where(with_china)
    left = partner.map(joined["left"].astype(float)).fillna(np.inf)
    since = table["year"] - entered + 1
    return since.where((since > 0) & (table["year"] < left), 0.0).astype(float)


@cache
def _since(name: str, column: str) -> dict[frozenset[str], int]:
    """Return the first year of every pair in a table whose first two columns name the pair."""
    first: dict[frozenset[str], int] = {}
    for row in tables.load(name).itertuples(index=False):
        pair = frozenset(row[:2])
        first[pair] = min(first.get(pair, LAST_YEAR), int(getattr(row, column)))
    return first


def years_since(table: pd.DataFrame, name: str, column: str) -> pd.Series:
    """Return years since the pair's first entry in a dated table, its first year counting as 1.

    At most `MOST_YEARS`; 0 before it and for pairs that are not in the table.
    """
    entries = _since(name, column)
    first = pairwise(table, lambda a, b: entries.get(frozenset((a, b)), LAST_YEAR + 1))
    return (table["year"] - first + 1).clip(0, MOST_YEARS)
