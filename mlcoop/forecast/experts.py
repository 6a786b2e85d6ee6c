"""Experts that forecast a pair's growth, and how they are fitted at an origin.

An expert predicts the log ratio of the count `horizon` years ahead to the last count, beyond the
growth that all pairs share; persistence of the pair's place is zero. Unlike experts are wrong in
unlike places, so the forecast is their blend (`mlcoop.forecast.blend`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from mlcoop.forecast.growth import Growth, growth_features
from mlcoop.forecast.history import FloatArray
from mlcoop.forecast.origins import first_origin

TRAINING_YEARS = 10
RECENCY = 0.9
"""Weight of a training year relative to the one after it."""
DAMPING = 0.6
"""Share of a rule's growth that goes on into the next year. With 0.8 of it the error of 15 focus
sets five years ahead was 1.10 of the best baseline's instead of 1.05 (docs/tried-forecasts.md)."""

DEFAULTS: dict[str, Any] = {
    "n_estimators": 250,
    "max_depth": 5,
    "learning_rate": 0.06,
    "subsample": 0.7,
    "colsample_bytree": 0.6,
    "min_child_weight": 100.0,
    "reg_lambda": 20.0,
}


def space(trial: Any) -> dict[str, Any]:
    """Return the boosted experts' parameters drawn by an Optuna `trial`."""
    return {
        "n_estimators": trial.suggest_int("n_estimators", 100, 400, step=50),
        "max_depth": trial.suggest_int("max_depth", 2, 6),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "min_child_weight": trial.suggest_float("min_child_weight", 5.0, 300.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.5, 50.0, log=True),
    }


@dataclass(frozen=True)
class LinearFit:
    """A linear model of standardised inputs; a missing input counts as its mean."""

    columns: tuple[str, ...]
    centre: FloatArray
    scale: FloatArray
    intercept: float
    slopes: FloatArray

    def predict(self, X: pd.DataFrame) -> FloatArray:
        z = (X[list(self.columns)].to_numpy(dtype=float) - self.centre) / self.scale
        return self.intercept + np.clip(np.nan_to_num(z), -8, 8) @ self.slopes

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "intercept": self.intercept,
            "slopes": self.slopes.tolist(),
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> LinearFit:
        return LinearFit(
            tuple(state["columns"]),
            np.array(state["centre"]),
            np.array(state["scale"]),
            float(state["intercept"]),
            np.array(state["slopes"]),
        )


@dataclass(frozen=True)
class BoostedFit:
    """An xgboost model of the inputs as they are; it handles missing ones itself."""

    columns: tuple[str, ...]
    booster: xgb.Booster

    def predict(self, X: pd.DataFrame) -> FloatArray:
        matrix = xgb.DMatrix(X[list(self.columns)].to_numpy(dtype=float), nthread=1)
        return self.booster.predict(matrix).astype(float)


@dataclass(frozen=True)
class RuleFit:
    """A rule without parameters: a yearly rate among the inputs, damped from year to year.

    None where the column is filled in later (`mlcoop.forecast.combine.with_derived`).
    """

    rate: Callable[[pd.DataFrame], FloatArray] | None
    horizon: int

    def predict(self, X: pd.DataFrame) -> FloatArray:
        if self.rate is None:
            return np.zeros(len(X))
        return np.nan_to_num(self.rate(X)) * sum(DAMPING**year for year in range(self.horizon))


Fit = LinearFit | BoostedFit | RuleFit


@dataclass(frozen=True)
class Expert:
    """One way to forecast growth.

    Attributes
    ----------
    kind : {"linear", "boosted", "rule", "derived"}
        Derived ones fit nothing and read no inputs: see `mlcoop.forecast.combine.with_derived`.
    power : float
        Training rows weigh as the last count to this power.
    rate : callable or None
        Of a rule: yearly relative growth from the inputs.
    """

    name: str
    label: str
    kind: str
    power: float = 1.0
    rate: Callable[[pd.DataFrame], FloatArray] | None = None


EXPERTS: dict[str, Expert] = {
    e.name: e
    for e in (
        Expert("linear_even", "absolute-error linear, all sizes", "linear", 0.5),
        Expert("linear_large", "absolute-error linear, large pairs", "linear", 1.0),
        Expert("boosted_even", "xgboost, all sizes", "boosted", 0.5),
        Expert("boosted_large", "xgboost, large pairs", "boosted", 1.0),
        # The mean of the four above plus `mlcoop.forecast.follow`'s shift.
        Expert("following", "mean of these, following the last errors", "derived"),
        Expert(
            "last_growth",
            "last growth of the pair",
            "rule",
            # Beyond 30 % a year a growth is an event, not a trend.
            rate=lambda X: np.clip(X["growth1"].to_numpy(dtype=float), -0.3, 0.3),
        ),
        Expert(
            "country_growth",
            "last growth of both countries elsewhere",
            "rule",
            rate=lambda X: np.clip(X["others_sum1"].to_numpy(dtype=float) / 2, -0.3, 0.3),
        ),
        Expert(
            "steady_growth",
            "half three-year growth of the pair, half last growth of both countries",
            "rule",
            rate=lambda X: (
                np.clip(X["drift3"].to_numpy(dtype=float), -0.3, 0.3) / 2
                + np.clip(X["others_sum1"].to_numpy(dtype=float) / 2, -0.3, 0.3) / 2
            ),
        ),
        Expert("smoothing", "damped smoothing of the pair's counts", "derived"),
    )
}


@dataclass(frozen=True)
class TrainingSet:
    """Rows of earlier origins whose targets are known: inputs, target, last count, weight."""

    X: pd.DataFrame
    target: FloatArray
    last: FloatArray
    recency: FloatArray


FITTED = [i for i, e in enumerate(EXPERTS.values()) if e.kind in ("linear", "boosted")]
FOLLOWING = list(EXPERTS).index("following")
SMOOTHED = list(EXPERTS).index("smoothing")


def training_set(growth: Growth, k: int, horizon: int) -> TrainingSet:
    """Return the rows that may train a forecast made at column `k`: targets up to `k`."""
    first = first_origin(growth.relative.shape[1])
    start = max(min(first, k - horizon), k - horizon - TRAINING_YEARS + 1, 0)
    frames, targets, lasts, recency = [], [], [], []
    for s in range(start, k - horizon + 1):
        target = growth.relative[:, s + horizon] - growth.relative[:, s]
        # A count that was carried forward is no observation of growth.
        observed = np.isfinite(growth.history.counts[:, s + horizon]) & np.isfinite(target)
        frames.append(growth_features(growth, s)[observed])
        targets.append(target[observed])
        lasts.append(growth.counts[observed, s])
        recency.append(np.full(int(observed.sum()), RECENCY ** (k - horizon - s)))
    return TrainingSet(
        pd.concat(frames, ignore_index=True),
        np.concatenate(targets),
        np.concatenate(lasts),
        np.concatenate(recency),
    )


def fit_expert(
    expert: Expert,
    data: TrainingSet,
    horizon: int,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Fit:
    """Return `expert` fitted to the training rows, in one thread.

    Raises
    ------
    ValueError
        For an unknown kind; the catalogue is at fault then.
    """
    if expert.kind == "derived":
        return RuleFit(None, horizon)
    if expert.kind == "rule":
        return RuleFit(expert.rate, horizon)
    weight = ((data.last + 1) ** expert.power - 0.9) * data.recency
    weight = weight / weight.mean()
    if expert.kind == "linear":
        return fit_linear(data.X, data.target, weight)
    if expert.kind == "boosted":
        return fit_boosted(data.X, data.target, weight, {**DEFAULTS, **(params or {})}, seed)
    raise ValueError(f"expert {expert.name}: unknown kind {expert.kind!r}")


def fit_linear(X: pd.DataFrame, target: FloatArray, weight: FloatArray) -> LinearFit:
    """Return the linear model of least weighted absolute error, shrunk where rows are few.

    The penalty on squared standardised slopes, per unit of weight, is 0.001 plus 50 over the number
    of rows. With 30 pairs over 8 years, 0.001 alone made the forecast 40 % worse than the best
    baseline; on 40,000 rows the second term hardly counts.

    Iteratively reweighted least squares; residuals below 0.01 (one per cent) count alike, which
    bounds the weights and moves the solution by less than the noise.

    References
    ----------
    Schlossmacher (1973), Journal of the American Statistical Association 68(344),
    doi:10.1080/01621459.1973.10481443.
    """
    ridge = 1e-3 + 50 / max(len(X), 1)
    values = X.to_numpy(dtype=float)
    with np.errstate(all="ignore"):
        centre = np.nan_to_num(np.nanmean(values, axis=0))
        scale = np.nan_to_num(np.nanstd(values, axis=0))
    scale = np.where(scale > 1e-9, scale, 1.0)
    z = np.clip(np.nan_to_num((values - centre) / scale), -8, 8)
    design = np.column_stack([np.ones(len(z)), z])
    penalty = np.eye(design.shape[1]) * ridge * weight.sum()
    penalty[0, 0] = 1e-9 * weight.sum()
    beta = np.zeros(design.shape[1])
    for _ in range(25):
        pull = weight / np.maximum(np.abs(target - design @ beta), 0.01)
        weighted = design * pull[:, None]
        beta = np.linalg.solve(weighted.T @ design + penalty, weighted.T @ target)
    return LinearFit(tuple(X.columns), centre, scale, float(beta[0]), beta[1:])


def fit_boosted(
    X: pd.DataFrame,
    target: FloatArray,
    weight: FloatArray,
    params: Mapping[str, Any],
    seed: int,
) -> BoostedFit:
    """Return an xgboost model of least weighted absolute error."""
    settings = {k: v for k, v in params.items() if k != "n_estimators"}
    matrix = xgb.DMatrix(X.to_numpy(dtype=float), label=target, weight=weight, nthread=1)
    booster = xgb.train(
        {
            "objective": "reg:absoluteerror",
            "tree_method": "hist",
            "max_bin": 64,
            "nthread": 1,
            "seed": seed,
            **settings,
        },
        matrix,
        num_boost_round=int(params["n_estimators"]),
    )
    return BoostedFit(tuple(X.columns), booster)


def to_works(log_ratio: FloatArray, last: FloatArray) -> FloatArray:
    """Return the works that a log ratio of works plus one makes of the last count.

    >>> to_works(np.array([np.log(2.0)]), np.array([4.0]))
    array([9.])
    """
    return np.maximum((last + 1) * np.exp(log_ratio) - 1, 0.0)
