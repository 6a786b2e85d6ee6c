"""Which years a forecast can be tested from, and which of them are reported."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, takewhile

import numpy as np
from numpy.typing import NDArray

from mlcoop.errors import DataError, counted, some

REPORTED = 10
WARM_UP = 3
"""Origins before the reported ones that weights and intervals need to be worth their name."""


def first_origin(n_years: int) -> int:
    """Return the first column that may serve as a training origin of a history this long."""
    return min(5, max(1, (n_years - 3) // 4))


def possible_origins(years: NDArray[np.int64], horizon: int) -> list[int]:
    """Return the years with counts that have years to learn from before and an outcome after them.

    Parameters
    ----------
    years : int array
        Years with counts, rising; where one is missing, neither a forecast from it nor one for it
        can be tested.

    Examples
    --------
    >>> possible_origins(np.array([2001, 2002, 2003, 2004, 2005, 2007, 2008]), 1)
    [2003, 2004, 2007]
    """
    known = set(years.tolist())
    span = int(years[-1] - years[0]) + 1
    first = int(years[0]) + first_origin(span) + horizon + (1 if span >= 12 else 0)
    return [y for y in sorted(known) if y >= first and y + horizon in known]


def fewest_years(horizon: int) -> int:
    """Return how many consecutive years leave an origin to learn from and check.

    >>> [fewest_years(horizon) for horizon in (1, 2, 5)]
    [4, 6, 14]
    """
    return next(n for n in count(1) if possible_origins(np.arange(n), horizon))


def forecast_horizons(years: NDArray[np.int64], most: int) -> tuple[list[int], list[str]]:
    """Return the horizons up to `most` that leave an origin, and a warning of those that do not.

    Examples
    --------
    >>> forecast_horizons(np.arange(2011, 2019), 3)[0]
    [1, 2, 3]
    """
    asked = range(1, most + 1)
    possible = list(takewhile(lambda h: possible_origins(years, h), asked))
    far = asked[len(possible) :]
    if not far:
        return possible, []
    ahead = f"{some(far)} year{'s' if far[-1] > 1 else ''} ahead"
    return possible, [
        f"No forecast {ahead}: {len(years)} years of counts ({years[0]}-{years[-1]}) leave no "
        f"origin to test it from; {far[-1]} ahead needs {fewest_years(far[-1])} consecutive years."
    ]


def plan_origins(
    years: NDArray[np.int64],
    horizon: int = 1,
    origins: Sequence[int] | None = None,
    last_origins: int = REPORTED,
) -> tuple[list[int], list[int], list[str]]:
    """Return warm-up origins, reported origins and warnings about them.

    Parameters
    ----------
    years : int array
        See `possible_origins`.
    origins : sequence of int or None
        Years to report; None for the last ten that leave three for warming up.

    Raises
    ------
    DataError
        When the history is too short for a single origin, or a named origin has no outcome or
        too few years before it.
    """
    possible = possible_origins(years, horizon)
    if not possible:
        raise DataError(
            f"backtest at horizon {horizon}: {len(years)} years ({years[0]}-{years[-1]}) leave no "
            f"origin to train on and test; give at least {fewest_years(horizon)} in a row"
        )
    warnings = []
    absent = sorted(set(range(int(years[0]), int(years[-1]))) - set(years.tolist()))
    if absent:
        warnings.append(
            f"No counts for {some(absent)}: no forecast from or for such a year is tested."
        )
    if origins is None:
        reported = possible[min(WARM_UP, len(possible) // 3) :][-last_origins:]
    else:
        wrong = sorted(set(int(o) for o in origins) - set(possible))
        if wrong:
            raise DataError(
                f"backtest at horizon {horizon}: origins {wrong} have too few years before them "
                f"or no outcome; possible are {some(possible, most=12)}"
            )
        reported = sorted(set(int(o) for o in origins))
    warm = [y for y in possible if y < reported[0]]
    if len(reported) < last_origins and origins is None:
        warnings.append(
            f"Only {counted(len(reported), 'origin')} can be tested at horizon {horizon}: "
            "estimates of skill and coverage are imprecise."
        )
    if len(warm) < WARM_UP:
        few = f"Only {counted(len(warm), 'origin')}" if warm else "No origin"
        warnings.append(
            f"{few} before the first reported one: its intervals and ensemble weights rest on few "
            "data."
        )
    return warm, reported, warnings
