"""The fitted forecast model: experts, weights and calibration by horizon, kept as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb
from joblib import Parallel, delayed

from mlcoop.errors import DataError, some
from mlcoop.forecast.backtest import Backtest, Progress, run_backtest
from mlcoop.forecast.combine import blend_works, with_derived
from mlcoop.forecast.experts import (
    EXPERTS,
    BoostedFit,
    Fit,
    LinearFit,
    RuleFit,
    fit_expert,
    training_set,
)
from mlcoop.forecast.follow import Shift
from mlcoop.forecast.growth import Growth, growth_features, measure_growth, restlessness
from mlcoop.forecast.history import INTERNATIONAL, FloatArray, History, build_history
from mlcoop.forecast.intervals import Calibration
from mlcoop.schema import FORECAST_CSV

FORMAT = 4
EXTRA_HORIZON_ORIGINS = 6
"""Origins backtested for a horizon that no backtest was given for: enough to calibrate on."""


@dataclass(frozen=True)
class FittedHorizon:
    """Experts fitted up to the last year, their weights, and what calibrates their intervals.

    `shift` (by country) and `focus_shift` are what the last errors teach.
    """

    fits: dict[str, Fit]
    weights: dict[str, FloatArray]
    shift: dict[str, float]
    focus_shift: float
    calibration: Calibration | None


@dataclass(frozen=True)
class FittedForecaster:
    """A forecast model that is ready for the years after `last_year`.

    Attributes
    ----------
    horizons : dict from horizon in years to FittedHorizon
    last_year : int
        Last year it was fitted on.
    level : float
        Default level of its intervals.
    """

    horizons: dict[int, FittedHorizon]
    last_year: int
    level: float
    warnings: tuple[str, ...] = field(default=())

    def predict(
        self,
        history: pd.DataFrame,
        focus: pd.DataFrame | None,
        *,
        horizons: Sequence[int] | None = None,
        level: float | None = None,
    ) -> pd.DataFrame:
        """Return the forecast of all pairs in FORECAST_CSV columns, then `p_zero` (the chance of
        no work at all), `median` (what lies in the middle of the interval; `predicted` is the mean,
        so that it adds up), `in_focus` and `restless` (how much its growth jumps; 1 is usual).

        Parameters
        ----------
        history : DataFrame
            Counts as for `run_backtest`; its last year is the origin.

        Raises
        ------
        DataError
            For a horizon that was not fitted.
        """
        panel = build_history(history, focus)
        growth = measure_growth(panel)
        chosen = sorted(self.horizons) if horizons is None else [int(h) for h in horizons]
        unknown = sorted(set(chosen) - set(self.horizons))
        if unknown:
            raise DataError(
                f"forecast: horizons {unknown} were not fitted; fitted are {sorted(self.horizons)}"
            )
        level = self.level if level is None else level
        tables = [_horizon_table(growth, h, self.horizons[h], level) for h in chosen]
        table = pd.concat(tables, ignore_index=True)
        return table.sort_values(["country_a", "country_b", "year"], ignore_index=True)

    def to_json(self) -> dict[str, Any]:
        """Return the whole model as plain JSON values; no code is stored."""
        return {
            "format": FORMAT,
            "last_year": self.last_year,
            "level": self.level,
            "warnings": list(self.warnings),
            "horizons": {
                str(h): {
                    "weights": {k: v.tolist() for k, v in f.weights.items()},
                    "shift": f.shift,
                    "focus_shift": f.focus_shift,
                    "calibration": f.calibration.to_json() if f.calibration else None,
                    "experts": {name: _fit_to_json(fit) for name, fit in f.fits.items()},
                }
                for h, f in self.horizons.items()
            },
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> FittedForecaster:
        """Return the model that `to_json` gave.

        Raises
        ------
        DataError
            When it was written by another version of this format.
        """
        if state.get("format") != FORMAT:
            raise DataError(
                f"forecast model: format {state.get('format')!r} is not {FORMAT}; fit it again"
            )
        horizons = {}
        for h, f in state["horizons"].items():
            horizons[int(h)] = FittedHorizon(
                {name: _fit_from_json(name, fit, int(h)) for name, fit in f["experts"].items()},
                {k: np.array(v) for k, v in f["weights"].items()},
                {c: float(v) for c, v in f["shift"].items()},
                float(f["focus_shift"]),
                Calibration.from_json(f["calibration"]) if f["calibration"] else None,
            )
        return FittedForecaster(
            horizons, int(state["last_year"]), float(state["level"]), tuple(state["warnings"])
        )


def _fit_to_json(fit: Fit) -> dict[str, Any]:
    if isinstance(fit, LinearFit):
        return {"kind": "linear", **fit.to_json()}
    if isinstance(fit, BoostedFit):
        raw = bytes(fit.booster.save_raw("json")).decode("utf-8")
        return {"kind": "boosted", "columns": list(fit.columns), "booster": json.loads(raw)}
    return {"kind": "rule"}


def _fit_from_json(name: str, state: Mapping[str, Any], horizon: int) -> Fit:
    if state["kind"] == "linear":
        return LinearFit.from_json(state)
    if state["kind"] == "boosted":
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray(json.dumps(state["booster"]).encode("utf-8")))
        return BoostedFit(tuple(state["columns"]), booster)
    return RuleFit(EXPERTS[name].rate, horizon)


def fit_forecaster(
    history: pd.DataFrame,
    focus: pd.DataFrame | None,
    backtests: Backtest | Sequence[Backtest],
    *,
    horizons: Sequence[int] = (1,),
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> FittedForecaster:
    """Return the forecast model fitted on all years of `history`.

    Parameters
    ----------
    backtests : Backtest or sequence of them
        One per horizon, of the same history; a horizon without one is backtested here on its last
        origins, which weights and intervals need.

    Raises
    ------
    DataError
        See `run_backtest`.
    """
    given = [backtests] if isinstance(backtests, Backtest) else list(backtests)
    by_horizon = {b.horizon: b for b in given}
    level = given[0].level if given else 0.9
    panel = build_history(history, focus)
    growth = measure_growth(panel)
    last = len(panel.years) - 1
    fitted: dict[int, FittedHorizon] = {}
    warnings: list[str] = []
    for i, h in enumerate(sorted(set(int(h) for h in horizons))):
        backtest = by_horizon.get(h)
        if backtest is None:
            backtest = run_backtest(
                history,
                focus,
                origins=None,
                horizon=h,
                level=level,
                params=params,
                seed=seed,
                workers=workers,
                last_origins=EXTRA_HORIZON_ORIGINS,
            )
        warnings += backtest.warnings
        data = training_set(growth, last, h)
        jobs = [delayed(fit_expert)(e, data, h, params, seed + last) for e in EXPERTS.values()]
        fits = dict(zip(EXPERTS, Parallel(n_jobs=workers)(jobs), strict=True))
        fitted[h] = FittedHorizon(
            fits,
            _weights_of(backtest, panel),
            dict(zip(panel.countries, map(float, backtest.shift.countries), strict=True)),
            backtest.shift.focus,
            backtest.calibration,
        )
        if progress:
            progress(i + 1, len(horizons))
    return FittedForecaster(fitted, int(panel.years[-1]), level, tuple(dict.fromkeys(warnings)))


def _weights_of(backtest: Backtest, panel: History) -> dict[str, FloatArray]:
    rows = backtest.weights[backtest.weights["origin"] == int(panel.years[-1])]
    if rows.empty:
        raise DataError(
            f"forecast: the backtest does not reach {panel.years[-1]}; run it on the same history"
        )
    return {
        str(name): part.set_index("expert")["weight"].reindex(list(EXPERTS)).to_numpy(dtype=float)
        for name, part in rows.groupby("set")
    }


def _horizon_table(
    growth: Growth, horizon: int, model: FittedHorizon, level: float
) -> pd.DataFrame:
    panel = growth.history
    k = len(panel.years) - 1
    now = growth_features(growth, k)
    fits = [fit for fit in model.fits.values() if not isinstance(fit, RuleFit)]
    lacking = sorted({c for fit in fits for c in fit.columns} - set(now))
    if lacking:
        raise DataError(
            f"forecast: the counts lack {some(INTERNATIONAL)}, which the model was fitted with "
            f"({some(lacking)}); add them"
        )
    experts = np.column_stack([model.fits[name].predict(now) for name in EXPERTS])
    by_country = np.array([model.shift.get(c, 0.0) for c in panel.countries])
    shift = Shift(by_country, model.focus_shift)
    experts = with_derived(growth, experts, shift, k, horizon)
    predicted = blend_works(growth, experts, model.weights, k, horizon, model.focus_shift)
    restless = restlessness(growth, k)
    seen = np.isfinite(panel.counts)
    last_at = k - np.argmax(seen[:, ::-1], axis=1)
    expected = predicted
    low = high = p_zero = np.full(len(predicted), np.nan)
    if model.calibration is not None:
        expected = model.calibration.expected(predicted)
        p_zero = model.calibration.chance_of_zero(predicted)
        low, high = model.calibration.interval(predicted, restless, panel.in_focus, level)
    return pd.DataFrame(
        {
            "country_a": panel.pairs["country_a"],
            "country_b": panel.pairs["country_b"],
            "year": int(panel.years[k]) + horizon,
            "last_year": panel.years[last_at],
            "last_observed": panel.counts[np.arange(len(last_at)), last_at],
            "predicted": expected,
            "lower": low,
            "upper": high,
            "level": level,
            "p_zero": p_zero,
            "median": predicted,
            "in_focus": panel.in_focus,
            "restless": restless,
        }
    )[[*FORECAST_CSV, "p_zero", "median", "in_focus", "restless"]]
