"""Contract tests over every learner, and the exactness of their attributions."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.model import learners, linear_boosting
from mlcoop.model.basis import Term
from mlcoop.model.learners import LEARNERS
from mlcoop.model.trees import BinnedRows, fit_trees, predict_margin, tree_shapley

FAST = {"trees": 30}


@pytest.fixture(scope="module")
def sample():
    """40 pairs, 6 years, 4 factors, the first two matter, a tenth of the third is missing."""
    rng = np.random.default_rng(0)
    n_pairs, n_years = 40, 6
    pair = np.repeat([f"A|B{k:02d}" for k in range(n_pairs)], n_years)
    X = pd.DataFrame(rng.normal(size=(n_pairs * n_years, 4)), columns=list("abcd"))
    X["d"] = np.repeat(rng.random(n_pairs) < 0.3, n_years).astype(float)
    exposure = rng.uniform(0.5, 2, size=len(X))
    y = rng.poisson(exposure * 20 * np.exp(0.5 * X["a"] - 0.3 * X["b"])).astype(float)
    X.loc[rng.random(len(X)) < 0.1, "c"] = np.nan
    return X, y, exposure, pair


def fitted(name, sample, seed=0, **params):
    X, y, exposure, pair = sample
    entry = LEARNERS[name]
    settings = {**entry.defaults, **(FAST if "trees" in entry.defaults else {}), **params}
    return entry.make(settings, seed).fit(X, y, exposure=exposure, pairs=pair)


@pytest.mark.parametrize("name", LEARNERS)
def test_shapley_values_add_up_to_the_margin(name, sample):
    """Invariant: base value plus Shapley values is the margin, to 1e-5 on the log scale."""
    X = sample[0]
    model = fitted(name, sample)
    values, base = model.shap_values(X, X.iloc[:100])
    assert np.abs(base + values.sum(axis=1) - model.margin(X)).max() < 1e-5
    assert list(values.columns) == list(X.columns)


@pytest.mark.parametrize("name", LEARNERS)
def test_values_are_centred_over_the_background(name, sample):
    """Interventional values over the background itself have mean zero (efficiency, averaged)."""
    X = sample[0]
    values, base = fitted(name, sample).shap_values(X.iloc[:100], X.iloc[:100])
    assert np.abs(values.sum(axis=1).mean()) < 1e-5
    assert np.isfinite(base)


@pytest.mark.parametrize("name", LEARNERS)
def test_seed_repeats_and_exposure_scales(name, sample):
    """Invariants: same seed, same numbers; twice the exposure, twice the works."""
    X, _, exposure, _ = sample
    first, second = fitted(name, sample, seed=3), fitted(name, sample, seed=3)
    np.testing.assert_array_equal(first.margin(X), second.margin(X))
    one, two = first.predict(X, exposure=exposure), first.predict(X, exposure=2 * exposure)
    np.testing.assert_allclose(two, 2 * one)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_planted_drivers_come_first(name, sample):
    """Planted truth: a (0.5 per s.d.) above b (0.3 per s.d.) above two factors without effect."""
    X = sample[0]
    values, _ = fitted(name, sample).shap_values(X, X)
    assert list(values.abs().mean().sort_values(ascending=False).index[:2]) == ["a", "b"]


@pytest.mark.parametrize("name", LEARNERS)
def test_refit_with_unit_weights_changes_little(name, sample):
    """Invariant: counting each pair once is the fit itself."""
    X = sample[0]
    model = fitted(name, sample)
    once = pd.Series(1.0, index=np.unique(sample[3]))
    np.testing.assert_allclose(model.refit(once, 0).margin(X), model.margin(X), atol=1e-6)


@pytest.mark.parametrize("name", LEARNERS)
def test_search_space_covers_the_defaults(name):
    """A trial's parameters have a value for everything that the defaults name."""
    import optuna

    trial = optuna.create_study().ask()
    assert set(LEARNERS[name].space(trial)) == set(LEARNERS[name].defaults)


def test_boosting_on_top_of_the_linear_part_adds_up(sample, monkeypatch):
    """With many pairs trees join in; additivity holds for the sum of both parts."""
    monkeypatch.setattr(linear_boosting, "FEWEST_PAIRS_TO_BOOST", 10)
    X = sample[0]
    model = fitted("linear_boosting", sample)
    assert model.booster_ is not None
    values, base = model.shap_values(X, X.iloc[:80])
    assert np.abs(base + values.sum(axis=1) - model.margin(X)).max() < 1e-5


def test_missing_works_are_refused(sample):
    X, y, _, _ = sample
    with pytest.raises(DataError, match="missing or negative"):
        LEARNERS["ppml"].make(LEARNERS["ppml"].defaults, 0).fit(X, np.full(len(y), np.nan))


def brute_force(predict, x, background):
    """Shapley values from their definition: every coalition, missing features from background."""
    n = x.shape[1]
    phi = np.zeros(x.shape)

    def value(row, coalition):
        mixed = background.copy()
        mixed[:, list(coalition)] = row[list(coalition)]
        return predict(mixed).mean()

    for r, row in enumerate(x):
        for j in range(n):
            rest = [k for k in range(n) if k != j]
            for size in range(n):
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                for coalition in combinations(rest, size):
                    gain = value(row, (*coalition, j)) - value(row, coalition)
                    phi[r, j] += weight * gain
    return phi


def small_trees(depth):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 4))
    X[rng.random(X.shape) < 0.1] = np.nan
    rate = np.exp(0.5 * np.nan_to_num(X[:, 0]) * (np.nan_to_num(X[:, 1]) > 0))
    params = {**learners.TREES, "trees": 15, "depth": depth, "min_child_weight": 1.0}
    booster = fit_trees(
        BinnedRows(X, rng.poisson(5 * rate)),
        base_margin=np.zeros(300),
        weight=np.ones(300),
        params=params,
        seed=0,
    )
    return booster, X


def test_tree_values_equal_brute_force():
    """Truth: Shapley's definition, enumerated over all 16 coalitions (float32 leaves: 1e-5)."""
    booster, X = small_trees(2)
    values, _ = tree_shapley(booster, X[:5], X[50:80])
    truth = brute_force(lambda x: predict_margin(booster, x), X[:5], X[50:80])
    np.testing.assert_allclose(values, truth, atol=1e-5)


@pytest.mark.parametrize("depth", [2, 3])
def test_tree_values_equal_shap(depth):
    """Truth: shap.TreeExplainer, interventional, same background (its precision is single)."""
    import shap

    booster, X = small_trees(depth)
    explainer = shap.TreeExplainer(booster, X[50:100], feature_perturbation="interventional")
    values, _ = tree_shapley(booster, X[:20], X[50:100])
    np.testing.assert_allclose(
        values, explainer.shap_values(X[:20], check_additivity=False), atol=1e-4
    )


def test_products_and_bends_equal_brute_force(sample):
    """Truth: Shapley's definition, on a fit whose planted product makes it keep one."""
    X, _, exposure, pair = sample
    X = X.fillna(0.0)
    rng = np.random.default_rng(5)
    y = rng.poisson(exposure * 50 * np.exp(0.4 * X["a"] * X["b"] + np.abs(X["c"])))
    entry = LEARNERS["linear_boosting"]
    model = entry.make(entry.defaults, 0).fit(X, y, exposure=exposure, pairs=pair)
    assert (0, 1) in model.basis_.products and model.basis_.smooths
    x = X.to_numpy(float)
    values, _ = model.shap_values(X.iloc[:4], X.iloc[40:70])
    truth = brute_force(
        lambda rows: model.margin(pd.DataFrame(rows, columns=X.columns)), x[:4], x[40:70]
    )
    np.testing.assert_allclose(values.to_numpy(), truth, atol=1e-8)


@pytest.mark.parametrize("fading", [True, False])
def test_a_slope_that_fades_is_no_product_with_what_spreads_over_the_years(fading):
    """Planted: 60 pairs, a pact that more and more of them join, and a factor whose slope falls
    from 1 to none over 14 years, whatever the pact; or is larger by a half for those who joined."""
    rng = np.random.default_rng(4)
    pair, year = np.repeat(np.arange(60), 14), np.tile(np.arange(14), 60)
    X = pd.DataFrame({f"x{k}": rng.standard_normal(60)[pair] for k in range(4)})
    X["pact"] = (year >= rng.integers(1, 20, 60)[pair]).astype(float)
    slope = 1 - year / 13 if fading else 0.3 + 0.5 * X["pact"]
    eta = 3 + slope * X["x0"] + 0.3 * rng.standard_normal(60)[pair]
    names = np.array([f"A|p{p:02d}" for p in pair])
    model = LEARNERS["linear_boosting"].make(LEARNERS["linear_boosting"].defaults, 0)
    model.fit(X, rng.poisson(np.exp(eta)).astype(float), pairs=names, years=2000 + year)
    assert (Term("product", (0, 4)) in model.terms) is not fading


def test_noise_of_pairs_is_no_bend_or_product_of_what_stands_still():
    """Planted: 45 pairs whose own noise is large, ten standing factors, the first with a straight
    effect: 55 candidates, more than pairs, and none of them true. A test of its own would let a
    bend pass at p = 0.004 and a product at 0.00002."""
    pair, year = np.repeat(np.arange(45), 6), np.tile(np.arange(6), 45)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = pd.DataFrame(rng.standard_normal((45, 10))[pair]).add_prefix("x")
        eta = 3 + 0.5 * X["x0"] + 0.8 * rng.standard_normal(45)[pair]
        names = np.array([f"A|p{p:02d}" for p in pair])
        model = LEARNERS["linear_boosting"].make(LEARNERS["linear_boosting"].defaults, 0)
        model.fit(X, rng.poisson(np.exp(eta)).astype(float), pairs=names, years=year)
        assert not model.terms
