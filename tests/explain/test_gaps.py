"""Filled gaps stay put while another factor is changed; truths are a known line's own slopes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from worlds import columns_of, wide_matrix

from mlcoop.explain.defence.permutation import permutation_importance
from mlcoop.explain.defence.players import group_players
from mlcoop.explain.repeated import ask
from mlcoop.features.build import FeatureMatrix
from mlcoop.model.imputation import Imputing, learn_imputer

SLOPES = np.array([0.5, -0.3, 0.2, 0.0])


class Line:
    """A model with given slopes that must not meet a gap."""

    def margin(self, X):
        assert not X.isna().to_numpy().any()
        return X.to_numpy(float) @ SLOPES

    def predict(self, X, *, exposure=None):
        return np.exp(3 + self.margin(X))

    def shap_values(self, X, background):
        return (X - background.mean()) * SLOPES, 0.0


@pytest.fixture(scope="module")
def gappy() -> FeatureMatrix:
    """A fifth of the values are missing; factors move together, so that fills follow the rest."""
    whole = wide_matrix([0.5, -0.3, 0.2, 0.0], countries=10)
    X = whole.X + 0.8 * whole.X[["x0"]].to_numpy()
    holes = np.random.default_rng(1).random(X.shape) < 0.2
    return FeatureMatrix(whole.rows, X.mask(holes), whole.features)


@pytest.fixture(scope="module")
def model(gappy) -> Imputing:
    return Imputing(Line(), learn_imputer(gappy.X))


def explained(matrix: FeatureMatrix, model: Imputing) -> SimpleNamespace:
    n = len(matrix.rows)
    return SimpleNamespace(
        rows=np.arange(n), estimators=(model,), fold_of_row=np.zeros(n, dtype=int), unit="pair"
    )


def test_filling_after_a_change_would_move_other_factors(gappy, model):
    """The world is worth the test: rows with gaps give another contrast when filled anew."""
    moved = gappy.X.assign(x1=gappy.X["x1"] + 1)
    step = model.margin(moved) - model.margin(gappy.X)
    some = gappy.X["x1"].notna() & gappy.X.drop(columns="x1").isna().any(axis=1)
    assert np.abs(step[some.to_numpy()] - SLOPES[1]).max() > 0.1


def test_contrasts_and_curves_are_the_lines_own(gappy, model):
    """Closed form: slope times the way from the 10th to the 90th percentile, and from end."""
    columns = columns_of(gappy)
    questions = ask(gappy.X, columns, np.random.default_rng(0))
    effects = questions.effects(model, questions.to(model))
    low, high = gappy.X.quantile(0.1), gappy.X.quantile(0.9)
    assert effects[: len(columns)] == pytest.approx(SLOPES * (high - low).to_numpy(), abs=1e-9)
    first = len(columns)
    for edges, slope in zip(questions.steps.edges, SLOPES, strict=True):
        curve = effects[first : first + len(edges)]
        assert curve - curve[0] == pytest.approx(slope * (edges - edges[0]), abs=1e-9)
        first += len(edges)


def test_a_line_has_no_interaction_of_groups(gappy, model):
    table = group_players(gappy, explained(gappy, model), {"g0": [0, 1], "g1": [2, 3]}, seed=0)
    assert table["interaction"].to_numpy() == pytest.approx(0, abs=1e-9)


def test_a_factor_without_slope_loses_nothing(gappy, model):
    groups = {"x0": "a", "x1": "a", "x2": "b", "x3": "b"}
    table = permutation_importance(
        gappy, explained(gappy, model), columns_of(gappy), groups, level=0.95, seed=0
    )
    assert table.loc["x3", "permutation"] == pytest.approx(0, abs=1e-12)
    assert table.loc["x3", "conditional"] == pytest.approx(0, abs=1e-12)
    assert table.loc["x0", "permutation"] > 0.1
