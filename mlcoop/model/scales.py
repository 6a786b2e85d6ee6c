"""Choose the scale on which a skew figure acts: as given, in logs, or in logs from a start.

Output, people or patents span decades. Their effect on works is as a rule one of their logarithm
(the gravity equation), but a panel may hold them as they are, and then a straight line is led by
the few largest and misses the effect: it goes to whichever neighbours follow the logarithm.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from scipy import stats

from mlcoop.model.basis import FEW_VALUES, LOGS, Scale, Term, learn_basis
from mlcoop.model.loglinear import fit_mixed, score_alone
from mlcoop.model.mixed_rows import mixed_rows
from mlcoop.model.training import Training

GIVEN, LOG = 0, 1
SKEWED = 1.0
"""Skewness above which other scales are tried. Above 2 only, tau is 0.90 instead of 0.93 on thirty
worlds with figures left out of logs (docs/tried-rankings.md)."""


def other_scales(X: np.ndarray) -> tuple[tuple[Scale, Scale], ...]:
    """Return the scales that could be taken instead of the figures as given.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), NaN where missing

    Returns
    -------
    tuple of (Scale, Scale)
        For every feature that is never below zero and skew to the right: its logarithm, and the
        logarithm of its sum with its median, which is straight for small values and logarithmic
        for large ones (started logarithm; Tukey 1977, Exploratory Data Analysis, chapter 3).
    """
    found = []
    for column, values in enumerate(X.T):
        x = values[~np.isnan(values)]
        if len(np.unique(x)) > FEW_VALUES and x.min() >= 0 and stats.skew(x) > SKEWED:
            found.append(_logs(X, column))
    return tuple(found)


def agreed_scales(X: np.ndarray, terms: Collection[Term]) -> tuple[Scale, ...]:
    """Return the scales that are among `terms`, whether or not these rows would have them tried."""
    columns = sorted({t.columns[0] for t in terms if t.kind in LOGS})
    return tuple(s for column in columns for s in _logs(X, column) if s.term in terms)


def scales_of(
    data: Training, terms: Collection[Term] | None, *, nuisance: bool = True
) -> tuple[Scale, ...]:
    """Return the scales among `terms`, or where none are given those that these rows choose."""
    if terms is None:
        return choose_scales(data, nuisance=nuisance)
    return agreed_scales(data.X, terms)


def _logs(X: np.ndarray, column: int) -> tuple[Scale, Scale]:
    above = X[X[:, column] > 0, column]
    floor, middle = np.quantile(above, [0.005, 0.5]) if len(above) else (1.0, 1.0)
    return Scale(column, float(floor), 0.0), Scale(column, float(floor), float(middle))


def choose_scales(data: Training, *, nuisance: bool = True) -> tuple[Scale, ...]:
    """Return the scales that explain works better than the figures as given.

    Parameters
    ----------
    data : Training
    nuisance : bool
        Whether countries and years have effects of their own in the fit.

    Notes
    -----
    All scales of all factors stand in one fit. Of a factor that one is taken which would explain
    most if it were its only one, all else as fitted; but where it gains less than the logarithm of
    the number of pairs (as BIC asks), the factor follows the others: logarithms where those are
    worth as much more over all factors, else figures as given. So a factor that says little is on
    the scale of its panel, and output stays the product of people and output per head.
    """
    tried = other_scales(data.X)
    if not tried:
        return ()
    k = data.X.shape[1]
    beside = [s.of(data.X[:, s.column]) for of_all in zip(*tried, strict=True) for s in of_all]
    wide = replace(data, X=np.column_stack([data.X, *beside]))
    basis = learn_basis(wide.X, weight=data.weight, smooth=False)
    fit = fit_mixed(mixed_rows(basis, wide, nuisance=nuisance))
    # after the constant: figures as given, their logarithms, their started logarithms
    gains = np.array(
        [
            score_alone(fit, 1 + np.array([log.column, k + at, k + len(tried) + at]))
            for at, (log, _) in enumerate(tried)
        ]
    )
    clear = np.log(len(data.starts))
    as_given, logs, _ = gains.sum(axis=0)
    usual = LOG if logs > as_given + clear else GIVEN
    best = gains.argmax(axis=1)
    best[gains.max(axis=1) - gains[:, usual] <= clear] = usual
    return tuple(pair[b - LOG] for pair, b in zip(tried, best, strict=True) if b != GIVEN)
