"""What the outcomes of earlier origins say of a forecast's errors: noise, shocks, widths.

A residual is the log ratio of observed to predicted works (plus one), divided by the noise that
a count of that size has. In each bin of size, and for the focus set as a bin of its own, it is
taken apart into a shock that all pairs of a year share and the pair's own part; an interval holds
both, and its width is adapted each year by the share of misses in the year before. A shock moves
large and small pairs alike, so among the large ones, whose noise is small, it is most of the width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from mlcoop.forecast.by_size import fit_means, fit_zero_shares
from mlcoop.forecast.growth import weighted_median
from mlcoop.forecast.history import FloatArray
from mlcoop.forecast.intervals import FOCUS, Bin, Calibration

SIZE_SHARES = (0.5, 0.8, 0.95)
"""Bins of predicted size: the smaller half, up to four fifths, up to 95 %, the largest 5 %."""

REFERENCE_LEVEL = 0.9
"""Level whose misses adapt the widths; one for all levels, so that intervals nest."""

WIDEN, NARROW, MEMORY = 0.3, 0.07, 0.5
FOCUS_WIDEN, FOCUS_MEMORY = 0.2, 1.0
"""Steps of the adaptation: at twice the nominal misses a bin widens by 30 % of a log unit, without
a miss it narrows by 7 %, and half of what it had is forgotten. Misses of a focus set follow one
another, so there nothing is forgotten and the step is smaller (docs/tried-forecasts.md)."""

SHOCK_YEARS, SHOCK_LOG = 5, 0.08
"""Prior of a yearly shock: as if five more years had had one of 8 %. Growth of all pairs was off by
8 % or more in two of the years 1993 to 2009; a study's few origins need not have met such a year,
and without the prior 2016 and 2017 held 0.72."""

SHOCK_POWER = {"all": 0.5, FOCUS: 1.0}
"""How the prior grows with the horizon. A set's common error of one year tends to go on in the
next, so it grows faster than chance. Chosen on fifteen other sets (docs/tried-forecasts.md)."""

FEWEST = 30
"""Residuals that a bin needs before it is calibrated by itself rather than by all pairs."""

GRID = np.linspace(0.0025, 0.9975, 200)


@dataclass(frozen=True)
class Outcome:
    """Forecasts of one origin and what came, one value per pair that was forecast and observed."""

    predicted: FloatArray
    observed: FloatArray
    restless: FloatArray
    in_focus: NDArray[np.bool_]
    ends: NDArray[np.int64]


def log_residual(outcome: Outcome) -> FloatArray:
    """Return the log of observed over predicted works, one added to both."""
    return np.log1p(outcome.observed) - np.log1p(outcome.predicted)


def calibrate(
    past: Sequence[Outcome],
    widths: Mapping[str, float] | None = None,
    common: Sequence[float] = (),
    horizon: int = 1,
) -> Calibration:
    """Return the calibration that the outcomes of earlier origins give.

    Parameters
    ----------
    past : sequence of Outcome
        Oldest first, at least one with a pair.
    widths : dict or None
        Width factor of each bin, as `adapt` moves them; None for 1.
    common : sequence of float
        Log errors of the common growth in all years known, which begin before the first outcome;
        they say more of the world's shock than a few origins do.
    horizon : int
        Years ahead; the prior of a shock grows with it (`SHOCK_POWER`).

    Notes
    -----
    With few origins the yearly shock is known badly: its heavy-tailed distribution widens the
    intervals, and their coverage is a matter of luck until some five origins are past.
    """
    widths = widths or {}
    predicted = np.concatenate([o.predicted for o in past])
    observed = np.concatenate([o.observed for o in past])
    residual = np.concatenate([log_residual(o) for o in past])
    restless = np.concatenate([o.restless for o in past])
    year = np.concatenate([np.full(len(o.predicted), i) for i, o in enumerate(past)])
    in_focus = np.concatenate([o.in_focus for o in past])
    sizes, spreads = _fit_noise(predicted, residual)
    edges = tuple(float(e) for e in np.unique(np.quantile(past[-1].predicted, SIZE_SHARES)))
    world_shock, focus_shock, country_sizes, country_shocks = _shocks(past, common)
    zero_sizes, zero_shares = fit_zero_shares(predicted, observed)
    mean_sizes, mean_logs = fit_means(predicted, observed, year)
    draft = Calibration(
        sizes=sizes,
        spreads=spreads,
        edges=edges,
        bins={},
        world_shock=world_shock,
        focus_shock=focus_shock,
        country_sizes=country_sizes,
        country_shocks=country_shocks,
        zero_sizes=zero_sizes,
        zero_shares=zero_shares,
        mean_sizes=mean_sizes,
        mean_logs=mean_logs,
        origins=len(past),
    )
    noise = draft.noise(predicted, restless)
    names = draft.bin_names(predicted, np.zeros(len(predicted), dtype=bool))
    prior = {name: SHOCK_LOG * float(horizon**power) for name, power in SHOCK_POWER.items()}
    bins: dict[str, Bin] = {}
    for i in range(len(edges) + 1):
        name, at = f"size{i}", names == f"size{i}"
        at = at if at.sum() >= FEWEST else np.ones(len(at), dtype=bool)
        measured = _measure(residual[at], noise[at], year[at], prior["all"])
        bins[name] = Bin(*measured, widths.get(name, 1.0))
    # A focus of nearly all pairs is no set of its own: size tells more.
    if in_focus.sum() >= FEWEST and in_focus.mean() < 0.5:
        measured = _measure(residual[in_focus], noise[in_focus], year[in_focus], prior[FOCUS])
        bins[FOCUS] = Bin(*measured, widths.get(FOCUS, 1.0))
    return replace(draft, bins=bins)


def adapt(calibration: Calibration, outcome: Outcome) -> dict[str, float]:
    """Return the width factors after one more outcome: wider where too many pairs fell outside.

    References
    ----------
    Gibbs and Candes (2021), Adaptive conformal inference under distribution shift, NeurIPS 34.
    They move the level; here the width moves, which keeps intervals of all levels nested.
    """
    low, high = calibration.interval(
        outcome.predicted, outcome.restless, outcome.in_focus, REFERENCE_LEVEL
    )
    missed = (outcome.observed < low) | (outcome.observed > high)
    names = calibration.bin_names(outcome.predicted, outcome.in_focus)
    widths = {}
    for name, found in calibration.bins.items():
        width, at = found.width, names == name
        if at.sum() >= 10:
            excess = float(np.clip(missed[at].mean() / (1 - REFERENCE_LEVEL) - 1, -1, 1))
            widen, memory = (FOCUS_WIDEN, FOCUS_MEMORY) if name == FOCUS else (WIDEN, MEMORY)
            step = widen if excess > 0 else NARROW
            width = float(np.clip(width**memory * np.exp(step * excess), 0.5, 2.5))
        widths[name] = width
    return widths


def _fit_noise(predicted: FloatArray, residual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return knots of log size and log spread, from groups of pairs of like size.

    The 80 % quantile stands for the spread: among the smallest pairs the median residual is zero.
    Groups are finer at the top, where the spread of counts still falls and most works are.
    """
    size = np.log1p(predicted)
    cuts = np.unique(np.quantile(size, [0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1]))
    group = np.clip(np.searchsorted(cuts, size, side="right") - 1, 0, max(len(cuts) - 2, 0))
    sizes, spreads, counts = [], [], []
    for i in np.unique(group):
        at = group == i
        sizes.append(float(size[at].mean()))
        spreads.append(np.log(max(float(np.quantile(np.abs(residual[at]), 0.8)) / 1.2816, 0.01)))
        counts.append(int(at.sum()))
    falling = IsotonicRegression(increasing=False).fit(sizes, spreads, counts).predict(sizes)
    return np.array(sizes), np.asarray(falling, dtype=float)


def _measure(
    residual: FloatArray, noise: FloatArray, year: NDArray[np.int64], prior: float
) -> tuple[FloatArray, float, int]:
    """Return quantiles of residuals less their year's shock, in noise; the shock's spread; years.

    The spread starts from `SHOCK_YEARS` years of `prior`, which count among the years.
    """
    years = np.unique(year)
    shocks = np.zeros(len(years))
    own = residual.copy()
    for i, y in enumerate(years):
        at = year == y
        # Few pairs tell little of a shock: shrink as if five more had none.
        shocks[i] = np.median(residual[at]) * at.sum() / (at.sum() + 5)
        own[at] -= shocks[i]
    n = len(years) + SHOCK_YEARS
    spread = float(np.sqrt((np.sum(shocks**2) + SHOCK_YEARS * prior**2) / n))
    return np.quantile(own / noise, GRID), spread, n


def _shocks(
    past: Sequence[Outcome], common: Sequence[float]
) -> tuple[float, float, FloatArray, FloatArray]:
    """Return spreads of yearly shocks: the world's, the focus set's, a country's by its size."""
    worlds, totals, moves, sets = [], [], [], []
    for outcome in past:
        residual, weight = log_residual(outcome), outcome.predicted
        world = weighted_median(residual, weight)
        worlds.append(world)
        if outcome.in_focus.any() and not outcome.in_focus.all():
            sums = [float(x[outcome.in_focus].sum()) for x in (outcome.observed, weight)]
            sets.append(np.log1p(sums[0]) - np.log1p(sums[1]) - world)
        for c in np.unique(outcome.ends):
            at = (outcome.ends == c).any(axis=1)
            # A country with few pairs shows their noise, not a shock of its own.
            if at.sum() >= 8:
                totals.append(float(np.log1p(weight[at].sum())))
                moves.append(abs(weighted_median(residual[at] - world, weight[at])))
    shock = float(np.sqrt(np.mean(np.square([*worlds, *common]))))
    focus = float(np.sqrt(np.mean(np.square(sets)))) if sets else 0.0
    if len(totals) < FEWEST:
        return shock, focus, np.zeros(1), np.zeros(1)
    sizes, found = np.array(totals), np.array(moves)
    groups = np.array_split(np.argsort(sizes, kind="stable"), 8)
    knots = np.array([sizes[g].mean() for g in groups])
    spreads = np.array([np.quantile(found[g], 0.8) / 1.2816 for g in groups])
    falling = IsotonicRegression(increasing=False).fit(knots, spreads).predict(knots)
    return shock, focus, knots, np.asarray(falling, dtype=float)
