"""Scales of skew figures: planted effects of the figure, of its logarithm and between."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcoop.model import scales
from mlcoop.model.basis import FEW_VALUES, Scale, Term, learn_basis
from mlcoop.model.learners import LEARNERS, Estimator
from mlcoop.model.scales import agreed_scales, choose_scales, other_scales
from mlcoop.model.stored import from_json, to_json
from mlcoop.model.training import Training, arrange

PAIRS, YEARS = 80, 6
SHAPES = {
    "as given": lambda x: x / np.std(x),
    "log": np.log,
    "started log": lambda x: np.log(x + np.median(x)),
}


def figures(seed: int) -> np.ndarray:
    """A figure that spans three decades, and three beside it: skew, a rare tie, even."""
    rng = np.random.default_rng(seed)
    own = np.column_stack(
        [
            np.exp(1.2 * rng.normal(size=PAIRS)),
            rng.gamma(1.0, 3.0, PAIRS),
            (np.arange(PAIRS) < 8).astype(float),
            rng.uniform(1, 2, PAIRS),
        ]
    )
    return np.repeat(own, YEARS, axis=0)


def training(seed: int, shape: str, X: np.ndarray | None = None) -> Training:
    X = figures(seed) if X is None else X
    rng = np.random.default_rng([seed, 1])
    curve = SHAPES[shape](figures(seed)[:, 0])
    effect = 0.5 * (curve - curve.mean()) / curve.std()
    noise = np.repeat(rng.normal(scale=0.15, size=PAIRS), YEARS)
    y = rng.poisson(np.exp(4 + effect + noise)).astype(float)
    pairs = np.repeat([f"P{k:02d}" for k in range(PAIRS)], YEARS)
    return arrange(pd.DataFrame(X), y, None, None, pairs, None, 10_000, 0)


def tried(X: np.ndarray) -> list[Scale]:
    return [scale for pair in other_scales(X) for scale in pair]


def given_output_and_its_log(name: str) -> tuple[pd.DataFrame, Estimator, Estimator]:
    """A learner given output as it is, and given its logarithm; they agree but in the tails."""
    X = pd.DataFrame(figures(3)[:, [0, 3]], columns=["gdp", "even"])
    data = training(3, "log")
    pairs = data.pair_names[data.pair]
    learner = LEARNERS[name]
    raw = learner.make(learner.defaults, 0).fit(X, data.y, pairs=pairs)
    logged = X.assign(gdp=np.log(X["gdp"]))
    given_logs = learner.make(learner.defaults, 0).fit(logged, data.y, pairs=pairs)
    inner = X["gdp"].between(*X["gdp"].quantile([0.02, 0.98])).to_numpy()
    np.testing.assert_allclose(raw.margin(X)[inner], given_logs.margin(logged)[inner], atol=0.02)
    return X, raw, given_logs


def chosen(data: Training) -> dict[int, str]:
    return {s.column: s.term.kind for s in choose_scales(data)}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_scale_on_which_a_figure_acts_is_found(shape: str) -> None:
    """Planted: nine of ten worlds; the two logarithms are alike, and either may pass for one."""
    found = [chosen(training(seed, shape)).get(0, "as given") for seed in range(10)]
    right = {shape} if shape == "as given" else {"log", "started log"}
    assert sum(f in right for f in found) >= 9
    assert max(set(found), key=found.count) == shape


@pytest.mark.parametrize(("shape", "kind"), [("log", "log"), ("as given", "as given")])
def test_a_figure_that_says_little_is_on_the_scale_of_the_others(shape: str, kind: str) -> None:
    """The second figure is skew and has no effect: by its own word it would take either."""
    found = [chosen(training(seed, shape)).get(1, "as given") for seed in range(10)]
    assert found.count(kind) >= 9


def test_only_skew_figures_that_are_never_below_zero_have_other_scales() -> None:
    X = figures(0)
    kinds = {(s.column, s.term.kind) for s in tried(X)}
    assert kinds == {(0, "log"), (0, "started log"), (1, "log"), (1, "started log")}
    assert not other_scales(X - 5), "below zero there is no logarithm"
    assert not other_scales(-X), "neither, and skew to the left"
    few = np.resize(np.r_[np.ones(FEW_VALUES - 1), 1000.0], (400, 1))
    assert not other_scales(few)


@settings(max_examples=12, deadline=None)
@given(unit=st.floats(1e-9, 1e12), seed=st.integers(0, 20))
def test_the_unit_of_a_figure_changes_nothing(unit: float, seed: int) -> None:
    """Dollars or billions of them: a logarithm moves by a constant, a z-score not at all."""
    X = figures(seed)
    other = X * np.array([unit, 1, 1, 1])
    assert chosen(training(seed, "log", other)) == chosen(training(seed, "log"))
    for a, b in zip(tried(X), tried(other), strict=True):
        z, w = (
            learn_basis(x, weight=np.ones(len(x)), smooth=False, scales=(s,)).standardise(x)
            for x, s in ((X, a), (other, b))
        )
        np.testing.assert_allclose(z, w, atol=1e-6)


def test_zeros_count_as_the_smallest_and_gaps_as_the_mean() -> None:
    X = figures(1)
    X[:30, 0] = 0.0
    X[30:60, 0] = np.nan
    log = next(s for s in tried(X) if s.term == Term("log", (0,)))
    smallest = np.log(np.quantile(X[60:, 0], 0.005))
    np.testing.assert_allclose(log.of(X[:30, 0]), smallest)
    basis = learn_basis(X, weight=np.ones(len(X)), smooth=True, scales=(log,))
    z = basis.standardise(X)
    np.testing.assert_allclose(z[30:60, 0], 0.0)
    seen = np.r_[0:30, 60 : len(X)]
    np.testing.assert_allclose(z[seen, 0].mean(), 0.0, atol=1e-9)
    np.testing.assert_allclose(z[seen, 0].std(), 1.0, atol=1e-9)


def test_a_model_of_the_figure_is_the_model_of_its_logarithm() -> None:
    """Truth: the same learner given the logarithm itself."""
    X, raw, given_logs = given_output_and_its_log("linear_boosting")
    assert raw.terms == {Term("log", (0,))} and not given_logs.terms
    values, base = raw.shap_values(X, X)
    np.testing.assert_allclose(base + values.sum(axis=1), raw.margin(X), atol=1e-9)
    # A refit with the terms given takes them, and none where they are not among them.
    data, learner = training(3, "log"), LEARNERS["linear_boosting"]
    again = learner.make({**learner.defaults, "terms": tuple(raw.terms)}, 0)
    again.fit(X, data.y, pairs=data.pair_names[data.pair])
    np.testing.assert_allclose(again.margin(X), raw.margin(X), atol=1e-4)
    assert agreed_scales(np.asarray(X), [Term("bend", (0,))]) == ()
    even = np.asarray(X)[:, ::-1]  # rows that are not skew take what was agreed on all
    assert [s.term for s in agreed_scales(even, [Term("log", (0,))])] == [Term("log", (0,))]
    assert agreed_scales(0 * even, [Term("log", (0,))])[0].of(np.zeros(2)).tolist() == [0.0, 0.0]
    stored = from_json(json.loads(json.dumps(to_json(raw))))
    np.testing.assert_allclose(stored.margin(X), raw.margin(X), rtol=1e-12)


def test_ppml_takes_output_in_logs_as_a_gravity_regression_would() -> None:
    """Truth: PPML given the logarithm itself; given output as it is it explains far less."""
    X, raw, given_logs = given_output_and_its_log("ppml")
    assert raw.terms == {Term("log", (0,))} and not given_logs.terms
    # Folds agree on scales: a fit takes those that it is given, whatever its own rows say.
    data, learner = training(3, "log"), LEARNERS["ppml"]
    for terms in (tuple(raw.terms), ()):
        told = learner.make({**learner.defaults, "terms": terms}, 0)
        told.fit(X, data.y, pairs=data.pair_names[data.pair])
        assert told.terms == set(terms)


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        # worth the logarithm of 80 pairs, 4.38, together: both follow, though alone neither would
        ([(0, 4.0, 0), (0, 4.0, 0)], ["log", "log"]),
        ([(0, 4.0, 0), (0, 0.3, 0)], []),
        ([(0, 4.5, 0), (0, -0.2, 0)], ["log"]),  # clear by itself, the other as given
        ([(0, 9.0, 13.2), (0, 1.0, 5.5)], ["log", "started log"]),  # 4.2 more is too little
        ([(0, 9.0, 0), (4.5, 0, 0)], ["log"]),  # 9 to 4.5 in all, and 4.5 back
    ],
)
def test_a_figure_is_on_the_usual_scale_but_where_another_is_worth_the_logarithm_of_the_pairs(
    gains: list[tuple[float, ...]], chosen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, of what each scale gains: figure as given, logarithm, started logarithm."""
    left = iter(np.array(g) for g in gains)
    monkeypatch.setattr(scales, "score_alone", lambda fit, columns: next(left))
    found = choose_scales(training(0, "log"))
    assert [s.term.kind for s in found] == chosen


def test_the_started_logarithm_starts_at_the_median() -> None:
    """By definition (Tukey 1977), of a figure without zeros."""
    X = figures(0)[:, :1]
    ((_, started),) = other_scales(X)
    assert started.of(np.median(X)) == pytest.approx(np.log(2 * np.median(X)))
