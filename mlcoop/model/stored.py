"""Fitted factor models as JSON and back: no pickle, so a file from elsewhere runs no code."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xgboost

from mlcoop.errors import DataError
from mlcoop.model.basis import Basis, Scale, Smooth
from mlcoop.model.imputation import Imputer, Imputing
from mlcoop.model.learners import PPML, Estimator, LinearBoosting, PoissonBoosting
from mlcoop.model.mixed_fit import MixedFit


def to_json(estimator: Estimator) -> dict[str, Any]:
    """Return what a fitted estimator needs to give margins and Shapley values again.

    Parameters
    ----------
    estimator : fitted estimator of an entry of `LEARNERS`
        Its training rows are not stored, so it can predict and explain but not be refitted.
    """
    if isinstance(estimator, Imputing):
        assert estimator.imputer is not None
        filling = {name: part.tolist() for name, part in vars(estimator.imputer).items()}
        inner = to_json(estimator.inner)
        return {"kind": "imputing", "imputer": filling, "spread": estimator.spread, "inner": inner}
    if isinstance(estimator, PoissonBoosting):
        return {
            "kind": "poisson_boosting",
            "level": estimator.level_,
            "booster": _trees(estimator.booster_),
        }
    if isinstance(estimator, LinearBoosting):
        return {
            "kind": "linear_boosting",
            "basis": _basis(estimator.basis_),
            "coef": estimator._coef().tolist(),
            "level": float(estimator.level_),
            "booster": _trees(estimator.booster_),
        }
    assert isinstance(estimator, PPML), f"no JSON form for {type(estimator).__name__}"
    return {
        "kind": "ppml",
        "basis": _basis(estimator.basis_),
        "coef": estimator.coef_.tolist(),
    }


def from_json(state: dict[str, Any]) -> Estimator:
    """Return the estimator that `to_json` stored.

    Raises
    ------
    DataError
        When the state is not of a known kind or lacks a part.
    """
    try:
        kind = state["kind"]
        if kind == "imputing":
            parts = {name: np.array(part, dtype=float) for name, part in state["imputer"].items()}
            spread = bool(state.get("spread", True))
            return Imputing(from_json(state["inner"]), Imputer(**parts), spread=spread)
        if kind == "poisson_boosting":
            boosted = PoissonBoosting({}, 0)
            boosted.level_ = float(state["level"])
            boosted.booster_ = _booster(state["booster"])
            return boosted
        basis = _read_basis(state["basis"])
        coef = np.array(state["coef"], dtype=float)
        if kind == "linear_boosting":
            linear = LinearBoosting({}, 0)
            linear.basis_ = basis
            linear.fit_ = _only_coef(coef)
            linear.level_ = float(state["level"])
            linear.booster_ = _booster(state["booster"])
            return linear
        if kind == "ppml":
            ppml = PPML({}, 0)
            ppml.basis_, ppml.coef_ = basis, coef
            return ppml
    except (KeyError, TypeError, ValueError, xgboost.core.XGBoostError) as error:
        raise DataError(
            f"stored model: damaged ({error}); run the study again with --force"
        ) from error
    raise DataError(f'stored model: unknown kind "{kind}"; run the study again with --force')


def _trees(booster: Any) -> Any:
    return None if booster is None else json.loads(bytes(booster.save_raw("json")))


def _booster(state: Any) -> Any:
    if state is None:
        return None
    return xgboost.Booster(model_file=bytearray(json.dumps(state).encode()))


def _basis(basis: Basis) -> dict[str, Any]:
    return {
        "mean": basis.mean.tolist(),
        "scale": basis.scale.tolist(),
        "products": [list(p) for p in basis.products],
        "scales": [list(s) for s in basis.scales],
        "smooths": [
            {
                "column": s.column,
                "low": float(s.low),
                "high": float(s.high),
                "knots": s.knots.tolist(),
                "linear": s.linear.tolist(),
                "rotation": s.rotation.tolist(),
            }
            for s in basis.smooths
        ],
    }


def _read_basis(state: dict[str, Any]) -> Basis:
    smooths = tuple(
        Smooth(
            int(s["column"]),
            s["low"],
            s["high"],
            np.array(s["knots"], dtype=float),
            np.array(s["linear"], dtype=float),
            np.array(s["rotation"], dtype=float),
        )
        for s in state["smooths"]
    )
    return Basis(
        np.array(state["mean"], dtype=float),
        np.array(state["scale"], dtype=float),
        smooths,
        tuple((int(a), int(b)) for a, b in state["products"]),
        tuple(Scale(int(column), floor, start) for column, floor, start in state.get("scales", [])),
    )


def _only_coef(coef: np.ndarray) -> MixedFit:
    n = len(coef)
    return MixedFit(
        coef=coef,
        covariance=np.zeros((n, n)),
        penalty=np.zeros(n),
        pair_variance=0.0,
        dispersion=0.0,
        scale=1.0,
        pair_effect=np.zeros(0),
        closeness=np.zeros(0),
    )
