"""Accumulated local effects against closed forms and the published formula worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlcoop.explain.effects import effect_curves, local_steps
from mlcoop.model.learners import LEARNERS


def curve_of(x, margin, columns):
    steps = local_steps(x, columns)
    return steps, steps.curves(margin(steps.rows.to_numpy(float)))


def test_a_log_linear_model_gives_its_line():
    """Closed form: the effect of a factor in a log-linear model is slope times deviation."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300)})
    y = rng.poisson(np.exp(1 + 0.4 * x["a"] - 0.2 * x["b"]))
    model = LEARNERS["ppml"].make(LEARNERS["ppml"].defaults, 0).fit(x, y)
    steps, curve = curve_of(x, lambda v: model.margin(pd.DataFrame(v)), {"a": [0], "b": [1]})
    slopes = model.coef_[1:] / model.basis_.scale
    for k in (0, 1):
        part = curve[11 * k : 11 * (k + 1)]
        expected = slopes[k] * (steps.edges[k] - steps.edges[k] @ steps.density[k])
        np.testing.assert_allclose(part, expected, atol=1e-10)


def test_a_product_of_factors_that_move_together():
    """Closed form: f = a b with b = a; the local effect at a is a, so the curve is a^2 / 2.

    A dependence curve would be flat, the mean of b being zero.
    """
    a = np.linspace(-2, 2, 2001)
    x = pd.DataFrame({"a": a, "b": a})
    steps, curve = curve_of(x, lambda v: v[:, 0] * v[:, 1], {"a": [0]})
    expected = steps.edges[0] ** 2 / 2
    expected -= expected @ steps.density[0]
    np.testing.assert_allclose(curve, expected, atol=2e-3)  # bins of 200 rows, 24 of them used


def test_equals_the_published_formula():
    """Apley and Zhu 2020, equations 15 and 16, written out row by row."""
    rng = np.random.default_rng(1)
    x = pd.DataFrame(rng.normal(size=(120, 2)), columns=["a", "b"])
    x["b"] += 0.8 * x["a"]

    def model(v):
        return np.sin(v[:, 0]) + np.abs(v[:, 0]) * v[:, 1]

    steps, curve = curve_of(x, model, {"a": [0]})
    edges = np.quantile(x["a"], np.linspace(0, 1, 11))
    np.testing.assert_allclose(steps.edges[0], edges)
    total, by_hand, centre = 0.0, [0.0], 0.0
    for k in range(10):
        inside = x[(x["a"] > edges[k]) | (k == 0)]
        inside = inside[inside["a"] <= edges[k + 1]].to_numpy()
        low, high = inside.copy(), inside.copy()
        low[:, 0], high[:, 0] = edges[k], edges[k + 1]
        step = (model(high) - model(low)).mean()
        centre += (total + step / 2) * len(inside) / len(x)
        total += step
        by_hand.append(total)
    np.testing.assert_allclose(curve, np.array(by_hand) - centre, atol=1e-12)


def test_a_tie_has_its_difference_weighted_by_how_rare_it_is():
    """By hand: 0.5 for one row in four; the others lie 0.125 below the mean, it 0.375 above."""
    x = pd.DataFrame({"tie": [0.0, 0.0, 0.0, 1.0]})
    steps, curve = curve_of(x, lambda v: 0.5 * v[:, 0], {"tie": [0]})
    np.testing.assert_allclose(curve, [-0.125, 0.375])
    table = effect_curves(steps, curve, np.array([[-0.1, 0.1], [0.1, -0.1]]), quantile={"tie": 2.0})
    np.testing.assert_allclose(table["effect"], 100 * np.expm1([-0.125, 0.375]))
    spread = np.std([-0.1, 0.1], ddof=1)
    np.testing.assert_allclose(table["high"], 100 * np.expm1(curve + 2 * spread))
    np.testing.assert_allclose(table["density"], [0.75, 0.25])


def test_the_two_ends_of_a_factor_share_a_curve():
    """Closed form: slopes 1 and 3 over the same values; pooled, the slope is their mean."""
    rng = np.random.default_rng(2)
    a = rng.normal(size=400)
    x = pd.DataFrame({"a": a, "b": rng.permutation(a)})
    steps, curve = curve_of(x, lambda v: v[:, 0] + 3 * v[:, 1], {"gdp": [0, 1]})
    np.testing.assert_allclose(np.diff(curve), 2 * np.diff(steps.edges[0]), atol=1e-9)


@pytest.mark.parametrize("values", [[np.nan, np.nan, np.nan], [1.0, 1.0, np.nan]])
def test_a_factor_that_stands_still_has_no_curve(values):
    x = pd.DataFrame({"a": values, "b": [np.nan, 0.0, 1.0]})
    steps, curve = curve_of(x, lambda v: v[:, 1], {"a": [0], "b": [1]})
    table = effect_curves(steps, curve, np.zeros((3, 2)), quantile={"b": 2.0})
    assert table["factor"].tolist() == ["b", "b"]
