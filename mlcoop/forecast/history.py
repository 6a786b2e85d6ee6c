"""The counts of all pairs and years as one matrix, which forecasting works on.

A row is a country pair, a column a year; missing counts are NaN and never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlcoop.errors import DataError, some

FloatArray = NDArray[np.float64]
INTERNATIONAL = ("international_works_a", "international_works_b")


@dataclass(frozen=True)
class History:
    """Counts of pairs over years.

    Attributes
    ----------
    pairs : DataFrame of shape (n_pairs, 2)
        `country_a`, `country_b`, sorted, one row per pair.
    countries : tuple of str
        Sorted; `ends` points into it.
    ends : int array of shape (n_pairs, 2)
    years : int array of shape (n_years,)
        Consecutive.
    counts : float array of shape (n_pairs, n_years)
        NaN where the pair was not observed.
    in_focus : bool array of shape (n_pairs,)
    international : float array of shape (n_countries, n_years), or None
        International works of every country, each counted once; NaN where not known.
    """

    pairs: pd.DataFrame
    countries: tuple[str, ...]
    ends: NDArray[np.int64]
    years: NDArray[np.int64]
    counts: FloatArray
    in_focus: NDArray[np.bool_]
    international: FloatArray | None = None

    @property
    def observed_years(self) -> NDArray[np.int64]:
        """Years in which some pair was observed."""
        return self.years[np.isfinite(self.counts).any(axis=0)]

    def index(self, year: int) -> int:
        """Return the column of `year`."""
        return int(year) - int(self.years[0])

    def until(self, year: int) -> History:
        """Return the history as it stood at the end of `year`: later columns are gone."""
        k = self.index(year) + 1
        return History(
            pairs=self.pairs,
            countries=self.countries,
            ends=self.ends,
            years=self.years[:k],
            counts=self.counts[:, :k],
            in_focus=self.in_focus,
            international=None if self.international is None else self.international[:, :k],
        )


def sum_by_country(values: FloatArray, ends: NDArray[np.int64], n_countries: int) -> FloatArray:
    """Return the sum over each country's pairs of `values`, one per pair."""
    first, second = (np.bincount(end, values, n_countries) for end in ends.T)
    return (first + second).astype(float)


def years_with_counts(history: pd.DataFrame) -> NDArray[np.int64]:
    """Return the years, rising, in which some pair has a count."""
    return np.sort(history.loc[history["works"].notna(), "year"].unique()).astype(np.int64)


def build_history(table: pd.DataFrame, focus: pd.DataFrame | None = None) -> History:
    """Return the counts `table` as a matrix of pairs and years.

    Parameters
    ----------
    table : DataFrame
        `country_a`, `country_b`, `year`, `works` (>= 0, NaN = missing); a pair stands in either
        orientation, but once per year. A pair and year without a row is missing, not zero.
        May hold `INTERNATIONAL`, the international works of either country in the year.
    focus : DataFrame or None
        `country_a`, `country_b` of the pairs that the study is about, in either orientation;
        None means all pairs.

    Raises
    ------
    DataError
        When a column is missing, a pair and year stands twice, a count is negative, the table is
        empty, or no focus pair occurs in it.

    Examples
    --------
    >>> t = pd.DataFrame({"country_a": ["B", "A"], "country_b": ["A", "B"],
    ...                   "year": [2000, 2002], "works": [1.0, 4.0]})
    >>> build_history(t).counts
    array([[ 1., nan,  4.]])
    """
    missing = [c for c in ("country_a", "country_b", "year", "works") if c not in table]
    if missing:
        raise DataError(f"counts for the forecast: no column {some(missing)}; add it")
    t = _ordered(table)
    t = t.assign(year=t["year"].astype(int), works=t["works"].astype(float))
    if t.empty or t["works"].notna().sum() == 0:
        raise DataError("counts for the forecast: the table holds no count; check the source")
    twice = t[t.duplicated(["country_a", "country_b", "year"])]
    if len(twice):
        keys = [f"{r.country_a}-{r.country_b} {r.year}" for r in twice.itertuples()]
        raise DataError(f"counts for the forecast: more than one row for {some(keys)}; keep one")
    negative = t[t["works"] < 0]
    if len(negative):
        keys = [f"{r.country_a}-{r.country_b} {r.year}" for r in negative.itertuples()]
        raise DataError(f"counts for the forecast: negative works for {some(keys)}; correct them")
    seen = t[t["works"].notna()]
    years = np.arange(seen["year"].min(), seen["year"].max() + 1)
    wide = t.pivot(index=["country_a", "country_b"], columns="year", values="works")
    wide = wide.reindex(columns=years).sort_index()
    wide = wide[wide.notna().any(axis=1)]
    pairs = wide.index.to_frame(index=False)
    countries = tuple(sorted(set(pairs["country_a"]) | set(pairs["country_b"])))
    place = {c: i for i, c in enumerate(countries)}
    ends = np.column_stack([pairs["country_a"].map(place), pairs["country_b"].map(place)])
    if focus is None:
        in_focus = np.ones(len(pairs), dtype=bool)
    else:
        wanted = set(_ordered(focus)[["country_a", "country_b"]].itertuples(index=False, name=None))
        in_focus = np.array([p in wanted for p in pairs.itertuples(index=False, name=None)])
        if not in_focus.any():
            raise DataError(
                f"focus: none of {some('-'.join(p) for p in sorted(wanted))} is among the counts; "
                "check the codes"
            )
    return History(
        pairs=pairs,
        countries=countries,
        ends=ends.astype(np.int64),
        years=years,
        counts=wide.to_numpy(dtype=float),
        in_focus=in_focus,
        international=_international(table, countries, years),
    )


def _international(
    table: pd.DataFrame, countries: tuple[str, ...], years: NDArray[np.int64]
) -> FloatArray | None:
    if not set(INTERNATIONAL) <= set(table):
        return None
    names = ["country", "year", "works"]
    sides = [
        table[[f"country_{end}", "year", column]].set_axis(names, axis=1)
        for end, column in zip("ab", INTERNATIONAL, strict=True)
    ]
    known = pd.concat(sides).dropna()
    wide = known.groupby(["country", "year"])["works"].first().unstack("year")
    return wide.reindex(index=list(countries), columns=years).to_numpy(dtype=float)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with `country_a` before `country_b` in every row."""
    a, b = table["country_a"].astype(str), table["country_b"].astype(str)
    return table.assign(country_a=a.where(a <= b, b), country_b=b.where(a <= b, a))


def carry_forward(counts: FloatArray) -> FloatArray:
    """Return `counts` with missing values filled from the last year seen; NaN before the first one.

    >>> carry_forward(np.array([[np.nan, 2.0, np.nan, 5.0]]))
    array([[nan,  2.,  2.,  5.]])
    """
    seen = np.where(np.isnan(counts), 0, np.arange(counts.shape[1])[None, :])
    return counts[np.arange(len(counts))[:, None], np.maximum.accumulate(seen, axis=1)]
