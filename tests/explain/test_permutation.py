"""Permutation importance against scikit-learn's, and its conditional form on twins."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.metrics import mean_poisson_deviance
from worlds import columns_of, wide_matrix

from mlcoop.explain.defence.permutation import permutation_importance


class Given:
    """A model with given slopes."""

    def __init__(self, slopes: list[float]) -> None:
        self.slopes = np.array(slopes)

    def predict(self, X, *, exposure=None):
        return np.exp(3 + np.asarray(X, dtype=float) @ self.slopes)

    def fit(self, X, y):
        return self


def explained_of(matrix, model, unit="pair"):
    n = len(matrix.rows)
    return SimpleNamespace(
        rows=np.arange(n), estimators=(model,), fold_of_row=np.zeros(n, dtype=int), unit=unit
    )


def test_plain_importance_is_scikit_learns():
    """scikit-learn 1.5 on the same model, rows and loss; both are means over random orders."""
    matrix = wide_matrix([0.5, -0.3, 0.0], countries=10)
    model = Given([0.5, -0.3, 0.0])
    groups = {"x0": "a", "x1": "b", "x2": "c"}
    table = permutation_importance(
        matrix, explained_of(matrix, model), columns_of(matrix), groups,
        level=0.95, seed=0, repeats=40,
    )  # fmt: skip
    y = matrix.rows["works"].to_numpy()

    def score(estimator, X, target):
        return -mean_poisson_deviance(target, estimator.predict(X))

    other = sklearn_importance(model, matrix.X, y, scoring=score, n_repeats=40, random_state=0)
    null = mean_poisson_deviance(y, np.full(len(y), y.mean()))
    error = np.hypot(other.importances_std / null, table["permutation_sd"]) / np.sqrt(40)
    gap = np.abs(table["permutation"].to_numpy() - other.importances_mean / null)
    assert (gap <= 4 * error + 1e-12).all()  # four standard errors of the two means
    assert table.loc["x2", "permutation"] == pytest.approx(0, abs=1e-12)
    assert table["permutation_stands_out"].tolist() == [True, True, False]


def test_a_twin_in_the_group_makes_the_conditional_importance_vanish():
    """Closed form: with x1 = x0 in one group, strata of x1 hold nearly one value of x0."""
    matrix = wide_matrix([0.5, 0.0, 0.3], countries=12)
    matrix.X["x1"] = matrix.X["x0"]
    groups = {"x0": "a", "x1": "a", "x2": "b"}
    table = permutation_importance(
        matrix, explained_of(matrix, Given([0.5, 0.0, 0.3])), columns_of(matrix), groups,
        level=0.95, seed=0,
    )  # fmt: skip
    assert table.loc["x0", "conditional"] < 0.15 * table.loc["x0", "permutation"]
    # alone in its group there is nothing to hold fixed
    assert table.loc["x2", "conditional"] == pytest.approx(table.loc["x2", "permutation"], rel=0.3)


def test_values_that_all_agree_lose_nothing():
    matrix = wide_matrix([0.5, 0.2], countries=8)
    matrix.X["x1"] = 1.0
    table = permutation_importance(
        matrix, explained_of(matrix, Given([0.5, 0.2]), "country"), columns_of(matrix),
        {"x0": "a", "x1": "a"}, level=0.95, seed=0,
    )  # fmt: skip
    assert table.loc["x1", "permutation"] == 0 and table.loc["x1", "permutation_p"] == 1


def test_pairs_of_one_country_are_not_one_cluster():
    """Planted: a harmless factor is not told, though every pair holds the same country."""
    matrix = wide_matrix([0.5, 0.2], countries=30)
    matrix = matrix.take(matrix.rows["in_focus"])
    rng = np.random.default_rng(0)
    matrix.X["x1"] = rng.normal(size=len(matrix.X))
    table = permutation_importance(
        matrix, explained_of(matrix, Given([0.5, 0.02]), "country"), columns_of(matrix),
        {"x0": "a", "x1": "b"}, level=0.95, seed=0,
    )  # fmt: skip
    assert table["permutation_stands_out"].tolist() == [True, False]
    assert 0.001 < table.loc["x1", "permutation_p"] < 0.999


def test_few_countries_find_nothing_by_a_spread_that_is_none_by_chance():
    """Seeded repeats: works know nothing of the factors, and a test at 5 % finds 5 %.

    Four factors in each of 150 worlds of seven countries: a standard error of 0.009. Without the
    floor under the dyadic variance it is 0.18.
    """
    found = []
    for seed in range(150):
        matrix = wide_matrix([0.0] * 4, countries=7, seed=seed)
        rng = np.random.default_rng(seed)
        matrix.X[:] = rng.normal(size=matrix.X.shape)
        table = permutation_importance(
            matrix, explained_of(matrix, Given([0.1] * 4), "country"), columns_of(matrix),
            {f"x{k}": "g" for k in range(4)}, level=0.95, seed=seed,
        )  # fmt: skip
        found.append(table["permutation_p"] <= 0.05)
    assert np.mean(found) < 0.05 + 3 * 0.009, np.mean(found)
