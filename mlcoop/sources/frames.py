"""Tables of the right types from rows, also from none at all."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mlcoop.schema import PAIR_YEAR


def indicator_frame(rows: Iterable[tuple[str, int, str, float]]) -> pd.DataFrame:
    """Return rows of iso3, year, variable, value as a sorted `schema.INDICATORS` table."""
    table = pd.DataFrame(list(rows), columns=["iso3", "year", "variable", "value"])
    table = table.astype({"iso3": str, "year": int, "variable": str, "value": float})
    return table.sort_values(["variable", "iso3", "year"], ignore_index=True)


def count_frame(rows: Iterable[tuple[str, str, int, float]]) -> pd.DataFrame:
    """Return rows of country_a, country_b, year, works as a sorted `schema.COUNTS` table."""
    table = pd.DataFrame(list(rows), columns=[*PAIR_YEAR, "works"])
    table = table.astype({"country_a": str, "country_b": str, "year": int, "works": float})
    return table.sort_values(PAIR_YEAR, ignore_index=True)


def covered_frame(rows: Iterable[tuple[str, int]]) -> pd.DataFrame:
    """Return rows of iso3, year, sorted and each once."""
    table = pd.DataFrame(sorted(set(rows)), columns=["iso3", "year"])
    return table.astype({"iso3": str, "year": int})
