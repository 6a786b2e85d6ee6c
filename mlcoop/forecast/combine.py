"""From experts to one forecast: their first weights, the chosen ones, and what errors teach."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlcoop.forecast.baselines import drift, group_growth, smooth
from mlcoop.forecast.blend import PULL, Scored, choose_weights
from mlcoop.forecast.experts import FITTED, FOLLOWING, SMOOTHED, to_works
from mlcoop.forecast.follow import Shift, follow_countries
from mlcoop.forecast.growth import Growth, expect_common
from mlcoop.forecast.history import FloatArray

PRIORS = {
    "rest": (0.15, 0.15, 0.17, 0.17, 0.12, 0.04, 0.05, 0.0, 0.15),
    "focus": (0.065, 0.065, 0.065, 0.065, 0.29, 0.14, 0.21, 0.05, 0.05),
    "few": (0.04, 0.04, 0.04, 0.04, 0.14, 0.1, 0.1, 0.5, 0.0),
}
"""Weights of the experts, in their order, before any outcome. A small set of pairs moves together,
so those that follow its last growth start higher there (22 sets: docs/tried-forecasts.md); where
few rows train them, the fitted experts start low."""

FEW_ROWS = 500.0
"""Counts known at which a prior is half that of few rows, and a forecast half the baselines'.

Measured on 24 small studies (30 pairs of one country over eight years, four origins each): error
over that of the best baseline of each, in hindsight, 1.09 on average and 1.53 at worst for the
blend alone, 1.02 and 1.12 for the mean of five-year drift and group growth. On all pairs of 12 to
20 countries the blend is the better one (docs/forecasting.md)."""


def trust_of(rows: int) -> float:
    """Return the weight of the fitted model relative to baselines, given how many counts are known.

    >>> round(trust_of(240), 3), trust_of(500), round(trust_of(10_000), 4)
    (0.187, 0.5, 0.9975)
    """
    return rows**2 / (rows**2 + FEW_ROWS**2)


def follow_all(growth: Growth, experts: Mapping[int, FloatArray], horizon: int) -> dict[int, Shift]:
    """Return countries' shifts at every column of `experts` and the last, from earlier outcomes."""
    last_column = growth.relative.shape[1] - 1
    shifts: dict[int, Shift] = {}
    for k in sorted({*experts, last_column}):
        countries = np.zeros(len(growth.history.countries))
        if k - horizon in experts:
            mean = experts[k - horizon][:, FITTED].mean(axis=1)
            countries = follow_countries(growth, mean, k - horizon, horizon)
        shifts[k] = Shift(countries, 0.0)
    return shifts


def with_derived(
    growth: Growth, experts: FloatArray, shift: Shift, k: int, horizon: int
) -> FloatArray:
    """Return the experts at column `k` with the columns of the derived ones filled in."""
    full = experts.copy()
    full[:, FOLLOWING] = experts[:, FITTED].mean(axis=1) + shift.of_pairs(growth)
    smoothed = np.log1p(smooth(growth.counts[:, : k + 1], horizon)) - growth.logs[:, k]
    full[:, SMOOTHED] = np.nan_to_num(smoothed - expect_common(growth, k, horizon))
    return full


def start_weights(of: str, rows: int) -> FloatArray:
    """Return the weights before any outcome, given how many counts are known.

    >>> start_weights("rest", 10**9).round(2)
    array([0.15, 0.15, 0.17, 0.17, 0.12, 0.04, 0.05, 0.  , 0.15])
    """
    trust = trust_of(rows)
    weights = trust * np.array(PRIORS[of]) + (1 - trust) * np.array(PRIORS["few"])
    return np.maximum(weights, 1e-3) / np.maximum(weights, 1e-3).sum()


def weigh_experts(
    growth: Growth, experts: Mapping[int, FloatArray], k: int, horizon: int
) -> dict[str, FloatArray]:
    """Return the experts' weights at column `k` for the pairs of the focus and for the rest.

    Learnt from origins whose outcome is known at `k`. Farther ahead there are fewer of them and
    their errors are larger, so the pull to the first weights grows with the horizon, and the focus
    set starts as the rest does: its last growth says little of the years after the next.
    """
    rows = int(np.isfinite(growth.history.counts[:, : k + 1]).sum())
    pull = PULL * horizon
    rest, own = start_weights("rest", rows), start_weights("focus", rows)
    in_focus = growth.history.in_focus
    past = [s for s in sorted(experts) if s + horizon <= k]
    everything = choose_weights(
        [_scored(growth, experts, s, horizon, None) for s in past], rest, pull=pull
    )
    if in_focus.all():
        return {"focus": everything, "rest": everything}
    focus = choose_weights(
        [_scored(growth, experts, s, horizon, in_focus) for s in past],
        own if horizon == 1 else rest,
        pull=pull,
    )
    return {"focus": focus, "rest": everything}


def _scored(
    growth: Growth,
    experts: Mapping[int, FloatArray],
    s: int,
    horizon: int,
    chosen: NDArray[np.bool_] | None,
) -> Scored:
    observed, last = growth.history.counts[:, s + horizon], growth.counts[:, s]
    use = np.isfinite(observed) & np.isfinite(last)
    if chosen is not None:
        use &= chosen
    return Scored(experts[s][use] + expect_common(growth, s, horizon), last[use], observed[use])


def blend_works(
    growth: Growth,
    experts: FloatArray,
    weights: Mapping[str, FloatArray],
    k: int,
    horizon: int,
    focus_shift: float = 0.0,
) -> FloatArray:
    """Return the blended forecast of works at column `k`; NaN for a pair never seen by then.

    Where few counts are known it leans on the mean of five-year drift and group growth.
    """
    focus, rest = experts @ weights["focus"] + focus_shift, experts @ weights["rest"]
    mixed = np.where(growth.history.in_focus, focus, rest)
    counts = growth.counts[:, : k + 1]
    works = to_works(mixed + expect_common(growth, k, horizon), counts[:, k])
    history = growth.history
    observed = history.counts[:, : k + 1]
    trust = trust_of(int(np.isfinite(observed).sum()))
    grown = group_growth(observed, history.ends, len(history.countries), horizon)
    return trust * works + (1 - trust) * (drift(counts, 5, horizon) + grown) / 2
