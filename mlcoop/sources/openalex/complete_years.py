"""Which years a source holds whole: the last ones are always incomplete."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlcoop.errors import ConfigError, some

WHERE = "OpenAlex"


def resolve_latest(totals: Mapping[int, int], max_shortfall: float = 0.1) -> int:
    """Return the last complete year: the last that does not fall short of those before it.

    Parameters
    ----------
    totals : mapping of year to works
    max_shortfall : float in [0, 1)
        A year is incomplete when it holds less than `1 - max_shortfall` of the largest of the
        three years before it. (The year before alone would not do: of two incomplete years the
        second need not fall short of the first.)

    Raises
    ------
    ConfigError
        When no year is complete.

    Examples
    --------
    >>> resolve_latest({2018: 90, 2019: 100, 2020: 110, 2021: 60, 2022: 58})
    2020
    """
    for year in sorted(totals, reverse=True):
        before = _most(totals, range(year - 3, year))
        if before and totals[year] >= (1 - max_shortfall) * before:
            return year
    raise ConfigError(
        f"years.end: latest: the source holds no complete year (works by year: {dict(totals)}); "
        "write a year, or change the target's filters"
    )


def check_years(totals: Mapping[int, int], lo: int, hi: int, max_shortfall: float = 0.1) -> None:
    """Refuse years that the source does not hold, and years after the last complete one.

    Raises
    ------
    ConfigError
        With the reason and the last complete year: an absent year must not be read as zeros.
    """
    absent = [year for year in range(lo, hi + 1) if year not in totals]
    if not totals or (absent and min(absent) < min(totals)):
        first = min(totals) if totals else None
        raise ConfigError(
            f"years.start: {WHERE} holds no works of {some(absent)}"
            + (f"; start at {first} or later" if first else "; check the target's filters")
        )
    latest = resolve_latest(totals, max_shortfall)
    if hi > latest:
        short = f"{totals[hi]:,} works" if hi in totals else "no works"
        raise ConfigError(
            f"years.end: {WHERE} is not complete in {hi} ({short}; {totals[latest]:,} in {latest}, "
            f"the last complete year); write {latest} or latest"
        )
    if absent:
        raise ConfigError(f"years: {WHERE} holds no works of {some(absent)}; shorten the years")


def name_holes(
    totals: Mapping[int, int], lo: int, hi: int, max_shortfall: float = 0.1
) -> list[str]:
    """Return one line that names the years with suspiciously few works, or none.

    They hold less than `1 - max_shortfall` of the largest of the three years before and of the
    three years after, by more than chance. (Before alone would not do: works may become fewer.)
    It may be a part of the works or a fact, so they are named and not refused.

    Examples
    --------
    >>> name_holes({2016: 1100, 2017: 1200, 2018: 600, 2019: 1300}, 2016, 2019)
    ['OpenAlex: years that may be incomplete: 2018 (600 works; 1,200 before and 1,300 after)']
    """
    found = []
    for year in range(lo, hi + 1):
        before = _most(totals, range(year - 3, year))
        after = _most(totals, range(year + 1, year + 4))
        if _fewer(totals[year], min(before, after), max_shortfall):
            found.append(f"{year} ({totals[year]:,} works; {before:,} before and {after:,} after)")
    return [f"{WHERE}: years that may be incomplete: {some(found)}"] if found else []


def falls_short(totals: Mapping[int, int], year: int, max_shortfall: float = 0.1) -> bool:
    """Say whether a year holds fewer works than the three before it, by more than chance.

    >>> falls_short({2020: 900, 2021: 1000, 2022: 500}, 2022)
    True
    >>> falls_short({2020: 9, 2021: 10, 2022: 5}, 2022)
    False
    """
    return _fewer(totals[year], _most(totals, range(year - 3, year)), max_shortfall)


def _most(totals: Mapping[int, int], years: range) -> int:
    """Return the works of the fullest of some years, 0 where the source holds none of them."""
    return max((totals[y] for y in years if y in totals), default=0)


def _fewer(works: int, others: int, max_shortfall: float) -> bool:
    # Three standard deviations of such a count: the years of a thin target differ by chance.
    return works < (1 - max_shortfall) * others - 3 * math.sqrt(others)
