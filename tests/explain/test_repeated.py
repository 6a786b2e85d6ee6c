"""Repeated cross-fitting: nobody is explained by a model that saw it, and the seed moves little."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlcoop.explain import repeated
from mlcoop.explain.crossfit import pair_names, split_pairs
from mlcoop.explain.ranking import rank_factors
from mlcoop.features.build import FeatureMatrix
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.model.basis import Term
from mlcoop.model.learners import LEARNERS
from mlcoop.simulate.world import simulate_world

QUICK = {"resamples": 20}


@pytest.fixture(scope="module")
def matrix():
    world = simulate_world("noisy", seed=5, factors=8, drivers=4, pairs=40, years=6)
    names = {"pair": ["i", "j"], "year": "year", "target": "y", "exposure": "exposure"}
    return matrix_from_ready_panel(world.panel, factors=world.factors, **names)


def fit_by_hand(matrix: FeatureMatrix, name: str, seed: int, train: np.ndarray) -> Any:
    learner, rows = LEARNERS[name], matrix.rows[train]
    return learner.make(learner.defaults, seed).fit(
        matrix.X[train],
        rows["works"].to_numpy(float),
        exposure=rows["exposure"].to_numpy(float),
        weight=rows["weight"].to_numpy(float),
        pairs=pair_names(rows),
        years=rows["year"].to_numpy(),
    )


def test_values_are_means_of_models_without_the_pair(matrix):
    """Truth: every model fitted by hand. A small world, so that all rows are the background."""
    small = FeatureMatrix(matrix.rows[:200], matrix.X[:200], matrix.features)
    pairs = pair_names(small.rows)
    by_hand = np.zeros(small.X.shape)
    for r in range(repeated.REPEATS):
        fold = split_pairs(pairs, repeated.FOLDS, 3 + r)
        for k in range(repeated.FOLDS):
            fitted = fit_by_hand(small, "ppml", 3 + r, fold != k)
            values, _ = fitted.shap_values(small.X[fold == k], small.X)
            by_hand[fold == k] += values.to_numpy() / repeated.REPEATS
    found = rank_factors(small, "ppml", seed=3, **QUICK).explained
    np.testing.assert_allclose(found.values, by_hand, atol=1e-9)


def test_a_pairs_own_works_do_not_move_its_values(matrix):
    """Invariant: what a pair did is not among what its models saw."""
    pairs = pair_names(matrix.rows)
    own = pairs == pairs[0]
    works = matrix.rows["works"].where(~own, 9 * matrix.rows["works"] + 50)
    other = dataclasses.replace(matrix, rows=matrix.rows.assign(works=works))
    before = rank_factors(matrix, "ppml", seed=1, **QUICK).explained.values
    after = rank_factors(other, "ppml", seed=1, **QUICK).explained.values
    np.testing.assert_array_equal(before[own], after[own])
    assert np.abs(before[~own] - after[~own]).max() > 1e-3


def test_low_to_high_is_the_mean_over_all_pairs():
    """Closed form: log works = x0 * x1, x1 rising from pair to pair and 0 on average, so that x0
    does nothing on average; over the first pairs alone it would lower works."""
    pairs, years = 66, 20
    x0 = np.random.default_rng(0).normal(size=pairs * years)
    x1 = np.repeat(np.linspace(-1, 1, pairs), years)
    X = pd.DataFrame({"x0": x0, "x1": x1})

    class Product:
        def margin(self, table):
            return (table["x0"] * table["x1"]).to_numpy()

    questions = repeated.ask(X, {"x0": [0], "x1": [1]}, np.random.default_rng(0))
    effect = questions.effects(Product(), questions.to(Product()))[0]
    way = np.quantile(x0, 0.9) - np.quantile(x0, 0.1)
    assert abs(effect) < 0.02 * way

    class Line:
        def margin(self, table):
            return (2 * table["x0"] - table["x1"]).to_numpy()

    # of a line it is the slope times the way from the 10th percentile (the seventh pair of 66) up
    effects = questions.effects(Line(), questions.to(Line()))[:2]
    assert effects == pytest.approx([2 * way, -(59 - 6) * 2 / 65])


def test_terms_are_those_that_most_folds_of_several_repeats_find():
    """Truth: every model fitted by hand, and its bends and products counted."""
    world = simulate_world("interaction", seed=707, factors=6, drivers=4, pairs=40, years=5)
    names = {"pair": ["i", "j"], "year": "year", "target": "y", "exposure": "exposure"}
    matrix = matrix_from_ready_panel(world.panel, factors=world.factors, **names)
    pairs = pair_names(matrix.rows)
    votes: Counter[Term] = Counter()
    for r in range(repeated.VOTERS):
        fold = split_pairs(pairs, repeated.FOLDS, 3 + r)
        for k in range(repeated.FOLDS):
            votes.update(fit_by_hand(matrix, "linear_boosting", 3 + r, fold != k).terms)
    half = repeated.VOTERS * repeated.FOLDS / 2
    assert min(votes.values()) < half < max(votes.values()), "else nothing is tested"
    found = rank_factors(matrix, "linear_boosting", seed=3, **QUICK).explained
    assert found.terms == {term for term, n in votes.items() if n > half}
    assert all(e.terms == found.terms for e in found.estimators)


def test_the_seed_moves_the_order_less(matrix, monkeypatch):
    """Invariant: a mean of five moves less than one of them."""

    def moved() -> tuple[float, float]:
        found = pd.DataFrame(
            {
                seed: rank_factors(matrix, "ppml", seed=seed, **QUICK)
                .factors.set_index("factor")["importance"]
                .reindex(list(matrix.X.columns))
                for seed in (10, 20, 30)
            }
        )
        taus = [stats.kendalltau(found[a], found[b]).statistic for a, b in combinations(found, 2)]
        return float(found.std(axis=1).mean()), float(np.mean(taus))

    spread, tau = moved()
    monkeypatch.setattr(repeated, "REPEATS", 1)
    spread_of_one, tau_of_one = moved()
    assert spread < 0.75 * spread_of_one
    assert tau >= tau_of_one
