"""PPML with clustered errors against statsmodels and against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from worlds import columns_of, wide_matrix

from mlcoop.explain.crossfit import pair_names
from mlcoop.explain.regression import clustered, regress, regression_table


@pytest.fixture(scope="module")
def matrix():
    return wide_matrix([0.5, -0.3, 0.0], countries=14)


def test_coefficients_errors_and_z_are_those_of_statsmodels(matrix):
    """statsmodels 0.14 GLM, Poisson, cov_type cluster by pair, times G / (G - 1)."""
    fit = regress(matrix, seed=0)
    pairs = pair_names(matrix.rows)
    groups = np.unique(pairs, return_inverse=True)[1]
    other = sm.GLM(
        matrix.rows["works"], fit.design, family=sm.families.Poisson()
    ).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})  # fmt: skip
    n = len(np.unique(pairs))
    error = np.asarray(other.bse) * np.sqrt(n / (n - 1))
    assert fit.coef == pytest.approx(np.asarray(other.params), abs=1e-6)
    # effects are per standard deviation over the rows given: here those of the fit
    table = regression_table(
        matrix, fit, matrix.X, columns_of(matrix), unit="pair", level=0.95
    )  # fmt: skip
    expected = np.asarray(other.params)[1:] / error[1:]
    assert table["ppml_z"].to_numpy() == pytest.approx(expected, rel=1e-5)
    assert table["ppml_coef"].to_numpy() == pytest.approx(np.asarray(other.params)[1:], rel=1e-4)
    assert table["ppml_stands_out"].tolist() == [True, True, False]


def test_exposure_and_weights_enter_as_in_statsmodels(matrix):
    """statsmodels: exposure as offset log(e), weights as frequency weights."""
    from mlcoop.explain.regression import fit_ppml

    rng = np.random.default_rng(3)
    n = len(matrix.X)
    exposure, weight = rng.uniform(0.5, 3, n), rng.integers(1, 4, n).astype(float)
    X = np.column_stack([np.ones(n), matrix.X.to_numpy()])
    y = matrix.rows["works"].to_numpy()
    coef, bread = fit_ppml(X, y, exposure, weight)
    other = sm.GLM(
        y, X, family=sm.families.Poisson(), offset=np.log(exposure), freq_weights=weight
    ).fit()
    assert coef == pytest.approx(other.params, abs=1e-6)
    assert bread == pytest.approx(other.normalized_cov_params, rel=1e-4)


def test_dyadic_covariance_is_the_sum_over_pairs_that_share_a_country():
    """Aronow, Samii and Assenova 2015, eq. 6, written out as a double loop."""
    rng = np.random.default_rng(1)
    names = [f"C{k}" for k in range(7)]
    pairs = np.array([f"{a}|{b}" for i, a in enumerate(names) for b in names[i + 1 :]])
    scores = rng.normal(size=(len(pairs), 2)) + 0.5
    total = np.zeros((2, 2))
    for i, p in enumerate(pairs):
        for j, q in enumerate(pairs):
            if set(p.split("|")) & set(q.split("|")):
                total += np.outer(scores[i], scores[j])
    size, vectors = np.linalg.eigh(total * 7 / 6)
    expected = (vectors * np.maximum(size, 0)) @ vectors.T
    assert clustered(scores, pairs, "country") == pytest.approx(expected)


def test_pairs_of_a_fixed_country_count_apart():
    """Hand case: all pairs share A; with A fixed they are independent: the sum of squares."""
    pairs = np.array(["A|B", "A|C", "A|D"])
    scores = np.array([[1.0], [2.0], [3.0]])
    assert clustered(scores, pairs, "country", "A")[0, 0] == pytest.approx(14 * 4 / 3)
    assert clustered(scores, pairs, "country")[0, 0] == pytest.approx(36 * 4 / 3)
    assert clustered(scores, pairs, "pair")[0, 0] == pytest.approx(14 * 3 / 2)


def test_drawn_rows_leave_the_estimate_where_it_was(matrix):
    """Planted slopes 0.5, -0.3 and 0: a weighted half of the rows finds them too."""
    whole, half = regress(matrix, seed=1), regress(matrix, seed=1, most_rows=140)
    assert len(half.rows) < len(whole.rows)
    scale = whole.basis.scale
    assert half.coef[1:] / half.basis.scale == pytest.approx(whole.coef[1:] / scale, abs=0.1)
