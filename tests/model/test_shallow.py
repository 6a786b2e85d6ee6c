"""Trees of depth two as arrays: against xgboost's own predictions and shap."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mlcoop.model.learners import TREES
from mlcoop.model.shallow import read_shallow, shallow_interactions, shallow_shapley
from mlcoop.model.trees import BinnedRows, fit_trees, predict_margin

PARAMS = {**TREES, "trees": 40, "min_child_weight": 40.0}  # some trees stop at depth one


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 5))
    X[:, 4] = X[:, 4] > 0
    X[rng.random(X.shape) < 0.1] = np.nan
    rate = np.exp(0.6 * np.nan_to_num(X[:, 0]) * (np.nan_to_num(X[:, 1]) > 0))
    return BinnedRows(X, rng.poisson(4 * rate).astype(float))


def grow(rows, params, weight=None):
    n = len(rows.y)
    weight = np.ones(n) if weight is None else weight
    return fit_trees(rows, base_margin=np.zeros(n), weight=weight, params=params, seed=0)


def test_values_equal_shap_and_add_up_to_the_margin(rows):
    """Truth: shap.TreeExplainer, interventional, same background (single precision); xgboost."""
    import shap

    booster, X = grow(rows, PARAMS), rows.X
    trees = read_shallow(booster)
    assert (trees.feature[:, 1:] < 0).any()  # a child that is a leaf
    values, base = shallow_shapley(trees, X[:30], X[50:100])
    explainer = shap.TreeExplainer(booster, X[50:100], feature_perturbation="interventional")
    np.testing.assert_allclose(
        values, explainer.shap_values(X[:30], check_additivity=False), atol=1e-4
    )
    np.testing.assert_allclose(
        base + values.sum(axis=1), predict_margin(booster, X[:30]), atol=1e-5
    )


def test_a_tree_of_one_split_has_no_interaction(rows):
    """By definition: a function of one feature is no joint effect of two."""
    booster = grow(rows, PARAMS | {"depth": 1})
    trees = read_shallow(booster)
    pairs, values = shallow_interactions(trees, rows.X[:9], rows.X[50:80])
    assert pairs == [] and values.shape == (9, 0)


def test_binned_rows_serve_several_weights_and_survive_a_copy(rows):
    """Invariant: what was fitted in between, and in which process, changes nothing."""
    weight = np.random.default_rng(0).exponential(size=len(rows.y))
    first = predict_margin(grow(rows, PARAMS, weight), rows.X)
    plain = predict_margin(grow(rows, PARAMS), rows.X)
    copied = pickle.loads(pickle.dumps(rows))
    for again in (grow(rows, PARAMS, weight), grow(copied, PARAMS, weight)):
        np.testing.assert_array_equal(predict_margin(again, rows.X), first)
    assert np.abs(first - plain).max() > 0.01


def test_a_study_of_eight_times_as_many_works_grows_the_same_trees(rows):
    """Invariant: penalties count rows of average works, so the scale of the counts is nothing."""
    more = BinnedRows(rows.X, 8 * rows.y)
    n = len(rows.y)
    grown = fit_trees(
        more, base_margin=np.full(n, np.log(8)), weight=np.ones(n), params=PARAMS, seed=0
    )
    np.testing.assert_allclose(
        predict_margin(grown, rows.X), predict_margin(grow(rows, PARAMS), rows.X), atol=1e-5
    )


def test_deeper_trees_are_not_taken(rows):
    assert read_shallow(grow(rows, PARAMS | {"depth": 3, "min_child_weight": 0.2})) is None
