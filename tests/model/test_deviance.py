"""Deviance against scikit-learn's, and when factors lead astray by definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_poisson_deviance

from mlcoop.model.deviance import lead_astray, poisson_deviance

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


def test_factors_lead_astray_beyond_five_times_and_beyond_one_number():
    """By definition: logs of works are 2.3 from their median in the middle, so 31.6 times apart is
    half as far again; where works are alike five times is."""
    decades = 10.0 ** np.arange(3, 8)
    for factor, is_told in ((25, False), (1 / 25, False), (40, True), (1 / 40, True)):
        assert lead_astray(decades, decades * factor) == is_told
    alike = np.full(5, 1e4)
    assert not lead_astray(alike, alike * 4.8) and lead_astray(alike, alike * 5.2)
    assert not lead_astray(np.zeros(5), np.full(5, 0.4))  # hardly any works, hardly any expected
    # one pair far beyond, whatever it pulls the mean to, is no sign
    assert not lead_astray(np.r_[alike, 1e12], np.r_[alike, 1.0])
