"""The chance that a pair has no work at all, from how often forecasts of its size met a zero."""

from __future__ import annotations

import numpy as np
from sklearn.isotonic import IsotonicRegression

from mlcoop.model.history import FloatArray

GROUP, GROUPS = 200, 20
"""Forecasts of like size that share a knot: the standard error of a share of half is 0.035. Of
fewer than 4,000 forecasts a twentieth: all in one heap, a pair of a thousand works would have the
zeros of the small."""


def fit_zero_shares(predicted: FloatArray, observed: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log sizes, rising, and the share of outcomes that were zero there, never rising.

    Parameters
    ----------
    predicted, observed : float arrays
        Works of earlier origins.

    Notes
    -----
    Counted, not derived from a distribution: small counts are zero more often than Poisson's law
    has it, by how much depends on the source.
    """
    order = np.argsort(predicted, kind="stable")
    group = min(GROUP, max(len(order) // GROUPS, 1))
    groups = np.array_split(order, len(order) // group)
    sizes = np.array([np.log1p(predicted[g]).mean() for g in groups])
    shares = np.array([(observed[g] == 0).mean() for g in groups])
    falling = IsotonicRegression(increasing=False).fit(sizes, shares).predict(sizes)
    # Neighbours of one share say nothing more than their ends.
    inside = (falling[1:-1] == falling[:-2]) & (falling[1:-1] == falling[2:])
    keep = np.r_[True, ~inside, True] if len(falling) > 2 else np.ones(len(falling), dtype=bool)
    return sizes[keep], np.asarray(falling, dtype=float)[keep]


def chance_of_zero(sizes: FloatArray, shares: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return the probability of a zero for forecasts of these works.

    >>> chance_of_zero(np.array([0.0, 1.0]), np.array([0.8, 0.0]), np.array([0.0, 0.6487, 9.0]))
    array([0.8, 0.4, 0. ])
    """
    return np.round(np.interp(np.log1p(predicted), sizes, shares), 4)
