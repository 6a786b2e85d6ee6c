"""Factor learners: expected works of a pair from its factors, with exact attributions.

Every learner fits on the log scale with an exposure, and hands out interventional Shapley values
that add up to its margin. `LEARNERS` is the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mlcoop.model.basis import Term, basis_shapley, learn_basis
from mlcoop.model.linear_boosting import FEWEST_PAIRS_TO_BOOST, LinearBoosting
from mlcoop.model.scales import scales_of
from mlcoop.model.shallow import read_shallow, shallow_interactions
from mlcoop.model.training import MANY_PAIRS, arrange, expected_works
from mlcoop.model.trees import BinnedRows, fit_trees, predict_margin, tree_shapley

Params = dict[str, Any]


class Estimator(Protocol):
    """What `Learner.make` returns."""

    def fit(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        *,
        exposure: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        pairs: np.ndarray | None = None,
        years: np.ndarray | None = None,
    ) -> Estimator:
        """Fit on rows; `pairs` says which rows belong to one pair."""
        ...

    def refit(self, multiplicity: pd.Series, seed: int) -> Estimator:
        """Return a copy fitted again with each training pair counted that many times."""
        ...

    def margin(self, X: pd.DataFrame) -> np.ndarray:
        """Return log expected works per exposure, shape (n_rows,)."""
        ...

    def predict(self, X: pd.DataFrame, *, exposure: np.ndarray | None = None) -> np.ndarray:
        """Return expected works, shape (n_rows,)."""
        ...

    def shap_values(self, X: pd.DataFrame, background: pd.DataFrame) -> tuple[pd.DataFrame, float]:
        """Return interventional Shapley values on the log scale, and the base value."""
        ...

    def interactions(
        self, X: pd.DataFrame, background: pd.DataFrame
    ) -> tuple[list[tuple[int, int]], np.ndarray]:
        """Return pairs of columns, and their interventional Shapley interaction values.

        Only pairs with a joint term in the model, smaller column first; the values have shape
        (n_rows, n_pairs) on the log scale. None where the learner cannot tell them exactly.
        """
        ...


def as_seen(estimator: Estimator, X: pd.DataFrame) -> pd.DataFrame:
    """Return X as a fitted model takes it, missing values imputed where the model imputes them.

    Whoever changes a factor must do so after this: what fills a gap depends on all that is known
    of the row, so a gap of a changed row would be filled anew and a second factor change as well.
    """
    filled = getattr(estimator, "filled", None)
    return X if filled is None else filled(X)


@dataclass(frozen=True)
class Learner:
    """Entry of the catalogue.

    Attributes
    ----------
    name, label : str
    make : callable (params, seed) -> Estimator
    space : callable (trial) -> params
        Optuna search space.
    defaults : dict
        Parameters to start from, complete.
    relevant : callable (params, n_pairs) -> params
        The parameters that make a difference with so many pairs; equal ones, equal fits.
    """

    name: str
    label: str
    make: Callable[[Params, int], Estimator]
    space: Callable[[Any], Params]
    defaults: Params = field(default_factory=dict)
    relevant: Callable[[Params, int], Params] = lambda params, n_pairs: params


class PoissonBoosting:
    """Boosted trees with a Poisson objective and the exposure as base margin."""

    def __init__(self, params: Params, seed: int) -> None:
        self.params, self.seed = params, seed

    def fit(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        *,
        exposure: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        pairs: np.ndarray | None = None,
        years: np.ndarray | None = None,
    ) -> PoissonBoosting:
        """Fit on rows of factors and counts."""
        self.data_ = arrange(
            X, y, exposure, weight, pairs, years, self.params["most_rows"], self.seed
        )
        self.binned_ = BinnedRows(self.data_.X, self.data_.y)
        return self._boost(np.ones(len(self.data_.pair_names)))

    def refit(self, multiplicity: pd.Series, seed: int) -> PoissonBoosting:
        """Return a copy with training pairs reweighted."""
        copy = PoissonBoosting(self.params, seed)
        copy.data_, copy.binned_ = self.data_, self.binned_
        return copy._boost(multiplicity.reindex(self.data_.pair_names).to_numpy(float))

    def _boost(self, times: np.ndarray) -> PoissonBoosting:
        data = self.data_
        weight = data.weight * times[data.pair]
        total = (weight * data.y).sum()
        self.level_ = float(
            np.log(max(total, 1e-6) / (weight * np.exp(data.offset)).sum()) if total >= 0 else 0.0
        )
        self.booster_ = fit_trees(
            self.binned_,
            base_margin=data.offset + self.level_,
            weight=weight,
            params=self.params,
            seed=self.seed,
        )
        return self

    def margin(self, X: pd.DataFrame) -> np.ndarray:
        """Return log expected works per exposure, shape (n_rows,)."""
        return self.level_ + predict_margin(self.booster_, np.asarray(X, dtype=float))

    def predict(self, X: pd.DataFrame, *, exposure: np.ndarray | None = None) -> np.ndarray:
        """Return expected works, shape (n_rows,)."""
        return expected_works(self.margin(X), exposure)

    def shap_values(self, X: pd.DataFrame, background: pd.DataFrame) -> tuple[pd.DataFrame, float]:
        """Return interventional Shapley values on the log scale, and the base value."""
        values, base = tree_shapley(
            self.booster_, np.asarray(X, dtype=float), np.asarray(background, dtype=float)
        )
        return pd.DataFrame(values, index=X.index, columns=X.columns), base + self.level_

    def interactions(
        self, X: pd.DataFrame, background: pd.DataFrame
    ) -> tuple[list[tuple[int, int]], np.ndarray]:
        """Return pairs of columns, and their interaction values; none where trees are deeper."""
        trees = read_shallow(self.booster_)
        if trees is None:
            return [], np.empty((len(X), 0))
        return shallow_interactions(
            trees, np.asarray(X, dtype=float), np.asarray(background, dtype=float)
        )


class PPML:
    """Poisson pseudo maximum likelihood on standardised factors: the field's reference.

    References
    ----------
    Santos Silva and Tenreyro 2006, doi:10.1162/rest.88.4.641. Departures: a small ridge, so that
    collinear factors have a solution; with fewer than `MANY_PAIRS` pairs, skew factors in logs
    where those say more (`scales`), since a gravity regression on output itself would be no rival.
    """

    def __init__(self, params: Params, seed: int) -> None:
        self.params, self.seed = params, seed

    def fit(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        *,
        exposure: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        pairs: np.ndarray | None = None,
        years: np.ndarray | None = None,
    ) -> PPML:
        """Fit on rows of factors and counts."""
        self.data_ = arrange(
            X, y, exposure, weight, pairs, years, self.params["most_rows"], self.seed
        )
        few = len(self.data_.pair_names) < MANY_PAIRS
        self.basis_ = learn_basis(
            self.data_.X,
            weight=self.data_.weight,
            smooth=False,
            scales=scales_of(self.data_, self.params.get("terms"), nuisance=False) if few else (),
        )
        return self._estimate(np.ones(len(self.data_.pair_names)))

    @property
    def terms(self) -> frozenset[Term]:
        """Scales that the fit has."""
        return self.basis_.terms

    def refit(self, multiplicity: pd.Series, seed: int) -> PPML:
        """Return a copy with training pairs reweighted."""
        copy = PPML(self.params, seed)
        copy.data_, copy.basis_ = self.data_, self.basis_
        return copy._estimate(multiplicity.reindex(self.data_.pair_names).to_numpy(float))

    def _estimate(self, times: np.ndarray) -> PPML:
        from sklearn.linear_model import PoissonRegressor

        data = self.data_
        z = self.basis_.standardise(data.X)
        model = PoissonRegressor(alpha=self.params["alpha"], max_iter=300, solver="newton-cholesky")
        share = np.exp(data.offset)
        weight = data.weight * times[data.pair]
        model.fit(z, data.y / share, sample_weight=weight * share + 1e-12)
        self.coef_ = np.r_[model.intercept_, model.coef_]
        return self

    def margin(self, X: pd.DataFrame) -> np.ndarray:
        """Return log expected works per exposure, shape (n_rows,)."""
        return self.basis_.design(self.basis_.standardise(np.asarray(X, dtype=float))) @ self.coef_

    def predict(self, X: pd.DataFrame, *, exposure: np.ndarray | None = None) -> np.ndarray:
        """Return expected works, shape (n_rows,)."""
        return expected_works(self.margin(X), exposure)

    def shap_values(self, X: pd.DataFrame, background: pd.DataFrame) -> tuple[pd.DataFrame, float]:
        """Return interventional Shapley values on the log scale, and the base value."""
        values, base = basis_shapley(
            self.basis_,
            self.coef_,
            np.asarray(X, dtype=float),
            np.asarray(background, dtype=float),
        )
        return pd.DataFrame(values, index=X.index, columns=X.columns), base

    def interactions(
        self, X: pd.DataFrame, background: pd.DataFrame
    ) -> tuple[list[tuple[int, int]], np.ndarray]:
        """Return no pair: the margin is a sum of factors."""
        return [], np.empty((len(X), 0))


def _tree_space(trial: Any, *, deepest: int, most: int = 600) -> Params:
    return {
        "trees": trial.suggest_int("trees", 0, most, step=50),
        "depth": trial.suggest_int("depth", 2, deepest) if deepest > 2 else 2,
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.5, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.1, 30.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample": trial.suggest_float("colsample", 0.4, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 3.0, 300.0, log=True),
    }


TREES: Params = {
    "trees": 300,
    "depth": 2,
    "learning_rate": 0.1,
    "min_child_weight": 1.0,
    "subsample": 0.8,
    "colsample": 0.8,
    "reg_lambda": 10.0,
}
LINEAR: Params = {
    "smooth": True,
    "products": True,
    "smooth_cut": 4.0,
    "product_cut": 12.0,
    "most_rows": 6_000,
    "tree_rows": 10_000,
}

LEARNERS: dict[str, Learner] = {
    "linear_boosting": Learner(
        name="linear_boosting",
        label="log-linear model, and shallow boosting of its residual where pairs are many",
        make=LinearBoosting,
        space=lambda trial: LINEAR | _tree_space(trial, deepest=2, most=300),
        defaults=LINEAR
        | TREES
        | {"trees": 250, "learning_rate": 0.4, "colsample": 0.4, "reg_lambda": 30.0},
        relevant=lambda params, n_pairs: (
            params
            if n_pairs >= FEWEST_PAIRS_TO_BOOST
            else {k: v for k, v in params.items() if k in LINEAR}
        ),
    ),
    "poisson_boosting": Learner(
        name="poisson_boosting",
        label="boosted trees, Poisson objective",
        make=PoissonBoosting,
        # depth 2: interactions of two factors, and Shapley values that are exact and fast
        space=lambda trial: {"most_rows": 20_000} | _tree_space(trial, deepest=2),
        defaults=TREES | {"trees": 600, "learning_rate": 0.2, "most_rows": 20_000},
    ),
    "ppml": Learner(
        name="ppml",
        label="Poisson regression (PPML)",
        make=PPML,
        space=lambda trial: {
            "alpha": trial.suggest_float("alpha", 1e-6, 1.0, log=True),
            "most_rows": 20_000,
        },
        defaults={"alpha": 1e-4, "most_rows": 20_000},
    ),
}
