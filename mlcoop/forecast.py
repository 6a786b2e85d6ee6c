"""The next years of every pair, with intervals, and what is made of them.

Sums (a country, the focus set) get intervals from joint draws, since pairs err together; surprises
are counts outside their interval; a forecast made then is scored against counts that came later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlcoop.errors import DataError, some
from mlcoop.model.backtest import Backtest, Progress, run_backtest
from mlcoop.model.fitted import FittedForecaster, FittedHorizon, fit_forecaster
from mlcoop.model.intervals import Calibration
from mlcoop.model.scores import score_method

__all__ = [
    "Backtest",
    "FittedForecaster",
    "FittedHorizon",
    "compare_scenario",
    "find_surprises",
    "fit_forecaster",
    "forecast_next",
    "forecast_totals",
    "run_backtest",
    "score_forecast",
]


def forecast_next(
    history: pd.DataFrame,
    focus: pd.DataFrame | None,
    backtests: Backtest | Sequence[Backtest],
    *,
    horizons: Sequence[int] = (1,),
    level: float | None = None,
    features: Mapping[int, pd.DataFrame] | pd.DataFrame | None = None,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the forecast of the years after the last one, in FORECAST_CSV columns.

    Short for `fit_forecaster(...).predict(...)`; see there.
    """
    model = fit_forecaster(
        history,
        focus,
        backtests,
        horizons=horizons,
        features=features,
        params=params,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    return model.predict(history, focus, level=level, features=features)


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
        One year of `forecast_next`, with `in_focus` and `restless`.
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
    is each pair's own. Sums of bounds would be too wide, independent pairs too narrow.
    """
    years = forecast["year"].unique()
    if len(years) != 1:
        raise DataError(f"forecast totals: one year at a time, not {some(years)}")
    if not {"in_focus", "restless"} <= set(forecast.columns):
        raise DataError(
            "forecast totals: no columns in_focus and restless; use the table of forecast_next"
        )
    table = forecast[forecast["predicted"].notna()]
    names = sorted(set(table["country_a"]) | set(table["country_b"]))
    place = {c: i for i, c in enumerate(names)}
    ends = np.column_stack([table["country_a"].map(place), table["country_b"].map(place)])
    predicted = table["predicted"].to_numpy(dtype=float)
    restless = table["restless"].to_numpy(dtype=float)
    in_focus = table["in_focus"].to_numpy(dtype=bool)
    sample = calibration.draw(predicted, restless, in_focus, ends, draws=draws, seed=seed)
    members = {"focus": in_focus, "all": np.ones(len(table), dtype=bool)}
    members |= {c: (ends == i).any(axis=1) for c, i in place.items()}
    rows = []
    for name, at in members.items():
        sums = sample[:, at].sum(axis=1)
        low, high = np.quantile(sums, [(1 - level) / 2, (1 + level) / 2])
        rows.append(
            {
                "total": name,
                "year": int(years[0]),
                "predicted": float(predicted[at].sum()),
                "lower": float(np.floor(low)),
                "upper": float(np.ceil(high)),
                "level": level,
                "naive_lower": float(table["lower"][at].sum()),
                "naive_upper": float(table["upper"][at].sum()),
            }
        )
    return pd.DataFrame(rows)


def find_surprises(backtest: Backtest | pd.DataFrame) -> pd.DataFrame:
    """Return the pairs whose last observed count fell outside its interval, farthest first.

    Returns
    -------
    DataFrame
        `country_a`, `country_b`, `year`, `observed`, `predicted`, `lower`, `upper`, `ratio`
        (observed plus one over predicted plus one), `in_focus`.
    """
    table = backtest.table if isinstance(backtest, Backtest) else backtest
    last = table[table["year"] == table["year"].max()]
    out = last[(last["observed"] < last["lower"]) | (last["observed"] > last["upper"])]
    out = out.assign(ratio=(out["observed"] + 1) / (out["predicted"] + 1))
    gap = np.maximum(out["lower"] - out["observed"], out["observed"] - out["upper"])
    columns = [
        "country_a",
        "country_b",
        "year",
        "observed",
        "predicted",
        "lower",
        "upper",
        "ratio",
        "in_focus",
    ]
    order = np.argsort(-gap.to_numpy(), kind="stable")
    return out.iloc[order][columns].reset_index(drop=True)


def score_forecast(forecast: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Return how a forecast fared against counts that came later, by year and set.

    Parameters
    ----------
    forecast : DataFrame
        FORECAST_CSV columns, `in_focus` where there is one.
    observed : DataFrame
        `country_a`, `country_b`, `year`, `works`.

    Returns
    -------
    DataFrame
        `set`, `year`, `pairs`, `wape`, `persistence_wape`, `bias`, `coverage`, `width_share`.

    Raises
    ------
    DataError
        When no forecast pair and year was observed.
    """
    keys = ["country_a", "country_b", "year"]
    seen = observed[[*keys, "works"]].dropna()
    both = forecast.merge(seen, on=keys, how="inner", validate="one_to_one")
    both = both[both["predicted"].notna()]
    if both.empty:
        raise DataError(
            f"score: no count for the forecast years {some(sorted(forecast['year'].unique()))}; "
            "give the years after the last one"
        )
    rows = []
    for year, part in both.groupby("year"):
        sets = {"all": part}
        if "in_focus" in part and part["in_focus"].any():
            sets["focus"] = part[part["in_focus"].astype(bool)]
        for name, p in sets.items():
            y, mu = p["works"].to_numpy(dtype=float), p["predicted"].to_numpy(dtype=float)
            figures = score_method(y, mu)
            last = p["last_observed"].to_numpy(dtype=float)
            inside = (p["works"] >= p["lower"]) & (p["works"] <= p["upper"])
            rows.append(
                {
                    "set": name,
                    "year": int(str(year)),
                    "pairs": len(p),
                    "wape": figures["wape"],
                    "persistence_wape": score_method(y, last)["wape"],
                    "bias": figures["bias"],
                    "coverage": float(inside.mean()),
                    "width_share": float((p["upper"] - p["lower"]).sum() / max(y.sum(), 1e-12)),
                }
            )
    return pd.DataFrame(rows)


def compare_scenario(base: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """Return two forecasts of the same pairs and years side by side.

    Parameters
    ----------
    base, changed : DataFrame
        `FittedForecaster.predict` with the factors as they are and as the scenario has them.

    Returns
    -------
    DataFrame
        FORECAST_CSV columns of `base`, then `scenario`, `scenario_lower`, `scenario_upper`,
        `difference`, `difference_pct`.
    """
    keys = ["country_a", "country_b", "year"]
    other = changed[[*keys, "predicted", "lower", "upper"]].rename(
        columns={"predicted": "scenario", "lower": "scenario_lower", "upper": "scenario_upper"}
    )
    both = base.merge(other, on=keys, how="inner", validate="one_to_one")
    difference = both["scenario"] - both["predicted"]
    return both.assign(
        difference=difference,
        difference_pct=100 * difference / both["predicted"].where(both["predicted"] > 0),
    )
