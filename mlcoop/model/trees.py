"""Boosted trees with a Poisson objective, and their exact interventional Shapley values.

Trees of depth two go to `shallow`, deeper ones to `shap.TreeExplainer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlcoop.model.shallow import read_shallow, shallow_shapley

Params = dict[str, Any]


class BinnedRows:
    """Rows as xgboost bins them, for several fits with other weights; binned anew after a copy.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), NaN where missing
    y : array of shape (n_rows,), counts
    """

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y = X, y
        self._data: Any = None

    def __reduce__(self) -> tuple[type[BinnedRows], tuple[np.ndarray, np.ndarray]]:
        return BinnedRows, (self.X, self.y)

    def data(self, base_margin: np.ndarray, weight: np.ndarray) -> Any:
        """Return the rows with a margin and weights, as a QuantileDMatrix."""
        import xgboost

        if self._data is None:
            self._data = xgboost.QuantileDMatrix(self.X, label=self.y, max_bin=64, nthread=1)
        self._data.set_info(weight=weight, base_margin=base_margin)
        return self._data


def fit_trees(
    rows: BinnedRows,
    *,
    base_margin: np.ndarray,
    weight: np.ndarray,
    params: Params,
    seed: int,
) -> Any:
    """Fit boosted trees on top of a given margin; return an xgboost Booster.

    Parameters
    ----------
    rows : BinnedRows
    base_margin : array of shape (n_rows,)
        Log of what is already expected (exposure, linear part).
    params : dict
        `trees`, `depth`, `learning_rate`, `subsample`, `colsample`, `gamma` as xgboost has them;
        `min_child_weight` and `reg_lambda` in rows of average works, so that a leaf that hangs on
        the few largest pairs is held back as much in a study of many works as in one of few.
    """
    import xgboost

    # A row's second derivative is its expected works, which differ from study to study.
    row = max(float(np.mean(weight * rows.y)), 1e-6)
    settings = {
        "objective": "count:poisson",
        "tree_method": "hist",
        "max_depth": int(params["depth"]),
        "learning_rate": params["learning_rate"],
        "min_child_weight": params["min_child_weight"] * row,
        "subsample": params["subsample"],
        "colsample_bytree": params["colsample"],
        "reg_lambda": params["reg_lambda"] * row,
        "gamma": params.get("gamma", 0.0),
        "max_bin": 64,
        "nthread": 1,
        "seed": seed,
        "verbosity": 0,
    }
    data = rows.data(base_margin, weight)
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
    trees = read_shallow(booster)
    if trees is None:
        return _deep_shapley(booster, X, background)
    return shallow_shapley(trees, X, background)


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
