"""Effect curves against curves known in closed form."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.explain.effects import effect_curves


def test_a_linear_effect_gives_its_exponential_and_the_known_band():
    """Closed form: phi = 0.3 x; slopes with standard deviation 0.1 give a band of 2 * 0.1 |x|."""
    rng = np.random.default_rng(0)
    x = np.repeat([-1.0, 0.0, 2.0], 50)
    slopes = rng.normal(size=4000)
    slopes = 0.1 * (slopes - slopes.mean()) / slopes.std(ddof=1)
    table = effect_curves(
        pd.DataFrame({"a": x}),
        0.3 * x[:, None],
        (slopes[:, None] * x)[:, :, None],
        np.empty((0, 150, 1)),
        {"a": [0]},
        quantile=2.0,
    )
    assert table["value"].tolist() == [-1.0, 0.0, 2.0]
    np.testing.assert_allclose(table["effect"], 100 * np.expm1([-0.3, 0.0, 0.6]))
    np.testing.assert_allclose(table["high"], 100 * np.expm1([-0.1, 0.0, 1.0]))
    np.testing.assert_allclose(table["density"], 1 / 3)


def test_missing_values_and_constant_factors_have_no_curve():
    x = pd.DataFrame({"a": [np.nan, 0.0, 1.0], "b": [1.0, 1.0, 1.0]})
    table = effect_curves(
        x,
        np.zeros((3, 2)),
        np.zeros((5, 3, 2)),
        np.empty((0, 3, 2)),
        {"a": [0], "b": [1]},
        quantile=2.0,
    )
    assert table["factor"].tolist() == ["a", "a"]
