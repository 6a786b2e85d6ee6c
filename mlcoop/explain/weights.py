"""Weights under which a study is fitted again: whole pairs or countries, in balance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

# Deviations per unit of the weights' own spread. A pair's weight has standard deviation one. A
# country's has a half, since products of exponential weights would leave most of the fit to a few
# pairs, and the replicates would tell of that rather than of the estimate.
SPREAD = {"pair": 1.0, "country": 2.0}
SHAPE = {"pair": 1.0, "country": 4.0}  # of the gamma distribution, one over its variance
PASSES = 5
FEWEST_IN_BLOCK = 5


def resampling_weights(
    ends: np.ndarray, unit: str, resamples: int, folds: int, seed: int
) -> tuple[np.ndarray, float, int]:
    """Draw the weight of every pair in every replicate.

    Parameters
    ----------
    ends : array of shape (n_pairs, 2)
        Countries of each pair.
    unit : {"pair", "country"}
        Whole pairs, or the product of both countries' weights.
    resamples : int, at least 4
    folds : int
        Replicate b refits the model of fold b modulo this.
    seed : int

    Returns
    -------
    weights : array of shape (resamples, n_pairs)
        Above zero, mean about one.
    scale : float
        By what a refit's deviation is to be multiplied, so that deviations over all replicates
        have the spread of the estimate.
    freedom : int
        Degrees of freedom of that spread: replicates less balanced blocks.

    Notes
    -----
    A balanced Bayesian bootstrap: in each half of the replicates (where countries are drawn, and
    five or more replicates share a fold, among those) every pair has mean weight one, so that what
    an estimate depends on linearly cancels in a half's mean, and the two halves agree but for
    curvature and the learner's own seeds. What balancing takes from the spread, the scale gives
    back: gamma weights of shape a over the mean of m of them have variance (m - 1) / (a m + 1).
    Halves stay independent.

    References
    ----------
    Davison, Hinkley and Schechtman 1986, doi:10.1093/biomet/73.3.555 (balanced resampling, there
    of counts); Rubin 1981, doi:10.1214/aos/1176345338.
    """
    rng = np.random.default_rng([seed, 7])
    countries, code = np.unique(ends, return_inverse=True)
    code = code.reshape(ends.shape)
    shape = SHAPE[unit]
    units = len(ends) if unit == "pair" else len(countries)
    times = rng.gamma(shape, 1 / shape, size=(resamples, units))
    # for pairs, balance by fold let chance effects through a little more often than by half
    parts = _blocks(resamples, folds if unit == "country" else 1)
    times = _balanced(times, parts)
    if unit != "pair":
        times = times[:, code[:, 0]] * times[:, code[:, 1]]
        # the chance covariance of two countries' weights would leave their pair out of balance
        for _ in range(PASSES):
            times = _balanced(times / times.mean(axis=1, keepdims=True), parts)
    size = np.array([len(part) for part in parts])
    left_over = (size * (size - 1) / (size + 1 / shape)).sum()
    scale = SPREAD[unit] * float(np.sqrt((resamples - 1) / left_over))
    return times, scale, resamples - len(parts)


def spread_freedom(ends: np.ndarray, unit: str, factors: int, drawn: int) -> float:
    """Return degrees of freedom of a spread: of what is resampled, and of its replicates.

    Few units know the spread badly, and few replicates know what the units know (Satterthwaite).

    Parameters
    ----------
    ends : array of shape (n_pairs, 2)
        Countries of each pair.
    unit : {"pair", "country"}

    >>> spread_freedom(np.array([["a", "b"]] * 126), "pair", 66, 190).__round__(1)
    47.3
    """
    units = len(ends) if unit == "pair" else len(np.unique(ends))
    return 1 / (1 / max(2.0, units - min(factors, units / 2)) + 1 / drawn)


def weights_key(pairs: Iterable[str], unit: str, resamples: int, seed: int) -> str:
    """Return what weights are known by: rankings with the same key drew the same ones."""
    text = "\n".join([unit, str(resamples), str(seed), *pairs])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _blocks(resamples: int, folds: int) -> list[np.ndarray]:
    """Return the replicates that are balanced among themselves."""
    number = np.arange(resamples)
    both = [number[half] for half in halves(resamples)]
    each = [half[half % folds == k] for half in both for k in range(folds)]
    return each if min(len(block) for block in each) >= FEWEST_IN_BLOCK else both


def _balanced(times: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    """Give every column mean one in each block of rows."""
    out = times.copy()
    for block in blocks:
        out[block] /= times[block].mean(axis=0)
    return out


def halves(resamples: int) -> tuple[slice, slice]:
    """Return the two independent halves of the replicates."""
    return slice(0, resamples // 2), slice(resamples // 2, resamples)
