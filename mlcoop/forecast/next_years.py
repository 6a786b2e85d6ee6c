"""The next years of every pair, with intervals, and what is made of them.

Totals (a country, the focus set) get intervals from joint draws, since errors of pairs are
correlated; surprises are counts outside their interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mlcoop.errors import DataError, some
from mlcoop.forecast.backtest import Backtest, Progress, run_backtest
from mlcoop.forecast.fitted import FittedForecaster, FittedHorizon, fit_forecaster
from mlcoop.forecast.growth import expect_common, measure_growth
from mlcoop.forecast.history import build_history
from mlcoop.forecast.intervals import Calibration
from mlcoop.forecast.origins import forecast_horizons
from mlcoop.schema import SURPRISES

__all__ = [
    "Backtest",
    "FittedForecaster",
    "FittedHorizon",
    "Outlook",
    "find_surprises",
    "fit_forecaster",
    "forecast_totals",
    "look_ahead",
    "run_backtest",
]


def forecast_totals(
    forecast: pd.DataFrame,
    calibration: Calibration,
    *,
    level: float = 0.9,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the focus set's total, all pairs' and every country's, with intervals.

    Parameters
    ----------
    forecast : DataFrame
        One year of `FittedForecaster.predict`, with `median`, `in_focus` and `restless`.
    calibration : Calibration
        Of that horizon.

    Returns
    -------
    DataFrame
        `total` (focus, all, or a country), `year`, `predicted`, `lower`, `upper`, `level`,
        `naive_lower`, `naive_upper` (sums of the pairs' bounds, for comparison only).

    Notes
    -----
    Outcomes are drawn jointly: the shocks of the year and of the countries are shared, the rest
    is each pair's own. Sums of bounds would be too wide, independent pairs too narrow; where few
    pairs make a sum, shocks estimated from few origins could reach beyond the pairs' own bounds,
    and are kept inside. None is narrower than Poisson's law: the bounds of many pairs that are each
    likely to have no work are zeros, those of their sum are not.
    """
    years = forecast["year"].unique()
    if len(years) != 1:
        raise DataError(f"forecast totals: one year at a time, not {some(years)}")
    lacking = {"in_focus", "restless", "median"} - set(forecast.columns)
    if lacking:
        raise DataError(
            f"forecast totals: no column {some(sorted(lacking))}; "
            "use the table of FittedForecaster.predict"
        )
    table = forecast[forecast["predicted"].notna()]
    names = sorted(set(table["country_a"]) | set(table["country_b"]))
    place = {c: i for i, c in enumerate(names)}
    ends = np.column_stack([table["country_a"].map(place), table["country_b"].map(place)])
    predicted = table["predicted"].to_numpy(dtype=float)
    median = table["median"].to_numpy(dtype=float)
    restless = table["restless"].to_numpy(dtype=float)
    in_focus = table["in_focus"].to_numpy(dtype=bool)
    sample = calibration.draw(median, restless, in_focus, ends, draws=draws, seed=seed)
    members = {"focus": in_focus, "all": np.ones(len(table), dtype=bool)}
    members |= {c: (ends == i).any(axis=1) for c, i in place.items()}
    rows = []
    for name, at in members.items():
        sums = sample[:, at].sum(axis=1)
        low, high = np.quantile(sums, [(1 - level) / 2, (1 + level) / 2])
        # If all pairs erred together the sum would have the sums of their bounds, and no more.
        bounds = [float(table[side][at].sum()) for side in ("lower", "upper")]
        lower, upper = bounds
        if at.sum() > 1:  # one pair has its own bounds, as its row says
            lower = max(float(np.floor(low)), lower)
            upper = min(float(np.ceil(high)), upper)
            law = stats.poisson(predicted[at].sum())
            lower = min(lower, float(law.ppf((1 - level) / 2)))
            upper = max(upper, float(law.ppf((1 + level) / 2)))
        rows.append(
            {
                "total": name,
                "year": int(years[0]),
                "predicted": float(predicted[at].sum()),
                "lower": lower,
                "upper": upper,
                "level": level,
                "naive_lower": bounds[0],
                "naive_upper": bounds[1],
            }
        )
    return pd.DataFrame(rows)


def find_surprises(
    backtest: Backtest | pd.DataFrame, history: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the pairs whose last observed count fell outside its interval, farthest first.

    Parameters
    ----------
    backtest : Backtest or its table
    history : DataFrame or None
        The counts behind it, for the growth that was expected of all pairs together.

    Returns
    -------
    DataFrame
        `country_a`, `country_b`, `year`, `observed`, `predicted`, `lower`, `upper`, `last_observed`
        (the count before), `change_pct` and `expected_change_pct` against it, `shared_change_pct`
        (the part of the expectation that all pairs share; NaN without `history`), `ratio`
        (observed plus one over predicted plus one), `in_focus`.
    """
    table = backtest.table if isinstance(backtest, Backtest) else backtest
    last = table[table["year"] == table["year"].max()]
    out = last[(last["observed"] < last["lower"]) | (last["observed"] > last["upper"])]
    before = out["persistence"].where(out["persistence"] > 0)
    shared = float("nan")
    if history is not None and len(out):
        growth = measure_growth(build_history(history))
        origin, year = int(out["origin"].iloc[0]), int(out["year"].iloc[0])
        k = growth.history.index(origin)
        shared = 100 * float(np.expm1(expect_common(growth, k, year - origin)))
    out = out.assign(
        last_observed=out["persistence"],
        change_pct=100 * (out["observed"] / before - 1),
        expected_change_pct=100 * (out["predicted"] / before - 1),
        shared_change_pct=shared,
        ratio=(out["observed"] + 1) / (out["predicted"] + 1),
    )
    gap = np.maximum(out["lower"] - out["observed"], out["observed"] - out["upper"])
    order = np.argsort(-gap.to_numpy(), kind="stable")
    return out.iloc[order][SURPRISES].reset_index(drop=True)


@dataclass(frozen=True)
class Outlook:
    """All that a study says about the years ahead, and how such forecasts did before.

    Attributes
    ----------
    backtest : Backtest
        One year ahead.
    metrics : dict
        The `forecast` part of metrics.json; `horizons` holds the farther ones in short.
    model : FittedForecaster or None
    forecast, totals : DataFrame or None
        `FittedForecaster.predict`, and `forecast_totals` of every year.
    warnings : tuple of str
    """

    backtest: Backtest
    metrics: dict[str, Any]
    model: FittedForecaster | None
    forecast: pd.DataFrame | None
    totals: pd.DataFrame | None
    warnings: tuple[str, ...]


def look_ahead(
    history: pd.DataFrame,
    focus: pd.DataFrame | None,
    *,
    origins: int,
    level: float = 0.9,
    horizons: int = 1,
    ahead: bool = True,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Outlook:
    """Backtest every horizon, then forecast the years ahead and their sums.

    Parameters
    ----------
    history, focus, level, params, seed, workers, progress
        See `run_backtest`.
    origins : int
        Origins to report, as far as the history holds them.
    horizons : int
        Years ahead, each forecast directly; those that the history is too short to test are left
        out, with a warning.
    ahead : bool
        Whether the years after the last one are forecast, or only past ones.
    """
    common: dict[str, Any] = {"params": params, "seed": seed, "workers": workers}
    years = build_history(history, focus).observed_years
    possible, left_out = forecast_horizons(years, horizons if ahead else 1)
    tests = [
        run_backtest(
            history,
            focus,
            horizon=h,
            level=level,
            last_origins=origins,
            progress=progress if h == 1 else None,
            **common,
        )
        # Without any, the first says what is lacking.
        for h in possible or [1]
    ]
    metrics = {**tests[0].metrics, "horizons": {t.horizon: _in_short(t.metrics) for t in tests}}
    model = forecast = totals = None
    if ahead:
        model = fit_forecaster(history, focus, tests, horizons=possible, **common)
        forecast = model.predict(history, focus, level=level)
        sums = []
        for h, fitted in model.horizons.items():
            if fitted.calibration is not None:
                of_year = forecast[forecast["year"] == model.last_year + h]
                sums.append(
                    forecast_totals(of_year, fitted.calibration, level=level, seed=seed + h)
                )
        totals = pd.concat(sums, ignore_index=True) if sums else None
    warnings = dict.fromkeys([*left_out, *(w for t in tests for w in t.warnings)])
    return Outlook(tests[0], metrics, model, forecast, totals, tuple(warnings))


def _in_short(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return errors, skill and coverage of one horizon, without its years."""
    return {
        "origins": metrics["origins"],
        "wape": {
            name: {method: figures["wape"] for method, figures in methods.items()}
            for name, methods in metrics["sets"].items()
        },
        "skill": metrics["skill"],
        "coverage": {
            name: {k: part[k] for k in ("mean", "width_share")}
            for name, part in metrics["coverage"].items()
        },
    }
