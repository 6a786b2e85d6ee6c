"""Errors, skill and coverage of a backtest table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlcoop.forecast.history import FloatArray
from mlcoop.model.deviance import poisson_deviance
from mlcoop.schema import BASELINES

METHODS = ("model", *BASELINES)
# Origins that an interval of the skill takes: fewer all favour one side by chance too often, one of
# them always (one in two to the power of their number; five, one in 32).
FEWEST_ORIGINS = 5


def wape(observed: FloatArray, predicted: FloatArray) -> float:
    """Return the sum of absolute errors over the sum of what was observed.

    >>> wape(np.array([8.0, 2.0]), np.array([7.0, 4.0]))
    0.3
    """
    total = float(np.sum(observed))
    return float(np.sum(np.abs(predicted - observed)) / total) if total > 0 else float("nan")


def score_method(observed: FloatArray, predicted: FloatArray) -> dict[str, float]:
    """Return wape, mae, rmsle, deviance_explained and bias (sum predicted over sum observed)."""
    flat = poisson_deviance(observed, np.full(len(observed), observed.mean()))
    explained = 1 - poisson_deviance(observed, predicted) / flat if flat > 0 else float("nan")
    total = float(observed.sum())
    return {
        "wape": wape(observed, predicted),
        "mae": float(np.abs(predicted - observed).mean()),
        "rmsle": float(np.sqrt(np.mean((np.log1p(predicted) - np.log1p(observed)) ** 2))),
        "deviance_explained": float(explained),
        "bias": float(predicted.sum()) / total if total > 0 else float("nan"),
    }


def measure_backtest(table: pd.DataFrame, *, horizon: int, level: float) -> dict[str, Any]:
    """Return the `forecast` part of metrics.json; every figure is the mean over origins.

    Parameters
    ----------
    table : DataFrame
        As `Backtest.table`.

    Notes
    -----
    `skill` compares with the baseline of the lowest WAPE on that set, in hindsight. Its interval
    resamples origins: with ten of them it is rough, and it does not know of years unlike these.
    """
    everything = np.ones(len(table), dtype=bool)
    masks = {
        "all": everything,
        "focus": table["in_focus"].to_numpy(dtype=bool),
        "largest_5pct": table["largest"].to_numpy(dtype=bool),
    }
    sets: dict[str, Any] = {}
    coverage: dict[str, Any] = {}
    skill: dict[str, Any] = {}
    by_year: list[dict[str, Any]] = []
    for name, mask in masks.items():
        rows = table[mask]
        scores = {m: _scores_by_year(rows, "predicted" if m == "model" else m) for m in METHODS}
        sets[name] = {m: _plain(s.mean()) for m, s in scores.items()}
        coverage[name] = _coverage(rows)
        wapes = pd.DataFrame({m: s["wape"] for m, s in scores.items()})
        by_year += [
            {"set": name, "year": int(str(year)), "method": m, "wape": float(value)}
            for m in METHODS
            for year, value in wapes[m].items()
        ]
        if name != "largest_5pct":
            skill[name] = _skill(wapes)
    return {
        "horizon": horizon,
        "origins": sorted(int(o) for o in table["origin"].unique()),
        "level": level,
        "sets": sets,
        "skill": skill,
        "coverage": coverage,
        "by_year": by_year,
        "coverage_by_size": {size: _coverage(table[mask]) for size, mask in _sizes(table).items()},
    }


def _sizes(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return masks of four bins by last count, at every origin: the smaller half to the top 5 %."""
    last, largest = table["persistence"], table["largest"].astype(bool)
    rank = last.groupby(table["origin"]).rank(pct=True, method="first")
    cuts = {"size_half": (0.0, 0.5), "size_30pct": (0.5, 0.8), "size_15pct": (0.8, 1.0)}
    masks = {n: (rank > low) & (rank <= high) & ~largest for n, (low, high) in cuts.items()}
    # 5 % of few pairs is no whole number: rounded here otherwise, the page's two rows differed
    return {**masks, "size_5pct": largest}


def _plain(means: pd.Series) -> dict[str, float | None]:
    """Return the scores with None for what is undefined, such as deviance of a single pair."""
    return {str(k): None if pd.isna(v) else float(v) for k, v in means.items()}


def _scores_by_year(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    scores = {
        year: score_method(part["observed"].to_numpy(), part[column].to_numpy())
        for year, part in rows.groupby("year")
    }
    return pd.DataFrame(scores).T


def _skill(wapes: pd.DataFrame, *, seed: int = 0, resamples: int = 2000) -> dict[str, Any]:
    """Return the skill against the best baseline, with a 90 % interval over origins.

    Years without a work have no WAPE and are left out; all values are None when none is left.
    Where the rule was exactly right, in all years or all of a draw, there is nothing to divide by;
    of fewer than `FEWEST_ORIGINS` there is no interval.
    """
    wapes = wapes.dropna(how="all")
    if wapes.empty:
        return dict.fromkeys(("against", "value", "low", "high", "against_persistence"))
    best = str(wapes.drop(columns="model").mean().idxmin())
    model, rule = wapes["model"].to_numpy(), wapes[best].to_numpy()
    picks = np.random.default_rng(seed).integers(0, len(model), size=(resamples, len(model)))
    drawn, missed = model[picks].mean(axis=1), rule[picks].mean(axis=1)
    low = high = None
    if len(model) >= FEWEST_ORIGINS and (missed > 0).all():
        low, high = (float(v) for v in np.quantile(1 - drawn / missed, [0.05, 0.95]))
    return {
        "against": best,
        "value": _less(model.mean(), rule.mean()),
        "low": low,
        "high": high,
        "against_persistence": _less(model.mean(), wapes["persistence"].mean()),
    }


def _less(error: float, of_rule: float) -> float | None:
    """Return by what share an error is less than a rule's, None where the rule was right."""
    return float(1 - error / of_rule) if of_rule > 0 else None


def _coverage(rows: pd.DataFrame) -> dict[str, Any]:
    """Return mean coverage and width share over origins with intervals, and every year's.

    The width share is over years with works, None when there is none.
    """
    known = rows[rows["lower"].notna()]
    if known.empty:
        return {"mean": None, "width_share": None, "by_year": {}}
    inside = (known["observed"] >= known["lower"]) & (known["observed"] <= known["upper"])
    by_year = inside.groupby(known["year"]).mean()
    width = (known["upper"] - known["lower"]).groupby(known["year"]).sum()
    total = known["observed"].groupby(known["year"]).sum()
    share = (width / total.where(total > 0)).mean()
    return {
        "mean": float(by_year.mean()),
        "width_share": None if pd.isna(share) else float(share),
        "by_year": {int(str(y)): float(v) for y, v in by_year.items()},
    }
