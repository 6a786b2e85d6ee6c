"""The panel as arrays of pair and year, and what a factor is in them at the years observed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mlcoop.countries import home_of
from mlcoop.errors import DataError, some
from mlcoop.features.catalogue import PAIR_INPUTS, split_input
from mlcoop.features.factor import Factor
from mlcoop.schema import IN_FULL, PAIR, PAIR_YEAR


class Grid:
    """The panel's columns as arrays of (pair, year), to look values up by year.

    `own_works` names the column that is to be taken away from a country's works.
    """

    def __init__(self, panel: pd.DataFrame, columns: list[str]) -> None:
        absent = [c for c in [*PAIR_YEAR, *columns] if c not in panel.columns]
        if absent:
            raise DataError(
                f"panel: no column {some(absent)}; add it or leave out the factors that read it"
            )
        code_a, names_a = pd.factorize(panel["country_a"], sort=True)
        code_b, names_b = pd.factorize(panel["country_b"], sort=True)
        pairs, code = np.unique(code_a * len(names_b) + code_b, return_inverse=True)
        self.pairs = pd.DataFrame(
            {
                "country_a": names_a.take(pairs // len(names_b)),
                "country_b": names_b.take(pairs % len(names_b)),
            }
        )
        year = panel["year"].to_numpy(int)
        # What a factor looks up by country is an institution's home country's.
        self._homes = self.pairs.apply(lambda end: end.map(home_of))
        self.first = int(year.min())
        self.width = int(year.max()) - self.first + 1
        cell = code * self.width + (year - self.first)
        if len(np.unique(cell)) < len(cell):
            twice = panel[panel.duplicated(PAIR_YEAR)]
            raise DataError(
                f"panel: a pair and year stands twice: {some(twice[PAIR_YEAR].to_numpy().tolist())}"
                "; keep one row each"
            )
        self.own_works = IN_FULL if IN_FULL in columns else "works"
        self._repeated: dict[tuple[int, ...], pd.DataFrame] = {}
        self._values: dict[str, np.ndarray] = {}
        for name in columns:
            flat = np.full(len(self.pairs) * self.width, np.nan)
            flat[cell] = panel[name].to_numpy(float)
            self._values[name] = flat.reshape(len(self.pairs), self.width)

    def keys(self, observed: Sequence[int]) -> pd.DataFrame:
        """Return the countries of pairs and the observed years, year changing fastest."""
        key = tuple(observed)
        if key not in self._repeated:
            rows = self.pairs.index.repeat(len(observed))
            table = self._homes.loc[rows].reset_index(drop=True)
            self._repeated[key] = table.assign(year=np.tile(observed, len(self.pairs)))
        return self._repeated[key]

    def at(self, name: str, observed: Sequence[int], carry: int) -> np.ndarray:
        """Return the values (pair, observed year), carried forward at most `carry` years."""
        out = np.full((len(self.pairs), len(observed)), np.nan)
        for j, year in enumerate(observed):
            for back in range(carry + 1):
                k = year - back - self.first
                if k < 0:
                    break
                if k >= self.width:
                    continue
                hole = np.isnan(out[:, j])
                if not hole.any():
                    break
                out[hole, j] = self._values[name][hole, k]
        return out


def evaluate(factor: Factor, grid: Grid, observed: Sequence[int], own: str | None) -> np.ndarray:
    """Return the factor's value for every pair and observed year, flat in that order.

    `own` is the end, "a" or "b", whose figures a country factor reads; None for a pair factor.
    """
    if not any(split_input(name)[1] for name in factor.inputs):
        return _at_once(factor, grid, observed, own, factor.carry)
    # Were the years of a change carried apart, a change over three years would at the end of a
    # series be one over two or one. So the finished change is carried.
    value = _at_once(factor, grid, observed, own, carry=0)
    for back in range(1, factor.carry + 1):
        hole = np.isnan(value)
        if not hole.any():
            break
        before = _at_once(factor, grid, [year - back for year in observed], own, carry=0)
        value[hole] = before[hole]
    return value


def _at_once(
    factor: Factor, grid: Grid, observed: Sequence[int], own: str | None, carry: int
) -> np.ndarray:
    """Return what `evaluate` does, each input carried forward by itself at most `carry` years."""
    keys = grid.keys(observed)
    # Gathered first and made a table once: setting columns one by one costs more than they do.
    columns: dict[str, object] = {"year": keys["year"]}
    if own is None:
        columns |= {end: keys[end] for end in PAIR}
    else:
        columns["iso3"] = keys[f"country_{own}"]
    for name in factor.inputs:
        variable, back = split_input(name)
        then = [year - back for year in observed]
        if variable in PAIR_INPUTS:
            read = grid.own_works if variable == "works" else variable
            columns[name] = grid.at(read, then, carry).ravel()
        elif own is not None:
            columns[name] = grid.at(f"{variable}_{own}", then, carry).ravel()
        else:
            for end in ("a", "b"):
                columns[f"{name}_{end}"] = grid.at(f"{variable}_{end}", then, carry).ravel()
    table = pd.DataFrame(columns)
    # A copy, since a function may hand back one of the table's own columns.
    return factor.function(table).to_numpy(float, copy=True)
