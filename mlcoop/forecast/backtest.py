"""Forecasts from origin after origin, each made as it would have been made then.

Everything at an origin - experts, their weights, the widths of the intervals - is learnt from
years up to it. The first origins only serve to choose weights and to calibrate; the reported ones
follow. Hyperparameters must come from before the first reported origin: see
`mlcoop.forecast.search`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mlcoop.errors import DataError
from mlcoop.forecast.baselines import forecast_baselines
from mlcoop.forecast.calibrate import Outcome, adapt, calibrate
from mlcoop.forecast.combine import blend_works, follow_all, weigh_experts, with_derived
from mlcoop.forecast.experts import EXPERTS, fit_expert, training_set
from mlcoop.forecast.follow import Shift, follow_focus
from mlcoop.forecast.growth import (
    Growth,
    common_errors,
    growth_features,
    measure_growth,
    restlessness,
)
from mlcoop.forecast.history import FloatArray, build_history
from mlcoop.forecast.intervals import Calibration
from mlcoop.forecast.origins import REPORTED, plan_origins
from mlcoop.forecast.scores import measure_backtest

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Backtest:
    """Forecasts of past years beside what came, and what they teach for the next ones.

    Attributes
    ----------
    table : DataFrame
        BACKTEST_CSV columns, then `in_focus` and `largest` (of the largest 5 % by last count).
    metrics : dict
        The `forecast` part of metrics.json.
    horizon, level
        As given.
    weights : DataFrame
        `origin`, `set` (focus or rest), `expert`, `weight`, for reported origins and the next one
        (the last year of the history).
    shift : Shift
        What the last errors teach for the next forecast.
    calibration : Calibration or None
        From all origins, for the next forecast; None when no origin has an outcome.
    warnings : tuple of str
        What is weaker than it should be, in sentences.
    """

    table: pd.DataFrame
    metrics: dict[str, Any]
    horizon: int
    level: float
    weights: pd.DataFrame
    shift: Shift
    calibration: Calibration | None
    warnings: tuple[str, ...] = field(default=())


def run_backtest(
    history: pd.DataFrame,
    focus: pd.DataFrame | None,
    *,
    origins: Sequence[int] | None = None,
    horizon: int = 1,
    level: float = 0.9,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
    last_origins: int = REPORTED,
) -> Backtest:
    """Forecast every pair from every origin and compare with what came.

    Parameters
    ----------
    history : DataFrame
        `country_a`, `country_b`, `year`, `works`; all pairs of the training set, as many years as
        there are. See `mlcoop.forecast.history.build_history`.
    focus : DataFrame or None
        `country_a`, `country_b`; None for all pairs.
    origins : sequence of int or None
        Last years known; None for the last ten that leave earlier ones to calibrate on.
    horizon : int, at least 1
        Years ahead, forecast directly.
    level : float in (0, 1)
        Share of outcomes that an interval is to hold.
    params : dict or None
        Of the boosted experts.
    workers : int
        Processes; they change no number.
    progress : callable or None
        Called with (origins done, origins in all).
    last_origins : int
        How many origins to report where `origins` is None.

    Returns
    -------
    Backtest

    Raises
    ------
    DataError
        See `build_history` and `plan_origins`.
    """
    if horizon < 1:
        raise DataError(f"backtest: horizon {horizon} is not a year ahead; give 1 or more")
    panel = build_history(history, focus)
    warm, reported, warnings = plan_origins(panel.observed_years, horizon, origins, last_origins)
    growth = measure_growth(panel)
    columns = [panel.index(y) for y in [*warm, *reported]]
    jobs = (delayed(forecast_experts)(growth, k, horizon, params, seed) for k in columns)
    experts: dict[int, FloatArray] = {}
    runner = Parallel(n_jobs=workers, return_as="generator")
    for k, predicted in zip(columns, runner(jobs), strict=True):
        experts[k] = predicted
        if progress:
            progress(len(experts), len(columns))
    return assemble(growth, experts, [panel.index(y) for y in reported], horizon, level, warnings)


def forecast_experts(
    growth: Growth,
    k: int,
    horizon: int,
    params: Mapping[str, Any] | None,
    seed: int,
) -> FloatArray:
    """Return all experts' relative log growth from column `k`, shape (n_pairs, n_experts)."""
    data = training_set(growth, k, horizon)
    now = growth_features(growth, k)
    fits = [fit_expert(e, data, horizon, params, seed + k) for e in EXPERTS.values()]
    return np.column_stack([fit.predict(now) for fit in fits])


def assemble(
    growth: Growth,
    experts: dict[int, FloatArray],
    reported: list[int],
    horizon: int,
    level: float,
    warnings: list[str],
) -> Backtest:
    """Return the backtest that experts' forecasts at many columns make, origin after origin.

    Parameters
    ----------
    experts : dict from column to float array of shape (n_pairs, n_experts)
        `forecast_experts` at warm-up and reported columns.
    reported : list of int
        Columns to report; the others only teach.
    """
    panel = growth.history
    outcomes: dict[int, Outcome] = {}
    forecasts: dict[int, FloatArray] = {}
    calibrations: dict[int, Calibration] = {}
    widths: dict[str, float] = {}
    tables, weight_rows = [], []
    last_column = len(panel.years) - 1
    final: Calibration | None = None
    shifts = follow_all(growth, experts, horizon)
    experts = {k: with_derived(growth, e, shifts[k], k, horizon) for k, e in experts.items()}
    for k in sorted({*experts, last_column}):
        # Outcomes that have come in since the origin before: they move the widths.
        known = [s for s in sorted(outcomes) if s + horizon <= k]
        for s in known:
            if s in calibrations:
                widths = adapt(calibrations.pop(s), outcomes[s])
        errors = common_errors(growth, k, horizon)
        past = [outcomes[s] for s in known]
        calibration = calibrate(past, widths, errors, horizon) if past else None
        weights = weigh_experts(growth, experts, k, horizon)
        if k in reported or k == last_column:
            weight_rows += [
                (int(panel.years[k]), of, name, float(w))
                for of, ws in weights.items()
                for name, w in zip(EXPERTS, ws, strict=True)
            ]
        if k - horizon in forecasts:
            focus = follow_focus(growth, forecasts[k - horizon], k - horizon, horizon)
            shifts[k] = Shift(shifts[k].countries, focus)
        if k == last_column:
            final = calibration
        if k not in experts:
            continue
        predicted = blend_works(growth, experts[k], weights, k, horizon, shifts[k].focus)
        forecasts[k] = predicted
        observed = panel.counts[:, k + horizon]
        use = np.isfinite(predicted) & np.isfinite(observed)
        if not use.any():
            continue
        restless = restlessness(growth, k)
        outcomes[k] = Outcome(
            predicted[use], observed[use], restless[use], panel.in_focus[use], panel.ends[use]
        )
        if calibration is not None:
            calibrations[k] = calibration
        if k in reported:
            tables.append(
                _origin_table(growth, k, horizon, predicted, restless, use, calibration, level)
            )
    table = pd.concat(tables, ignore_index=True)
    table = table.sort_values(["origin", "country_a", "country_b"], ignore_index=True)
    metrics = measure_backtest(table, horizon=horizon, level=level)
    columns = ["origin", "set", "expert", "weight"]
    return Backtest(
        table=table,
        metrics=metrics,
        horizon=horizon,
        level=level,
        weights=pd.DataFrame(weight_rows, columns=columns),
        shift=shifts[last_column],
        calibration=final,
        warnings=tuple(warnings),
    )


def _origin_table(
    growth: Growth,
    k: int,
    horizon: int,
    predicted: FloatArray,
    restless: FloatArray,
    use: NDArray[np.bool_],
    calibration: Calibration | None,
    level: float,
) -> pd.DataFrame:
    panel = growth.history
    origin = int(panel.years[k])
    low = high = np.full(int(use.sum()), np.nan)
    if calibration is not None:
        low, high = calibration.interval(predicted[use], restless[use], panel.in_focus[use], level)
    last = growth.counts[use, k]
    largest = np.zeros(len(last), dtype=bool)
    largest[np.argsort(-last, kind="stable")[: max(round(0.05 * len(last)), 1)]] = True
    rules = forecast_baselines(panel, origin, horizon)
    return pd.DataFrame(
        {
            "origin": origin,
            "year": origin + horizon,
            "country_a": panel.pairs["country_a"].to_numpy()[use],
            "country_b": panel.pairs["country_b"].to_numpy()[use],
            "observed": panel.counts[use, k + horizon],
            "predicted": predicted[use]
            if calibration is None
            else calibration.expected(predicted[use]),
            "lower": low,
            "upper": high,
            **{name: values[use] for name, values in rules.items()},
            "in_focus": panel.in_focus[use],
            "largest": largest,
        }
    )
