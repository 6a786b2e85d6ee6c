"""The shape of one catalogue entry, and the few transforms that entries share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Function = Callable[[pd.DataFrame], pd.Series]
Kind = Literal["level", "log", "gap", "change", "dummy", "count", "years"]
GROUPS = {
    "proximity": "Geographic proximity",
    "culture_language": "Culture and language",
    "political_relations": "Political relations and institutions",
    "integration_policy": "Integration and policy",
    "economy_market": "Economy and market",
    "technology_supply": "Technology supply and transfer",
    "research_strength": "Research strength",
}
DIMENSIONS = {
    "external_environment": "External environment",
    "market_environment": "Market environment",
    "research_strength": "Research strength",
}
DIMENSION_OF = {
    "proximity": "external_environment",
    "culture_language": "external_environment",
    "political_relations": "external_environment",
    "integration_policy": "external_environment",
    "economy_market": "market_environment",
    "technology_supply": "market_environment",
    "research_strength": "research_strength",
}
"""What a group belongs to: where two countries stand to each other, what their economies are and
supply, and what their research is."""


@dataclass(frozen=True)
class Factor:
    """One factor of the catalogue: what it is, when it is known, and how it is computed.

    Attributes
    ----------
    name, label, group, unit, source, definition, reference : str
        `group` is a key of `GROUPS`; `reference` ends in a DOI or names the document.
    role : {"pair", "country"}
        A pair factor reads both ends (`v_a`, `v_b`) and must not change when they are swapped. A
        country factor reads its own end only (`v`) and is declared once: a study turns it into
        features of the partner and of the focal country.
    inputs : tuple of str
        Panel variables without suffix (`gdp_usd2015`), tie columns, or `works`. `"v[-3]"` is the
        value three years before the observed one.
    lag : int
        Years from the observed figure to the first target year that may use it, publication
        delay included: 2 means that a forecast for 2022 made when the counts of 2021 are in uses
        the figure of 2020.
    carry : int
        How many years an input may be carried forward when a series has a gap or has ended: the
        last known figure at most so many years older than `lag` asks for. It uses past only. Where
        an input is of an earlier year (`"v[-3]"`), the factor's own value is carried instead, so
        that a change over three years stays one.
    function : callable
        Pure: a table of inputs at their observed year (with `country_a`, `country_b`, `year`, or
        for a country factor `iso3`, `year`) to a Series on the same index.
    sign : {-1, 0, 1}
        Direction that the literature expects; 0 where it does not say.
    kind : {"level", "log", "gap", "change", "dummy", "count", "years"}
    default : bool
        Whether a study that names no factors uses it. False for near duplicates.
    by_role : bool
        Whether partner and focal figures make two groups in a study with a focal country.
    """

    name: str
    label: str
    group: str
    unit: str
    source: str
    role: Literal["pair", "country"]
    inputs: tuple[str, ...]
    lag: int
    function: Function
    sign: int
    kind: Kind
    definition: str
    reference: str
    carry: int = 0
    default: bool = True
    by_role: bool = False


def base_of(name: str) -> str:
    """Return a group's or factor's name without the end of the pair that it is about.

    >>> base_of("research_strength_focal"), base_of("proximity")
    ('research_strength', 'proximity')
    """
    return name.removesuffix("_partner").removesuffix("_focal")


def column(name: str) -> Function:
    """Return a function that takes one input as it stands."""

    def take(table: pd.DataFrame) -> pd.Series:
        return table[name]

    return take


def log(name: str) -> Function:
    """Return a function that takes the natural logarithm of a positive input.

    Zero and negative values are missing: they are errors of the source, not small numbers.
    """

    def take(table: pd.DataFrame) -> pd.Series:
        return np.log(positive(table[name]))

    return take


def log1p(name: str) -> Function:
    """Return a function that takes log(1 + x) of a count, where zero is a true value."""

    def take(table: pd.DataFrame) -> pd.Series:
        return np.log1p(table[name].where(table[name] >= 0))

    return take


def gap(name: str) -> Function:
    """Return a function that takes the absolute difference between both ends."""

    def take(table: pd.DataFrame) -> pd.Series:
        return (table[f"{name}_a"] - table[f"{name}_b"]).abs()

    return take


def log_gap(name: str) -> Function:
    """Return a function that takes the absolute log ratio of both ends' positive values."""

    def take(table: pd.DataFrame) -> pd.Series:
        return np.log(positive(table[f"{name}_a"]) / positive(table[f"{name}_b"])).abs()

    return take


def positive(values: pd.Series) -> pd.Series:
    """Return the values with everything that is not above zero made missing."""
    return values.where(values > 0)


def pairwise(table: pd.DataFrame, function: Callable[[str, str], float]) -> pd.Series:
    """Return a symmetric function of the two countries, called once for each pair of the table.

    Parameters
    ----------
    table : DataFrame with country_a and country_b
    function : callable
        Of two ISO3 codes, in alphabetical order.
    """
    code_a, names_a = pd.factorize(table["country_a"])
    code_b, names_b = pd.factorize(table["country_b"])
    # Two integers in one: a MultiIndex would build a tuple for each row.
    pairs, place = np.unique(code_a * len(names_b) + code_b, return_inverse=True)
    list_a, list_b = list(names_a), list(names_b)
    values = np.array(
        [
            function(*sorted((list_a[pair // len(names_b)], list_b[pair % len(names_b)])))
            for pair in pairs
        ],
        dtype=float,
    )
    return pd.Series(values[place], index=table.index)
