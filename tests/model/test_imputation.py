"""Truths: scikit-learn's regression; a filling that knows training rows only."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from mlcoop.model.imputation import RIDGE, imputing, learn_imputer
from mlcoop.model.learners import LEARNERS
from mlcoop.model.stored import from_json, to_json


def table(n: int = 400, seed: int = 0, gaps: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    X = pd.DataFrame({"a": a, "b": b, "c": 3 + 2 * a - b + 0.1 * rng.normal(size=n)})
    X["c"] = X["c"].mask(rng.random(n) < gaps)
    return X


def test_gaps_are_filled_by_the_regression_on_the_others() -> None:
    # Truth: scikit-learn's ridge on the standardised known rows; what is added has the spread of
    # the residuals (0.1, and the bias of the ridge), where the factor itself has 2.2.
    X = table()
    imputer = learn_imputer(X)
    known = X["c"].notna()
    z = (X - imputer.mean) / imputer.scale
    ridge = Ridge(alpha=RIDGE * known.sum(), fit_intercept=False)
    ridge.fit(z.loc[known, ["a", "b"]], z.loc[known, "c"])
    np.testing.assert_allclose(imputer.coef[2, :2], ridge.coef_, rtol=1e-9)
    filled = imputer.fill(X)
    guess = ridge.predict(z.loc[~known, ["a", "b"]]) * imputer.scale[2] + imputer.mean[2]
    rest = filled.loc[~known, "c"] - guess
    assert 0.05 < rest.std() < 0.2
    pd.testing.assert_frame_equal(filled[known], X[known])


@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_a_row_is_filled_alike_wherever_it_stands(seed: int) -> None:
    X = table(120, seed)
    imputer = learn_imputer(X)
    filled = imputer.fill(X)
    some = X.sample(frac=0.4, random_state=seed)
    pd.testing.assert_frame_equal(imputer.fill(some), filled.loc[some.index])


def test_filled_values_spread_like_known_ones() -> None:
    # Truth: the factor is independent of the others, so what fills it must be too. Kolmogorov's
    # distance of two samples of 600 and 1400 stays below 0.1 in all but 1 of 1000 draws.
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(1)
    X = pd.DataFrame({"a": rng.normal(size=2000), "z": rng.exponential(size=2000)})
    gone = rng.random(2000) < 0.3
    filled = learn_imputer(X.assign(z=X["z"].mask(gone))).fill(X.assign(z=X["z"].mask(gone)))
    assert ks_2samp(filled.loc[gone, "z"], filled.loc[~gone, "z"]).statistic < 0.1
    assert abs(np.corrcoef(filled.loc[gone, "a"], filled.loc[gone, "z"])[0, 1]) < 0.15


def test_nothing_is_learnt_from_rows_outside_the_training_window() -> None:
    X = table()
    train, later = X.iloc[:200], X.iloc[200:]
    rng = np.random.default_rng(0)
    works = rng.poisson(np.exp(1 + X["a"]))
    learner = imputing(LEARNERS["ppml"])
    fitted = learner.make(learner.defaults, 0).fit(train, works[:200])
    learn = learn_imputer(train)
    spoilt = later.assign(c=later["c"] * 100)
    again = learner.make(learner.defaults, 0).fit(train, works[:200])
    again.predict(spoilt)
    np.testing.assert_array_equal(fitted.imputer.coef, learn.coef)
    np.testing.assert_array_equal(fitted.margin(later), again.margin(later))


@pytest.mark.parametrize("name", LEARNERS)
def test_values_add_up_and_come_back_from_json(name: str) -> None:
    # Invariant: base and Shapley values add up to the margin, on rows with gaps too.
    X = table(300, seed=4)
    works = np.random.default_rng(0).poisson(np.exp(1 + X["a"]))
    learner = imputing(LEARNERS[name])
    params = learner.defaults | ({"trees": 20} if "trees" in learner.defaults else {})
    fitted = learner.make(params, 0).fit(X, works)
    values, base = fitted.shap_values(X.head(40), X.tail(50))
    np.testing.assert_allclose(base + values.sum(axis=1), fitted.margin(X.head(40)), atol=1e-5)
    back = from_json(json.loads(json.dumps(to_json(fitted))))
    np.testing.assert_allclose(back.margin(X), fitted.margin(X), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "pairs", "spread"),
    [("ppml", 10, False), ("ppml", 500, True), ("poisson_boosting", 10, True)],
)
def test_only_lines_of_few_pairs_learn_from_the_regressions_values(name, pairs, spread) -> None:
    # By the docstring of Imputing: to trees values without spread are told from known ones.
    X = table(500)
    learner = imputing(LEARNERS[name])
    params = learner.defaults | ({"trees": 20} if "trees" in learner.defaults else {})
    works = np.random.default_rng(0).poisson(np.exp(1 + X["c"].fillna(3) / 2))
    fitted = learner.make(params, 0).fit(X, works, pairs=np.arange(500) % pairs)
    flat = fitted.inner.predict(fitted.imputer.fill(X, spread=spread))
    np.testing.assert_array_equal(fitted.predict(X), flat)
    other = fitted.inner.predict(fitted.imputer.fill(X, spread=not spread))
    assert not np.array_equal(other, flat)


def test_a_factor_never_seen_and_one_without_spread() -> None:
    X = pd.DataFrame({"a": np.arange(30.0), "never": np.nan, "still": 2.0})
    X.loc[3:5, "still"] = np.nan
    filled = learn_imputer(X).fill(X)
    assert (filled["never"] == 0).all() and (filled["still"] == 2).all()
