"""Scores against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_poisson_deviance

from mlcoop.model.scores import _sizes, _skill, poisson_deviance

ROWS = 7


@given(
    observed=arrays(float, ROWS, elements=st.integers(0, 10_000)),
    expected=arrays(float, ROWS, elements=st.floats(0.01, 1e5)),
    weight=arrays(float, ROWS, elements=st.floats(0.1, 3)),
)
def test_deviance_equals_scikit_learns(observed, expected, weight):
    truth = weight.sum() * mean_poisson_deviance(observed, expected, sample_weight=weight)
    np.testing.assert_allclose(
        poisson_deviance(observed, expected, weight), truth, rtol=1e-9, atol=1e-6
    )


@pytest.mark.filterwarnings("error")
def test_no_share_of_the_error_of_a_rule_that_was_right():
    """Truth: by definition; one less 0.1 over nothing is no number."""
    wapes = pd.DataFrame({"model": [0.1, 0.1], "drift1": [0.0, 0.0], "persistence": [0.2, 0.2]})
    found = _skill(wapes, seed=0, resamples=50)
    assert found["against"] == "drift1" and found["against_persistence"] == pytest.approx(0.5)
    assert found["value"] is found["low"] is found["high"] is None
    # Right in one of two years: some draws hold that year alone.
    half = _skill(wapes.assign(drift1=[0.0, 0.1]), seed=0, resamples=50)
    assert half["value"] == pytest.approx(-1.0) and half["low"] is half["high"] is None


def test_few_origins_give_no_interval_of_the_skill():
    """Truth: n fair coins fall alike too often to tell a winner; a single one always does."""
    for n, told in ((1, False), (4, False), (5, True)):
        wapes = pd.DataFrame({"model": np.linspace(0.1, 0.2, n), "persistence": 0.15})
        found = _skill(wapes, seed=0, resamples=100)
        assert found["value"] == pytest.approx(1 - wapes["model"].mean() / 0.15)
        assert (found["low"] is not None) == (found["high"] is not None) == told


@pytest.mark.parametrize("pairs", [1, 10, 28, 55, 210])
def test_the_largest_pairs_are_the_same_wherever_they_are_told(pairs):
    """Truth: by definition; every row is in one bin, and the top one is the backtest's largest."""
    last = np.random.default_rng(pairs).integers(0, 9, pairs)  # many tie
    largest = np.zeros(pairs, dtype=bool)
    largest[np.argsort(-last, kind="stable")[: max(round(0.05 * pairs), 1)]] = True
    masks = _sizes(pd.DataFrame({"origin": 2010, "persistence": last, "largest": largest}))
    assert (np.sum([m.to_numpy() for m in masks.values()], axis=0) == 1).all()
    assert (masks["size_5pct"].to_numpy() == largest).all()
