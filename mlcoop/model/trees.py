"""Boosted trees with a Poisson objective, and their exact interventional Shapley values.

A tree of depth two is a sum of two products of indicator functions, and the interventional
Shapley value of a product of two functions has a closed form, so no sampling and no recursion is
needed. Deeper trees go to `shap.TreeExplainer`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

Params = dict[str, Any]


def fit_trees(
    X: np.ndarray,
    y: np.ndarray,
    *,
    base_margin: np.ndarray,
    weight: np.ndarray,
    params: Params,
    seed: int,
) -> Any:
    """Fit boosted trees on top of a given margin; return an xgboost Booster.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), NaN where missing
    y : array of shape (n_rows,), counts
    base_margin : array of shape (n_rows,)
        Log of what is already expected (exposure, linear part).
    params : dict
        `trees`, `depth`, `learning_rate`, `min_child_weight`, `subsample`, `colsample`,
        `reg_lambda`, `gamma`.
    """
    import xgboost

    data = xgboost.QuantileDMatrix(
        X, label=y, weight=weight, base_margin=base_margin, max_bin=64, nthread=1
    )
    settings = {
        "objective": "count:poisson",
        "tree_method": "hist",
        "max_depth": int(params["depth"]),
        "learning_rate": params["learning_rate"],
        "min_child_weight": params["min_child_weight"],
        "subsample": params["subsample"],
        "colsample_bytree": params["colsample"],
        "reg_lambda": params["reg_lambda"],
        "gamma": params.get("gamma", 0.0),
        "max_bin": 64,
        "nthread": 1,
        "seed": seed,
        "verbosity": 0,
    }
    return xgboost.train(settings, data, num_boost_round=int(params["trees"]))


def predict_margin(booster: Any, X: np.ndarray) -> np.ndarray:
    """Return the trees' sum of leaves, without any base margin."""
    import xgboost

    data = xgboost.DMatrix(X, base_margin=np.zeros(len(X)), nthread=1)
    return booster.predict(data, output_margin=True).astype(float)


def tree_shapley(booster: Any, X: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
    """Return interventional Shapley values of the trees' margin over a background.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    background : array of shape (n_background, n_features)

    Returns
    -------
    values : array of shape (n_rows, n_features), log scale
    base : float
        Mean margin over the background; `base + values.sum(axis=1)` is the margin.
    """
    trees = _read_trees(booster)
    if any(_depth(t) > 2 for t in trees):
        return _deep_shapley(booster, X, background)
    values = np.zeros(X.shape)
    base = 0.0
    left_of: dict[tuple[int, float, bool], tuple[np.ndarray, np.ndarray]] = {}

    def goes_left(tree: Params, node: int) -> tuple[np.ndarray, np.ndarray]:
        key = (tree["feature"][node], tree["threshold"][node], tree["missing_left"][node])
        if key not in left_of:
            left_of[key] = (_left(X, *key), _left(background, *key))
        return left_of[key]

    for tree in trees:
        if tree["left"][0] < 0:
            base += tree["leaf"][0]
            continue
        root_x, root_b = goes_left(tree, 0)
        for side, child in ((1.0, tree["left"][0]), (0.0, tree["right"][0])):
            p, p_b = np.abs(1 - side - root_x), np.abs(1 - side - root_b)
            if tree["left"][child] < 0:
                leaf = tree["leaf"][child]
                mean = p_b.mean()
                values[:, tree["feature"][0]] += leaf * (p - mean)
                base += leaf * mean
                continue
            q_x, q_b = goes_left(tree, child)
            low, high = tree["leaf"][tree["left"][child]], tree["leaf"][tree["right"][child]]
            q, q_b = high + (low - high) * q_x, high + (low - high) * q_b
            mean_p, mean_q, joint = p_b.mean(), q_b.mean(), (p_b * q_b).mean()
            both = p * q
            values[:, tree["feature"][0]] += 0.5 * (p * mean_q - joint + both - mean_p * q)
            values[:, tree["feature"][child]] += 0.5 * (mean_p * q - joint + both - p * mean_q)
            base += joint
    return values, base


def _left(X: np.ndarray, feature: int, threshold: float, missing_left: bool) -> np.ndarray:
    column = X[:, feature].astype(np.float32)
    with np.errstate(invalid="ignore"):
        left = column < np.float32(threshold)
    return np.where(np.isnan(column), missing_left, left).astype(float)


def _read_trees(booster: Any) -> list[Params]:
    model = json.loads(bytes(booster.save_raw("json")))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    return [
        {
            "left": t["left_children"],
            "right": t["right_children"],
            "feature": t["split_indices"],
            "threshold": t["split_conditions"],
            "leaf": t["split_conditions"],  # xgboost keeps a leaf's value in the same array
            "missing_left": [bool(d) for d in t["default_left"]],
        }
        for t in trees
    ]


def _depth(tree: Params, node: int = 0) -> int:
    if tree["left"][node] < 0:
        return 0
    return 1 + max(_depth(tree, tree["left"][node]), _depth(tree, tree["right"][node]))


def _deep_shapley(booster: Any, X: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
    import shap

    explainer = shap.TreeExplainer(
        booster, background[:100], feature_perturbation="interventional", model_output="raw"
    )
    values = np.asarray(explainer.shap_values(X, check_additivity=False), dtype=float)
    margin = predict_margin(booster, X)
    base = float(predict_margin(booster, background[:100]).mean())
    # TreeExplainer sums in single precision: spread what is left, or additivity would fail
    gap = margin - base - values.sum(axis=1)
    size = np.abs(values) + 1e-12
    return values + gap[:, None] * size / size.sum(axis=1, keepdims=True), base
