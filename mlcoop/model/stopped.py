"""Years after which a pair has no more works, for reasons of its own."""

from __future__ import annotations

import numpy as np

from mlcoop.model.basis import learn_basis
from mlcoop.model.loglinear import fit_mixed
from mlcoop.model.mixed_fit import MixedFit, Rows
from mlcoop.model.mixed_rows import mixed_rows
from mlcoop.model.training import Training

RARE = 0.01
"""Chance that some pair is taken to have stopped where none has and the fit is right."""
LEVEL_STEPS = 30  # enough for a pair's level, which moves by at most one a step


def while_active(data: Training) -> tuple[Training, frozenset[str]]:
    """Return the rows without the years after pairs have stopped, and the pairs that have.

    A pair has stopped where the years without works after its last one are too many to be chance:
    by the factors, the years and its own level until then one panel in a hundred has such a pair.
    Such years make all counts look scattered and all pairs look unlike, so that little could be
    told. Where they follow a factor that the panel holds the fit expects them, and they stay.

    Parameters
    ----------
    data : Training
        In the order of years within pairs where `data.years` is None.

    Returns
    -------
    Training
        The same where no pair has stopped. Every pair keeps rows.
    frozenset of str
        Names of the pairs.
    """
    names: set[str] = set()
    while True:
        run = _after_last_work(data)
        if not _worth_a_fit(data, run):
            return data, frozenset(names)
        basis = learn_basis(data.X, weight=data.weight, smooth=False, years=data.years)
        rows = mixed_rows(basis, data)
        gone = run & _stopped(rows, fit_mixed(rows), run)[data.pair]
        if not gone.any():
            return data, frozenset(names)
        names |= set(data.pair_names[np.unique(data.pair[gone])])
        data = data.take(~gone)  # what they hid of the others shows in the next fit


def _after_last_work(data: Training) -> np.ndarray:
    """Whether a row is later than its pair's last work, shape (n_rows,); never without works."""
    when = np.arange(len(data.y)) if data.years is None else data.years
    last = np.maximum.reduceat(np.where(data.y > 0, when, -np.inf), data.starts)[data.pair]
    return np.isfinite(last) & (when > last)


def _worth_a_fit(data: Training, run: np.ndarray) -> bool:
    """Whether some pair's run would be too rare at its own rate until then, if it were Poisson.

    Scattered counts have more zeros, so where none would be there is hardly one to find.
    """

    def sums(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(data.weight * values, data.starts)

    exposure = np.exp(data.offset)
    expected = sums(data.y) / sums(exposure * ~run).clip(1e-300) * sums(exposure * run)
    return bool((expected > -np.log(RARE / len(data.starts))).any())


def _stopped(rows: Rows, fit: MixedFit, run: np.ndarray) -> np.ndarray:
    """Whether each pair's run without works is too rare by the fit, shape (n_pairs,)."""
    base = np.exp(np.clip(rows.design @ fit.coef + rows.offset, -25, 25))
    alpha = max(fit.dispersion, 1e-9)
    level = fit.pair_effect
    for _ in range(LEVEL_STEPS):  # the pair's level by what was before, not by the run itself
        mean = base * np.exp(level[rows.pair])
        weight = rows.weight * ~run * mean / (1 + alpha * mean)
        score = np.add.reduceat(weight * (rows.y - mean) / mean, rows.starts)
        known = np.add.reduceat(weight, rows.starts) + 1 / fit.effect_variance
        level = level + np.clip((score - level / fit.effect_variance) / known, -1, 1)
    surprise = np.log1p(alpha * base * np.exp(level[rows.pair])) / alpha  # -log chance of no work
    surprise = np.add.reduceat(rows.weight * run * surprise, rows.starts)
    # The level is known from `known` works, as it were: its exponential is nearly gamma distributed
    # of that shape, over which a Poisson chance averages to this. Of few works little is known.
    chance = -known * np.log1p(surprise / known)
    return np.asarray(chance < np.log(RARE / len(rows.starts)))
