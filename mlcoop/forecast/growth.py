"""What is known of a pair's growth at an origin: the inputs of the forecast model.

Growth is taken in logs of works plus one and relative to the growth common to all pairs of that
year. The common part moves with the database and the times; a model that saw it as a feature had
one value a year to learn from, and missed 2018 by a factor of three (WAPE 0.19 instead of 0.07).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlcoop.forecast.history import FloatArray, History, carry_forward, sum_by_country
from mlcoop.forecast.network import network_inputs

COMMON_YEARS = 15
"""Years whose mean is the forecast of the common growth. It has little memory: a mean of three
years gave 0.087 over all pairs, of five 0.0843, of ten or more 0.0828 (docs/tried-forecasts.md)."""


@dataclass(frozen=True)
class Growth:
    """Deflated logs and country effects; a year's values depend on that year and earlier ones.

    Attributes
    ----------
    counts : float array of shape (n_pairs, n_years)
        A gap holds the last count seen, moved on by the common growth; NaN before the first. As it
        stood, it would pass for a pair that did not grow (WAPE with a tenth of real counts missing
        0.073 instead of 0.069, with three tenths 0.083 instead of 0.074).
    logs, relative : float arrays of shape (n_pairs, n_years)
        Log of works plus one, and the same less the common growth up to that year.
    common : float array of shape (n_years,)
        Common log growth from the year before, of pairs observed in both; zero in the first year.
        A year that no pair was observed in has the growth expected of it.
    totals : float array of shape (n_countries, n_years)
    effects : float array of shape (n_countries, n_years)
        Log growth of a country's pairs beyond the common one, shrunk to zero.
    """

    history: History
    counts: FloatArray
    logs: FloatArray
    common: FloatArray
    relative: FloatArray
    totals: FloatArray
    effects: FloatArray

    def change(self, before: int, after: int) -> FloatArray:
        """Return the relative log growth from one column to another, one value per pair.

        NaN where a pair was not observed in both: a count carried forward is no observation.
        """
        seen = np.isfinite(self.history.counts)
        known = seen[:, before] & seen[:, after]
        return np.where(known, self.relative[:, after] - self.relative[:, before], np.nan)


def weighted_median(values: FloatArray, weights: FloatArray) -> float:
    """Return the value where half of the weight lies below; 0 when there is no weight.

    >>> weighted_median(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 5.0]))
    9.0
    """
    use = np.isfinite(values) & (weights > 0)
    if not use.any():
        return 0.0
    order = np.argsort(values[use], kind="stable")
    heaps = np.cumsum(weights[use][order])
    return float(values[use][order][np.searchsorted(heaps, heaps[-1] / 2)])


def measure_growth(history: History) -> Growth:
    """Return the growth of all pairs, relative to what all pairs of a year share."""
    observed = np.log1p(history.counts)
    n_years, n_countries = observed.shape[1], len(history.countries)
    common = np.zeros(n_years)
    for k in range(1, n_years):
        common[k] = _common_growth(history.counts, common, k)
    shared, seen = np.cumsum(common)[None, :], np.isfinite(history.counts)
    relative = carry_forward(observed - shared)
    logs = np.where(seen, observed, relative + shared)
    counts = np.where(seen, history.counts, np.maximum(np.expm1(logs), 0))
    effects = np.zeros((n_countries, n_years))
    totals = np.zeros((n_countries, n_years))
    growth = Growth(history, counts, logs, common, relative, totals, effects)
    for k in range(n_years):
        totals[:, k] = sum_by_country(np.nan_to_num(counts[:, k]), history.ends, n_countries)
        if k:
            effects[:, k] = country_effects(
                growth.change(k - 1, k), counts[:, k - 1], history.ends, n_countries
            )
    return growth


def _common_growth(counts: FloatArray, common: FloatArray, k: int) -> float:
    """Return the common growth of column `k` of observed counts, given that of those before.

    After a year without counts it is the growth since the last year with some, less what was
    expected of the years between, so that the sum is what was seen.
    """
    for before in range(k - 1, -1, -1):
        change = np.log1p(counts[:, k]) - np.log1p(counts[:, before])
        if np.isfinite(change).any():
            # Weighted by works: this median is the growth that has the least absolute error.
            median = weighted_median(change, np.nan_to_num(counts[:, before]))
            return median - float(common[before + 1 : k].sum())
    return _usual_growth(common, k - 1)


def _usual_growth(common: FloatArray, k: int) -> float:
    past = common[max(1, k - COMMON_YEARS + 1) : k + 1]
    return float(past.mean()) if len(past) else 0.0


def expect_common(growth: Growth, k: int, horizon: int = 1) -> float:
    """Return the common log growth expected from column `k` to `k + horizon`."""
    return _usual_growth(growth.common, k) * horizon


def common_errors(growth: Growth, k: int, horizon: int = 1) -> list[float]:
    """Return the log errors that `expect_common` made in all years known at column `k`."""
    years, observed = growth.history.years, set(growth.history.observed_years)
    return [
        float(growth.common[s + 1 : s + horizon + 1].sum()) - expect_common(growth, s, horizon)
        for s in range(2, k - horizon + 1)
        if {years[s], years[s + horizon]} <= observed
    ]


def country_effects(
    change: FloatArray, before: FloatArray, ends: NDArray[np.int64], n: int, prior: float = 20.0
) -> FloatArray:
    """Return effects a with change ~ a[i] + a[j], by weighted least squares shrunk to zero.

    Changes are cut at 0.7: one paper of hundreds of countries multiplies small pairs by tens.
    """
    use = np.isfinite(change) & np.isfinite(before)
    change = np.where(use, np.clip(change, -0.7, 0.7), 0.0)
    weight = np.where(use, np.sqrt(np.nan_to_num(before) + 1) - 0.9, 0.0)
    effects = np.zeros(n)
    mass = sum_by_country(weight, ends, n) + prior
    for _ in range(10):
        rest = change - effects[ends[:, 0]] - effects[ends[:, 1]]
        pull = sum_by_country(weight * rest, ends, n)
        effects = effects + 0.7 * (pull / mass - 0.3 * effects * prior / mass)
    return effects


def growth_features(growth: Growth, k: int) -> pd.DataFrame:
    """Return the model's inputs at column `k`, one row per pair; later columns are not read.

    Symmetric in the two countries. NaN where a pair was not observed yet.
    """
    ends, relative, logs = growth.history.ends, growth.relative, growth.logs
    now = relative[:, k]
    f: dict[str, FloatArray] = {"last": logs[:, k]}
    for lag in (1, 2, 3, 4):
        f[f"growth{lag}"] = _at(relative, k - lag + 1) - _at(relative, k - lag)
    for span in (3, 5, 8):
        reach = min(span, k)
        f[f"drift{span}"] = (now - relative[:, k - reach]) / max(reach, 1)
    window = relative[:, max(0, k - 5) : k]
    if window.shape[1] == 0:
        window = relative[:, :1]
    t = np.arange(window.shape[1]) - (window.shape[1] - 1) / 2
    mean = window.mean(axis=1)
    slope = (window - mean[:, None]) @ t / max((t**2).sum(), 1.0)
    ahead = (window.shape[1] + 1) / 2
    f["jump"] = now - (mean + ahead * slope)
    f["slope"] = slope
    f["noise"] = np.abs(window - mean[:, None] - slope[:, None] * t).mean(axis=1)
    f["above_mean3"] = now - relative[:, max(0, k - 2) : k + 1].mean(axis=1)
    f["above_median5"] = now - np.median(relative[:, max(0, k - 4) : k + 1], axis=1)
    for span in (1, 3, 5):
        one, two = (_growth_elsewhere(growth, ends[:, side], k, span) for side in (0, 1))
        f[f"others_sum{span}"] = one + two
        if span < 5:
            f[f"others_low{span}"] = np.minimum(one, two)
            f[f"others_high{span}"] = np.maximum(one, two)
        effect = growth.effects[:, max(0, k - span + 1) : k + 1].mean(axis=1)
        f[f"effects{span}"] = effect[ends[:, 0]] + effect[ends[:, 1]]
    size = np.log(growth.totals[:, k] + 5)
    one, two = size[ends[:, 0]], size[ends[:, 1]]
    f["association"] = logs[:, k] - (one + two - np.log(growth.totals[:, k].sum() / 2 + 1))
    f["smaller"], f["larger"] = np.minimum(one, two), np.maximum(one, two)
    f["above_share"] = _above_share(growth, k)
    own = pd.DataFrame(f, index=growth.history.pairs.index)
    web = network_inputs(growth.counts[:, k], ends, len(growth.history.countries))
    inputs = [own, web.set_index(own.index)]
    if growth.history.international is not None:
        shares = _shares_of_works(growth, growth.history.international, k)
        inputs.append(pd.DataFrame(shares, index=own.index))
    return pd.concat(inputs, axis=1)


def _shares_of_works(growth: Growth, international: FloatArray, k: int) -> dict[str, FloatArray]:
    """Return a pair's works relative to both countries' international works.

    A paper of a hundred countries counts once among each one's international works and in all its
    ninety-nine pairs, so sums over pairs swell with such papers and works do not. `salton1` and
    `salton3` are the yearly growth of Salton's cosine, the pair's works over the geometric mean
    of both countries', beyond that of the median pair; `affinity` is the log of the pair's works
    over the product; `pairs_per_work` is the log of how many pairs a country's work is counted in.
    """
    ends, works = growth.history.ends, np.log1p(international)
    seen = np.isfinite(growth.history.counts)
    of_pair = works[ends[:, 0]] + works[ends[:, 1]]
    salton = growth.logs - of_pair / 2
    f = {}
    for span in (1, 3):
        reach = min(span, k)
        change = (salton[:, k] - salton[:, k - reach]) / max(reach, 1)
        change = np.where(seen[:, k] & seen[:, k - reach], change, np.nan)
        known = change[np.isfinite(change)]
        f[f"salton{span}"] = change - (np.median(known) if len(known) else 0.0)
    f["affinity"] = growth.logs[:, k] - of_pair[:, k]
    each = np.log1p(growth.totals[:, k]) - works[:, k]
    one, two = each[ends[:, 0]], each[ends[:, 1]]
    f["pairs_per_work_low"], f["pairs_per_work_high"] = np.minimum(one, two), np.maximum(one, two)
    return f


def restlessness(growth: Growth, k: int, prior_years: float = 4.0) -> FloatArray:
    """Return how much a pair's growth jumped up to column `k`, relative to pairs of its size.

    One is usual. Recent years count more, and every pair starts as if it had been usual for
    `prior_years`. Among the largest pairs the next error grows with its 0.6th power.
    """
    before = growth.logs[:, :k]
    seen = np.isfinite(growth.history.counts)
    jumps = np.abs(np.diff(growth.relative[:, : k + 1], axis=1))
    known = seen[:, :k] & seen[:, 1 : k + 1]
    if k < 2 or known.sum() < 20:
        return np.ones(len(jumps))
    sizes, usual = before[known], jumps[known]
    cuts = np.unique(np.quantile(sizes, np.linspace(0, 1, 13)))
    group = np.clip(np.searchsorted(cuts, sizes, side="right") - 1, 0, max(len(cuts) - 2, 0))
    at = np.unique(group)
    middle = [float(sizes[group == i].mean()) for i in at]
    typical = [max(float(usual[group == i].mean()), 1e-3) for i in at]
    ratio = np.minimum(jumps / np.interp(np.nan_to_num(before), middle, typical), 4.0)
    weight = np.where(known, 0.9 ** np.arange(k)[::-1][None, :], 0.0)
    total = (np.where(known, ratio, 0.0) * weight).sum(axis=1) + prior_years
    return total / (weight.sum(axis=1) + prior_years)


def _at(matrix: FloatArray, k: int) -> FloatArray:
    return matrix[:, max(k, 0)]


def _growth_elsewhere(growth: Growth, country: NDArray[np.int64], k: int, span: int) -> FloatArray:
    """Return a country's yearly growth with all partners but this one, beyond the common one.

    Of partners observed in both years; zero where there is none: nothing is known of it elsewhere.
    """
    span = min(span, k)
    if span == 0:
        return np.zeros(len(country))
    counts, ends = growth.history.counts, growth.history.ends
    both = np.isfinite(counts[:, k]) & np.isfinite(counts[:, k - span])
    sums = []
    for column in (k, k - span):
        works = np.where(both, counts[:, column], 0.0)
        sums.append(sum_by_country(works, ends, len(growth.totals))[country] - works)
    now, before = sums
    change = np.log((now + 5) / (before + 5)) - growth.common[k - span + 1 : k + 1].sum()
    return np.where(now + before > 0, change / span, 0.0)


def _above_share(growth: Growth, k: int, span: int = 5) -> FloatArray:
    """Return the log share of both totals in the last year over its median of years before."""
    first = max(0, k - span)
    ends = growth.history.ends
    totals = growth.totals[:, first : k + 1]
    norm = np.sqrt(totals[ends[:, 0]] * totals[ends[:, 1]]) + 1
    share = (growth.counts[:, first : k + 1] + 0.5) / norm
    if share.shape[1] < 2:
        return np.zeros(len(share))
    return np.log(share[:, -1]) - np.log(np.median(share[:, :-1], axis=1))
