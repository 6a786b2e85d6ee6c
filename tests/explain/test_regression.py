"""PPML with clustered errors against statsmodels and against sums written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from worlds import columns_of, focal_matrix, wide_matrix

from mlcoop.explain.crossfit import pair_names
from mlcoop.explain.defence.clusters import clustered, errors_by_country, errors_by_pair
from mlcoop.explain.defence.coefficients import regression_table
from mlcoop.explain.defence.regression import (
    Regression,
    fit_ppml,
    regress,
)
from mlcoop.features.build import FeatureMatrix


@pytest.fixture(scope="module")
def matrix():
    return wide_matrix([0.5, -0.3, 0.0], countries=14)


def written_out(fit, code, column):
    """Return factor and degrees of freedom of one coefficient's sandwich, with rows by rows.

    The working model: residuals on Pearson's scale covary as chance + shared * root root' within
    a pair, where root is the square root of the mean, before the fit takes its part.
    """
    root = np.sqrt(fit.mean)
    X, seen = fit.design * root[:, None], fit.residual / root
    hat = X @ fit.bread @ X.T
    same = (code[:, None] == code[None]).astype(float)
    left = np.eye(len(X)) - hat
    parts = [np.eye(len(X)), same * np.outer(root, root)]
    level = np.bincount(code, fit.mean)
    along = np.zeros((len(level), len(X)))  # sums of a pair's residuals over the root of its mean
    along[code, np.arange(len(X))] = root / np.sqrt(level[code])
    chance = (seen @ seen - ((along @ seen) ** 2).sum()) / (len(X) - len(level))
    taken = [np.trace(along @ left @ part @ left.T @ along.T) for part in parts]
    shared = max((((along @ seen) ** 2).sum() - chance * taken[0]) / taken[1], 0.0)
    omega = chance * parts[0] + shared * parts[1]
    pull = X @ fit.bread[:, column]
    by_pair = np.zeros_like(along)
    by_pair[code, np.arange(len(X))] = pull
    covariance = by_pair @ left @ omega @ left.T @ by_pair.T
    expected = np.trace(covariance)
    return pull @ omega @ pull / expected, expected**2 / (covariance**2).sum()


def test_coefficients_errors_and_z_are_those_of_statsmodels(matrix):
    """statsmodels 0.14 GLM, Poisson, cov_type cluster by pair, put right as written out above."""
    fit = regress(matrix, seed=0)
    pairs = pair_names(matrix.rows)
    groups = np.unique(pairs, return_inverse=True)[1]
    other = sm.GLM(
        matrix.rows["works"], fit.design, family=sm.families.Poisson()
    ).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})  # fmt: skip
    put_right = np.array([written_out(fit, groups, k) for k in (1, 2, 3)])
    error = np.asarray(other.bse)[1:] * np.sqrt(put_right[:, 0])
    assert fit.coef == pytest.approx(np.asarray(other.params), abs=1e-6)
    # effects are per standard deviation over the rows given: here those of the fit
    table = regression_table(
        matrix, fit, matrix.X, columns_of(matrix), unit="pair", level=0.95
    )  # fmt: skip
    expected = np.asarray(other.params)[1:] / error
    assert table["ppml_z"].to_numpy() == pytest.approx(expected, rel=1e-5)
    assert table["ppml_coef"].to_numpy() == pytest.approx(np.asarray(other.params)[1:], rel=1e-4)
    p = 2 * stats.t.sf(np.abs(expected), put_right[:, 1])
    assert table["ppml_p"].to_numpy() == pytest.approx(p, rel=1e-3, abs=1e-12)
    assert table["ppml_stands_out"].tolist() == [True, True, False]


def test_effects_intervals_and_joint_tests_are_those_of_statsmodels(matrix):
    """statsmodels as above; effects per standard deviation over the focus rows, with t intervals,
    q by Benjamini and Hochberg, and Wald's F over the two columns of one factor."""
    fit = regress(matrix, seed=0)
    groups = np.unique(pair_names(matrix.rows), return_inverse=True)[1]
    other = sm.GLM(
        matrix.rows["works"], fit.design, family=sm.families.Poisson()
    ).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})  # fmt: skip
    times, freedom = np.array([written_out(fit, groups, k) for k in (1, 2, 3)]).T
    x = 2 * matrix.X[matrix.rows["in_focus"]]
    spread = (x.std(ddof=0) / matrix.X.std(ddof=0)).to_numpy()
    coef = np.asarray(other.params)[1:] * spread
    error = np.asarray(other.bse)[1:] * np.sqrt(times) * spread
    table = regression_table(matrix, fit, x, columns_of(matrix), unit="pair", level=0.9)
    half = stats.t.ppf(0.95, freedom) * error
    for name, expected in (("effect", coef), ("low", coef - half), ("high", coef + half)):
        assert table[f"ppml_{name}"].to_numpy() == pytest.approx(100 * np.expm1(expected), rel=1e-3)
    assert table["ppml_size"].to_numpy() == pytest.approx(np.abs(coef), rel=1e-4)
    q = multipletests(table["ppml_p"], method="fdr_bh")[1]
    assert table["ppml_q"].to_numpy() == pytest.approx(q) and (q != table["ppml_p"]).any()

    table = regression_table(matrix, fit, x, {"a": [0], "b": [1, 2]}, unit="pair", level=0.9)
    assert table.loc["b", "ppml_coef"] == pytest.approx(coef[1:].sum(), rel=1e-4)
    by_hand = (x.to_numpy()[:, 1:] / matrix.X.std(ddof=0).to_numpy()[1:]) @ (coef / spread)[1:]
    assert table.loc["b", "ppml_size"] == pytest.approx(by_hand.std(), rel=1e-4)
    root = np.sqrt(times[1:])
    covariance = np.asarray(other.cov_params())[2:, 2:] * np.outer(root, root)
    ends = np.asarray(other.params)[2:]
    wald = ends @ np.linalg.solve(covariance, ends) / 2
    p = stats.f.sf(wald, 2, freedom[1:].min())
    assert table.loc["b", "ppml_p"] == pytest.approx(p, rel=1e-3)


def test_exposure_and_weights_enter_as_in_statsmodels(matrix):
    """statsmodels: exposure as offset log(e), weights as frequency weights."""
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
    assert (np.diag(expected) > np.diag(scores.T @ scores) * 7 / 6).all()
    assert clustered(scores, pairs, "country") == pytest.approx(expected)


def test_a_dyadic_variance_is_no_less_than_that_of_independent_pairs():
    """By hand: sums 0, 1, -1 by country, squared 2, less 2 of the pairs: none; by pair 2 * 3/2."""
    pairs = np.array(["A|B", "A|C", "B|C"])
    scores = np.array([[1.0], [-1.0], [0.0]])
    assert clustered(scores, pairs, "country")[0, 0] == pytest.approx(3.0)


def test_pairs_of_a_fixed_country_count_apart():
    """Hand case: all pairs share A; with A fixed they are independent: the sum of squares."""
    pairs = np.array(["A|B", "A|C", "A|D"])
    scores = np.array([[1.0], [2.0], [3.0]])
    assert clustered(scores, pairs, "country", "A")[0, 0] == pytest.approx(14 * 4 / 3)
    assert clustered(scores, pairs, "country")[0, 0] == pytest.approx(36 * 4 / 3)
    assert clustered(scores, pairs, "pair")[0, 0] == pytest.approx(14 * 3 / 2)
    # B-C beside them: pairs that share B or C move together, those that share A do not. Sums by
    # B, C and D are 5, 6 and 3, of which B-C is in two.
    more, sums = np.append(pairs, "B|C"), np.r_[scores, [[4.0]]]
    by_hand = 5**2 + 6**2 + 3**2 - 4**2
    assert clustered(sums, more, "country", "A")[0, 0] == pytest.approx(by_hand * 4 / 3)


def test_drawn_rows_leave_the_estimate_where_it_was(matrix):
    """Planted slopes 0.5, -0.3 and 0: a weighted half of the rows finds them too."""
    whole, half = regress(matrix, seed=1), regress(matrix, seed=1, most_rows=140)
    assert len(half.rows) < len(whole.rows)
    scale = whole.basis.scale
    assert half.coef[1:] / half.basis.scale == pytest.approx(whole.coef[1:] / scale, abs=0.1)


def test_two_equal_groups_of_pairs_are_compared_as_by_students_t():
    """Closed form: errors are those of two samples' means, with 2 (n - 1) degrees of freedom.

    The coefficient is a difference of logs, so each sample's variance is over its squared mean.
    """
    works = np.array([10.0, 14, 12, 9, 15, 30, 22, 41, 27, 30])  # of five pairs each, one year
    X = np.column_stack([np.ones(10), np.repeat([0.0, 1.0], 5)])
    ones = np.ones(10)
    coef, bread = fit_ppml(X, works, ones, ones)
    mean = np.exp(X @ coef)
    fit = Regression(None, coef, bread, np.arange(10), X, mean, works - mean)
    covariance, freedom = errors_by_pair(fit, np.arange(10))(np.array([[0.0], [1.0]]))
    groups = works.reshape(2, 5)
    expected = (groups.var(axis=1, ddof=1) / 5 / groups.mean(axis=1) ** 2).sum()
    assert covariance[0, 0] == pytest.approx(expected, rel=1e-6)
    assert freedom[0] == pytest.approx(8, rel=1e-6)


def test_leaving_out_a_country_is_a_newton_step_without_its_rows(matrix):
    """Written out: weighted least squares of the working response on the rows left."""
    fit = regress(matrix, seed=0)
    pairs, code = np.unique(pair_names(matrix.rows), return_inverse=True)
    ends = np.array([p.split("|") for p in pairs])
    names, number = np.unique(ends, return_inverse=True)
    root = np.sqrt(fit.mean)
    response = fit.design @ fit.coef + fit.residual / fit.mean

    def moved(rows):
        kept = ~rows
        step, *_ = np.linalg.lstsq(
            fit.design[kept] * root[kept, None], response[kept] * root[kept], rcond=None
        )
        return fit.coef - step

    by_country = np.array([moved((ends[code] == n).any(axis=1)) for n in names])
    by_pair = np.array([moved(code == k) for k in range(len(pairs))])
    expected = (by_country.T @ by_country - by_pair.T @ by_pair) * (1 - 1 / len(names))
    size, vectors = np.linalg.eigh(expected)
    expected = (vectors * np.maximum(size, 0)) @ vectors.T
    found, freedom = errors_by_country(fit, code, number.reshape(ends.shape))(np.eye(4))
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert (freedom >= 1).all() and (freedom <= len(names) - 1).all()


def test_worlds_without_drivers_have_the_stated_rate_by_pair():
    """Stated rate: a test at 5 % finds 2.5 to 7 %; of 600 at 7 % fewer than 9.3 % (3 sd).

    The sandwich times G / (G - 1) finds 29 % of them.
    """
    found = []
    for seed in range(40):
        matrix = focal_matrix(pairs=20, factors=15, seed=seed)
        table = regression_table(
            matrix, regress(matrix, seed=0), matrix.X, columns_of(matrix), unit="pair", level=0.95
        )  # fmt: skip
        found += (table["ppml_p"] < 0.05).tolist()
    assert 0.01 < np.mean(found) < 0.093


def test_worlds_without_drivers_have_the_stated_rate_by_country():
    """Stated rate: of 240 tests of national factors at 4 % fewer than 8 % (3 sd).

    The sum over pairs that share a country, times G / (G - 1), finds 23 % of them.
    """
    found = []
    for seed in range(40):
        matrix = national_matrix(countries=14, factors=6, seed=seed)
        table = regression_table(
            matrix, regress(matrix, seed=0), matrix.X, columns_of(matrix), unit="country",
            level=0.95,
        )  # fmt: skip
        found += (table["ppml_p"] < 0.05).tolist()
    assert np.mean(found) < 0.08


def national_matrix(countries, factors, seed):
    """Return all pairs of countries, whose factors and errors are sums over both countries."""
    matrix = wide_matrix([0.0] * factors, countries=countries, seed=seed)
    rng = np.random.default_rng(seed)
    names = np.unique(matrix.rows[["country_a", "country_b"]])
    of = {end: np.searchsorted(names, matrix.rows[f"country_{end}"]) for end in "ab"}
    figures = rng.normal(size=(len(names), factors + 1))
    both = (figures[of["a"]] + figures[of["b"]]) / np.sqrt(2)
    rows = matrix.rows.assign(works=rng.poisson(np.exp(3 + 0.5 * both[:, -1])).astype(float))
    X = pd.DataFrame(both[:, :-1], columns=matrix.X.columns)
    return FeatureMatrix(rows, X, matrix.features)


@pytest.mark.parametrize("unit", ["pair", "country"])
def test_a_tie_of_one_pair_or_country_is_not_tested(unit):
    """By construction: the tie's effect is the level of its one pair (or country), and no more."""
    matrix = wide_matrix([0.5, 0.0, 0.0], countries=12)
    one = matrix.rows["country_a"] == "C00"
    if unit == "pair":
        one &= matrix.rows["country_b"] == "C05"
    matrix.X["x2"] = one.to_numpy(float)
    table = regression_table(
        matrix, regress(matrix, seed=0), matrix.X, columns_of(matrix), unit=unit, level=0.95
    )  # fmt: skip
    assert table.loc["x2", ["ppml_low", "ppml_z", "ppml_p", "ppml_q"]].isna().all()
    assert np.isfinite(table.loc["x2", "ppml_effect"])
    assert table["ppml_stands_out"].tolist() == [True, False, False]
    assert table.loc["x1", "ppml_q"] == table.loc["x1", "ppml_p"]  # the larger of two tested


@pytest.mark.parametrize("unit", ["pair", "country"])
def test_columns_that_repeat_each_other_are_tested(unit):
    """By symmetry: twins share the effect evenly, and each has the z that one alone has."""
    matrix = wide_matrix([0.5, 0.0], countries=12)
    alone, twins = matrix.take(np.ones(len(matrix.X), bool)), matrix
    alone.X["x1"] = 0.0
    twins.X["x1"] = twins.X["x0"]
    tables = [
        regression_table(m, regress(m, seed=0), m.X, columns_of(m), unit=unit, level=0.95)
        for m in (alone, twins)
    ]
    assert tables[0].loc["x1", "ppml_p"] == 1  # it never moves
    z = tables[0].loc["x0", "ppml_z"]
    assert tables[1]["ppml_z"].to_numpy() == pytest.approx([z, z], rel=1e-4)


def test_no_more_pairs_than_coefficients_is_no_test():
    """By construction: ten pairs, ten factors and a constant."""
    matrix = focal_matrix(pairs=10, factors=10, seed=0)
    table = regression_table(
        matrix, regress(matrix, seed=0), matrix.X, columns_of(matrix), unit="pair", level=0.95
    )  # fmt: skip
    assert table["ppml_p"].isna().all() and not table["ppml_stands_out"].any()
