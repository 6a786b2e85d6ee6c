"""Baselines that a forecast must beat, all closed form and on the same counts.

Each takes the counts up to the origin, as a matrix of pairs (rows) and years (columns), and the
horizon in years, and returns the expected works of every pair. A baseline is set as well as it can
be without fitting it: a forecast that beats a badly set one has shown nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlcoop.forecast.history import FloatArray, History, carry_forward, sum_by_country

SMOOTHING = [
    (level, trend, damping)
    for level in (0.4, 0.6, 0.8)
    for trend in (0.1, 0.3, 0.5)
    for damping in (0.9, 0.95, 0.98)
]
START_YEARS = 3
"""Years whose mean growth is the trend that smoothing starts from. Starting flat, most of twenty
years went into learning it: 0.125 instead of 0.083 on targets 2010-2013, where this was chosen."""
PPML_YEARS = 5


def persist(counts: FloatArray) -> FloatArray:
    """Return the last count of every pair."""
    return counts[:, -1]


def drift(counts: FloatArray, span: int, horizon: int = 1) -> FloatArray:
    """Return the last count moved on by the mean change of the last `span` years.

    `y + horizon * (y - y_before) / span`, not below zero. Where fewer years are known, of all pairs
    or of one, the span is what there is.

    References
    ----------
    Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice, 3rd ed., section 5.2.

    Examples
    --------
    >>> drift(np.array([[1.0, 3.0]]), span=1, horizon=2)
    array([7.])
    """
    window = counts[:, -1 - min(span, counts.shape[1] - 1) :]
    first = np.isfinite(window).argmax(axis=1)
    known = np.maximum(window.shape[1] - 1 - first, 1)
    last, before = window[:, -1], window[np.arange(len(window)), first]
    return np.maximum(last + horizon * (last - before) / known, 0)


def country_growth(counts: FloatArray, ends: NDArray[np.int64], n_countries: int) -> FloatArray:
    """Return every country's growth factor from the year before to the last one.

    Takes counts as observed, NaN where not: one carried forward would pass as no growth. The sum
    is over a country's pairs observed in both years; a country with one pair only gets the growth
    of all pairs together, since its own would repeat the pair's drift.
    """
    if counts.shape[1] < 2:
        return np.ones(n_countries)
    both = ~np.isnan(counts[:, -1]) & ~np.isnan(counts[:, -2])
    now, before = np.where(both, counts[:, -1], 0.0), np.where(both, counts[:, -2], 0.0)
    world = now.sum() / before.sum() if before.sum() > 0 else 1.0
    sums = [sum_by_country(x, ends, n_countries) for x in (now, before, both.astype(float))]
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = sums[0] / sums[1]
    return np.where((sums[2] > 1) & (sums[1] > 0), growth, world)


def group_growth(
    counts: FloatArray, ends: NDArray[np.int64], n_countries: int, horizon: int = 1
) -> FloatArray:
    """Return the last count times the geometric mean of both countries' last growth factors.

    Takes counts as observed, like `country_growth`; the last count is the last one observed.
    """
    growth = country_growth(counts, ends, n_countries)
    factor = np.sqrt(growth[ends[:, 0]] * growth[ends[:, 1]])
    return carry_forward(counts)[:, -1] * factor**horizon


def smooth(counts: FloatArray, horizon: int = 1) -> FloatArray:
    """Return damped Holt smoothing of `log(1 + works)`, averaged over a grid of its constants.

    A pair's level starts at its first count, its trend at the mean growth of the `START_YEARS`
    after it.

    References
    ----------
    Gardner and McKenzie (1985), Management Science 31(10), doi:10.1287/mnsc.31.10.1237. The
    average over constants replaces their estimation, which short noisy series do not bear.
    """
    logs = np.log1p(counts)
    last = logs.shape[1] - 1
    alpha, beta, phi = np.array(SMOOTHING).T[:, :, None]
    level = np.full((len(SMOOTHING), len(logs)), np.nan)
    trend = np.zeros_like(level)
    for t in range(last + 1):
        # A pair not seen before starts here.
        start = np.isnan(level)
        reach = min(START_YEARS, last - t)
        first = (logs[:, t + reach] - logs[:, t]) / max(reach, 1)
        new = alpha * logs[:, t] + (1 - alpha) * (level + phi * trend)
        trend = np.where(start, first, beta * (new - level) + (1 - beta) * phi * trend)
        level = np.where(start, logs[:, t], new)
    ahead = level + trend * sum(phi**step for step in range(1, horizon + 1))
    return np.maximum(np.expm1(ahead.mean(axis=0)), 0)


def ppml(counts: FloatArray, horizon: int = 1, years: int = PPML_YEARS) -> FloatArray:
    """Return the Poisson pseudo-maximum-likelihood forecast with pair effects and pair trends.

    `works ~ exp(effect + trend * year)` for every pair over the last `years` years. The effect
    has a closed form given the trend, so each pair is one equation in its trend, solved by
    Newton steps. The trend is held within one log unit a year: with a single non-zero year at
    either end of the window its estimate would be infinite.

    References
    ----------
    Santos Silva and Tenreyro (2006), Review of Economics and Statistics 88(4),
    doi:10.1162/rest.88.4.641.
    """
    window = counts[:, -years:]
    seen = ~np.isnan(window)
    y = np.where(seen, window, 0.0)
    t = np.arange(window.shape[1]) - (window.shape[1] - 1.0)
    total = y.sum(axis=1)
    centre = (y * t).sum(axis=1) / np.maximum(total, 1e-12)
    slope = np.zeros(len(y))
    for _ in range(60):
        p = np.exp(slope[:, None] * t) * seen
        p /= np.maximum(p.sum(axis=1, keepdims=True), 1e-12)
        mean = (p * t).sum(axis=1)
        spread = (p * t * t).sum(axis=1) - mean**2
        step = (centre - mean) / np.maximum(spread, 1e-3)
        slope = np.clip(slope + np.clip(step, -0.5, 0.5), -1.0, 1.0)
    weight = (np.exp(slope[:, None] * t) * seen).sum(axis=1)
    forecast = total / np.maximum(weight, 1e-12) * np.exp(slope * horizon)
    return np.where(seen.any(axis=1), forecast, np.nan)


def _half_half(history: History, counts: FloatArray, horizon: int) -> FloatArray:
    grown = group_growth(history.counts, history.ends, len(history.countries), horizon)
    return (drift(counts, 3, horizon) + grown) / 2


# Of the history as observed, its counts carried forward, and the horizon.
BASELINES: dict[str, Callable[[History, FloatArray, int], FloatArray]] = {
    "persistence": lambda h, y, n: persist(y),
    "drift1": lambda h, y, n: drift(y, 1, n),
    "drift3": lambda h, y, n: drift(y, 3, n),
    "drift5": lambda h, y, n: drift(y, 5, n),
    "group_growth": lambda h, y, n: group_growth(h.counts, h.ends, len(h.countries), n),
    "drift3_group": _half_half,
    "smoothing": lambda h, y, n: smooth(y, n),
    "ppml": lambda h, y, n: ppml(y, n),
}


def forecast_baselines(history: History, origin: int, horizon: int = 1) -> dict[str, FloatArray]:
    """Return every baseline's forecast for year `origin + horizon`.

    Parameters
    ----------
    history : History
        Only years up to `origin` are read.
    origin : int
        Last year known.
    horizon : int, at least 1

    Returns
    -------
    dict from baseline name to float array of shape (n_pairs,)
        NaN for a pair that was never observed up to the origin.
    """
    known = history.until(origin)
    counts = carry_forward(known.counts)
    return {name: rule(known, counts, horizon) for name, rule in BASELINES.items()}
