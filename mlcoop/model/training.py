"""Training rows as learners take them: checked, drawn where there are many, sorted by pair."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mlcoop.errors import DataError

# From so many pairs on, learners take counts as Poisson and row by row: lasting effects of pairs
# need not be told from those of factors, and trees have enough to learn from.
MANY_PAIRS = 500


@dataclass
class Training:
    """Training rows, sorted by pair, as arrays; `offset` is the log of the exposure."""

    X: np.ndarray
    y: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    pair: np.ndarray
    starts: np.ndarray
    pair_names: np.ndarray
    years: np.ndarray | None

    def take(self, rows: np.ndarray) -> Training:
        """Return some rows, by a mask that leaves every pair one or more."""
        pair = self.pair[rows]
        return replace(
            self,
            X=self.X[rows],
            y=self.y[rows],
            offset=self.offset[rows],
            weight=self.weight[rows],
            pair=pair,
            starts=_starts(pair),
            years=None if self.years is None else self.years[rows],
        )


def arrange(
    X: pd.DataFrame,
    y: np.ndarray,
    exposure: np.ndarray | None,
    weight: np.ndarray | None,
    pairs: np.ndarray | None,
    years: np.ndarray | None,
    most_rows: int,
    seed: int,
) -> Training:
    """Return the rows to fit on, those of a pair side by side, `most_rows` drawn of more.

    Exposure, weight and pairs may be None: 1, 1 and every row a pair of its own.

    Raises
    ------
    DataError
        When there is no row, works are missing or negative, or exposure is not above zero.
    """
    values = np.asarray(y, dtype=float)
    if not len(values):
        raise DataError("learner: no row to fit on; widen the years or the pairs")
    if np.isnan(values).any() or (values < 0).any():
        raise DataError(
            f"learner: {int((~(values >= 0)).sum())} rows have missing or negative works; drop them"
        )
    n = len(values)
    exposure = np.ones(n) if exposure is None else np.asarray(exposure, dtype=float)
    if not (exposure > 0).all():
        raise DataError("learner: exposure must be above zero in every row; drop the others")
    names = np.arange(n) if pairs is None else np.asarray(pairs)
    chosen, drawn = draw_rows(values, weight, names, most_rows, seed)
    unique, code = np.unique(names[chosen], return_inverse=True)
    order = np.argsort(code, kind="stable")
    chosen, code = chosen[order], code[order]
    return Training(
        X=np.asarray(X, dtype=float)[chosen],
        y=values[chosen],
        offset=np.log(exposure[chosen]),
        weight=drawn[order],
        pair=code,
        starts=_starts(code),
        pair_names=unique,
        years=None if years is None else np.asarray(years)[chosen],
    )


def _starts(pair: np.ndarray) -> np.ndarray:
    """Return the first row of every pair, whose rows are neighbours."""
    return np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]])


def draw_rows(
    y: np.ndarray,
    weight: np.ndarray | None,
    pairs: np.ndarray | None,
    most: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows where there are more than wanted; rows of a pair say much the same.

    Parameters
    ----------
    y : array of shape (n_rows,)
        Counts.
    weight, pairs : arrays of shape (n_rows,), or None
        Weights (all 1 without), and the name of each row's pair (each its own without).
    most : int
        Rows wanted.
    seed : int

    Returns
    -------
    chosen : int array of shape (n_drawn,), rising
    weight : array of shape (n_drawn,)
        Weights that stand for all rows, of the same mean as before.

    Notes
    -----
    A Poisson count of mean `m` pulls at the coefficients with a variance of `m`. So where pairs are
    many (`MANY_PAIRS`) rows are drawn in proportion to `weight * sqrt(1 + mean of the pair)`, and
    weighted up by what was left out (Neyman's allocation; Hansen and Hurwitz 1943,
    doi:10.1214/aoms/1177731356). Most pairs of the world have hardly any works: drawn evenly, as
    where pairs are few, they are most of the rows and say next to nothing.
    """
    n = len(y)
    weight = np.ones(n) if weight is None else np.asarray(weight, dtype=float)
    if n <= most:
        return np.arange(n), weight
    rng = np.random.default_rng(seed)
    code, names = pd.factorize(np.arange(n) if pairs is None else np.asarray(pairs))
    if len(names) < MANY_PAIRS:
        chosen = np.sort(rng.choice(n, most, replace=False))
        return chosen, weight[chosen]
    size = weight * np.sqrt(1 + np.bincount(code, y) / np.bincount(code))[code]
    share = _inclusion(size, most)
    order = rng.permutation(n)
    # systematic sampling: exactly so many rows, each with its own probability
    steps = np.cumsum(share[order]) + rng.random()
    chosen = np.sort(order[np.flatnonzero(np.diff(np.floor(steps), prepend=0.0) > 0)])
    drawn = weight[chosen] / share[chosen]
    return chosen, drawn * weight.mean() / drawn.mean()


def _inclusion(size: np.ndarray, most: int) -> np.ndarray:
    """Return probabilities in proportion to size, none above 1, that add up to `most`."""
    share = most * size / size.sum()
    while (share > 1).any():
        full = share >= 1
        share = np.where(full, 1.0, size * (most - full.sum()) / size[~full].sum())
    return share


def expected_works(margin: np.ndarray, exposure: np.ndarray | None) -> np.ndarray:
    """Return works from log rates, which are cut at 25 either way so that none overflows."""
    mean = np.exp(np.clip(margin, -25, 25))
    return mean if exposure is None else mean * np.asarray(exposure, dtype=float)
