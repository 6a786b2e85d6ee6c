"""How far works lie from those that factors expect, and whether a model is led astray."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

ASTRAY = 1.5, 5.0  # times the distance from one number for all pairs, and times the works


def poisson_deviance(
    observed: np.ndarray, expected: np.ndarray, weight: np.ndarray | float = 1.0
) -> float:
    """Return the weighted sum of `poisson_deviances`."""
    return float(np.sum(weight * poisson_deviances(observed, expected)))


def poisson_deviances(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return each row's Poisson deviance; expectations below 0.01 count as 0.01.

    >>> poisson_deviances(np.array([2.0]), np.ones(1)).round(3)  # 2 (2 ln 2 - 1)
    array([0.773])
    """
    mu = np.maximum(expected, 0.01)
    return 2 * (xlogy(observed, observed / mu) - observed + mu)


def lead_astray(works: np.ndarray, expected: np.ndarray) -> bool:
    """Return whether one number for every pair would be much nearer to works than those expected.

    Works expected must lie five times too high or low in the middle as well: where few pairs have
    any works, most are of one number. Then the factor model does not hold for pairs that it has
    not seen, as may be with few countries, however sure refits are of it. Medians of logs: a pair
    far beyond its factors is what is looked for, and no sign of it.

    >>> lead_astray(np.array([10, 20, 40]), np.array([12, 25, 9])), lead_astray(
    ...     np.array([10, 20, 40]), np.array([0.1, 2, 900]))
    (False, True)
    """
    came, said = np.log(works + 0.5), np.log(expected + 0.5)
    far, alike = np.median(np.abs(came - said)), np.median(np.abs(came - np.median(came)))
    return bool(far > max(ASTRAY[0] * alike, np.log(ASTRAY[1])))
