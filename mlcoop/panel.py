"""Tidy tables to one panel: a row per unordered pair and observed year."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from mlcoop.errors import DataError, some
from mlcoop.schema import IN_FULL, PAIR, PAIR_YEAR, PANEL, check


@dataclass(frozen=True)
class Panel:
    """The panel and what was left out of it.

    Attributes
    ----------
    table : DataFrame
        Key `country_a, country_b, year` (unique, sorted); `works` (NaN is missing, 0 a known
        zero); the pair's ties; `v_a` and `v_b` for every country variable `v`.
    focus : DataFrame of country_a, country_b
        The pairs that the study is about.
    dropped : list of dict
        `kind` (country, pair, year), `what`, `reason`, `count`.
    warnings : list of str
        What makes the result weaker and the reader must know.
    """

    table: pd.DataFrame
    focus: pd.DataFrame
    dropped: list[dict[str, object]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def unordered(left: Iterable[str], right: Iterable[str]) -> pd.DataFrame:
    """Return the distinct unordered pairs of two lists taken row by row, first code first.

    >>> unordered(["CHN", "CHN"], ["USA", "ALB"]).values.tolist()
    [['ALB', 'CHN'], ['CHN', 'USA']]
    """
    ends = pd.DataFrame({"x": list(left), "y": list(right)}, dtype=object)
    table = pd.DataFrame({"country_a": ends.min(axis=1), "country_b": ends.max(axis=1)})
    return table.drop_duplicates().sort_values(PAIR, ignore_index=True)


def pairs_among(countries: Iterable[str]) -> pd.DataFrame:
    """Return every unordered pair of the countries.

    >>> len(pairs_among(["CHN", "USA", "ALB"]))
    3
    """
    pairs = list(combinations(sorted(set(countries)), 2))
    return pd.DataFrame(pairs, columns=PAIR, dtype=object)


def build_panel(
    counts: pd.DataFrame,
    covered: pd.DataFrame,
    indicators: pd.DataFrame,
    ties: pd.DataFrame,
    *,
    pairs: pd.DataFrame,
    focus: pd.DataFrame,
    years: tuple[int, int],
    min_coverage: float = 0.5,
    history_years: int = 10,
    pair_figures: pd.DataFrame | None = None,
) -> Panel:
    """Join counts, indicators and ties to one panel, and account for all that is lost.

    Parameters
    ----------
    counts : DataFrame
        `schema.COUNTS`; works of a pair in a year, only pairs that the source lists. Fractional
        ones with the full ones in `schema.IN_FULL`.
    covered : DataFrame of iso3, year
        Countries whose whole row of the matrix the source gave in a year. A pair that is absent
        from `counts` is a known zero where either end is covered, and missing otherwise.
    indicators : DataFrame
        `schema.INDICATORS`, long; may start before the first year.
    ties : DataFrame
        `schema.TIES`, one row per unordered pair.
    pairs, focus : DataFrame of country_a, country_b
        Pairs that the panel holds, and those that the study is about (a part of `pairs`).
    years : (int, int)
        First and last year of counts, both included.
    min_coverage : float
        A country is left out when it has a smaller share of the country variables, each counted
        as had when it has a value in any year of the panel.
    history_years : int
        Years before the first for which country variables are kept, so that lagged features of
        the first years exist. Their `works` are missing.
    pair_figures : DataFrame or None
        Key `country_a, country_b, year`, and a column for each imported figure of a pair.

    Raises
    ------
    DataError
        When no pair, no focus pair, or no count is left.
    """
    first, last = years
    dropped: list[dict[str, object]] = []
    pairs = pd.concat([pairs, focus]).drop_duplicates(ignore_index=True)
    wanted = sorted(set(pairs["country_a"]) | set(pairs["country_b"]))

    window = indicators[indicators["year"].between(first - history_years, last)]
    reasons = _reasons_to_drop(wanted, counts, window, ties, years=years, min_coverage=min_coverage)
    for country, reason in sorted(reasons.items()):
        touched = (pairs["country_a"] == country) | (pairs["country_b"] == country)
        dropped.append(
            {"kind": "country", "what": country, "reason": reason, "count": int(touched.sum())}
        )
    pairs = _without(pairs, reasons)
    focus = _without(focus, reasons)

    tied = pairs.merge(ties, on=PAIR, how="left", validate="one_to_one", indicator="_found")
    lost = tied[tied["_found"] == "left_only"]
    if len(lost):
        names = some(f"{a}-{b}" for a, b in lost[PAIR].itertuples(index=False))
        dropped.append(
            {"kind": "pair", "what": names, "reason": "no distance known", "count": len(lost)}
        )
    tied = tied[tied["_found"] == "both"].drop(columns="_found")
    focus = focus.merge(tied[PAIR], on=PAIR, how="inner", validate="one_to_one")
    if tied.empty or focus.empty:
        why = some(sorted({str(d["reason"]) for d in dropped})) or "none was requested"
        raise DataError(f"panel: no focus pair is left ({why}); widen focus or correct the data")

    grid = tied.merge(pd.DataFrame({"year": range(first - history_years, last + 1)}), how="cross")
    grid = grid.merge(counts, on=PAIR_YEAR, how="left", validate="one_to_one")
    grid["works"] = _zeros_told_from_missing(grid, covered, first)
    if IN_FULL in grid:
        grid[IN_FULL] = grid[IN_FULL].fillna(0.0).where(grid["works"].notna())
    if pair_figures is not None and len(pair_figures):
        grid = grid.merge(pair_figures, on=PAIR_YEAR, how="left", validate="one_to_one")
    wide = _wide(window)
    for end in ("a", "b"):
        side = wide.add_suffix(f"_{end}").reset_index()
        side = side.rename(columns={"iso3": f"country_{end}"})
        grid = grid.merge(side, on=[f"country_{end}", "year"], how="left", validate="many_to_one")

    in_years = grid["year"] >= first
    if not grid.loc[in_years, "works"].fillna(0).gt(0).any():
        raise DataError(
            f"panel: no work is counted for any pair from {first} to {last}; "
            "check years and countries against the source"
        )
    for year, works in grid[in_years].groupby("year")["works"]:
        if works.isna().all():
            dropped.append(
                {"kind": "year", "what": str(year), "reason": "no counts", "count": len(works)}
            )
    warnings = []
    missing = int(grid.loc[in_years, "works"].isna().sum())
    if missing:
        warnings.append(
            f"{missing} of {int(in_years.sum())} pair-years have no count and are left out"
        )
    table = grid.sort_values(PAIR_YEAR, ignore_index=True)
    return Panel(
        table=check(table, PANEL, "panel"),
        focus=focus.sort_values(PAIR, ignore_index=True),
        dropped=dropped,
        warnings=warnings,
    )


def _reasons_to_drop(
    countries: list[str],
    counts: pd.DataFrame,
    indicators: pd.DataFrame,
    ties: pd.DataFrame,
    *,
    years: tuple[int, int],
    min_coverage: float,
) -> dict[str, str]:
    span = counts[counts["year"].between(*years) & counts["works"].gt(0)]
    counted = set(span["country_a"]) | set(span["country_b"])
    placed = set(ties["country_a"]) | set(ties["country_b"])
    n_variables = max(indicators["variable"].nunique(), 1)
    had = indicators.groupby("iso3")["variable"].nunique() / n_variables
    reasons = {}
    for country in countries:
        if country not in counted:
            reasons[country] = "no work counted in any year"
        elif country not in placed:
            reasons[country] = "no distance known"
        elif len(indicators) and had.get(country, 0.0) < min_coverage:
            reasons[country] = (
                f"only {int(100 * had.get(country, 0.0))}% of the country variables known, "
                f"less than factors.min_coverage {100 * min_coverage:.3g}%"
            )
    return reasons


def _without(pairs: pd.DataFrame, countries: Iterable[str]) -> pd.DataFrame:
    gone = list(countries)
    keep = ~(pairs["country_a"].isin(gone) | pairs["country_b"].isin(gone))
    return pairs[keep].reset_index(drop=True)


def _zeros_told_from_missing(grid: pd.DataFrame, covered: pd.DataFrame, first: int) -> pd.Series:
    """Return works, zero where a source known to be complete leaves a pair out."""
    known = pd.MultiIndex.from_frame(covered[["iso3", "year"]])
    known_pair = np.zeros(len(grid), dtype=bool)
    for end in PAIR:
        known_pair |= pd.MultiIndex.from_frame(grid[[end, "year"]]).isin(known)
    works = grid["works"].where(grid["works"].notna() | ~known_pair, 0.0)
    return works.where(grid["year"] >= first)


def _wide(indicators: pd.DataFrame) -> pd.DataFrame:
    return indicators.pivot(index=["iso3", "year"], columns="variable", values="value").rename_axis(
        columns=None
    )


def coverage_by_country(panel: Panel) -> pd.DataFrame:
    """Return the share of known country-year values for each country of the focus set.

    Returns
    -------
    DataFrame of iso3, coverage
        `coverage` between 0 and 1 over all country variables and years of the panel.
    """
    table = panel.table
    first = table.loc[table["works"].notna(), "year"].min()
    rows = table[table["year"] >= first]
    parts = []
    for end in ("a", "b"):
        columns = [c for c in rows.columns if c.endswith(f"_{end}") and c != f"country_{end}"]
        known = rows[columns].notna().mean(axis=1)
        parts.append(pd.DataFrame({"iso3": rows[f"country_{end}"], "coverage": known}))
    both = pd.concat(parts)
    focus = set(panel.focus["country_a"]) | set(panel.focus["country_b"])
    both = both[both["iso3"].isin(focus)]
    return both.groupby("iso3", as_index=False)["coverage"].mean()
