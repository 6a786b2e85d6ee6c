"""Scores against scikit-learn's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_poisson_deviance

from mlcoop.model.scores import poisson_deviance

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
