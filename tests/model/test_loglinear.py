"""The log-linear mixed model: what its priors do to planted effects."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import PoissonRegressor

from mlcoop.model import loglinear
from mlcoop.model.basis import learn_basis
from mlcoop.model.loglinear import LINEAR_TERMS, fit_mixed, score_alone
from mlcoop.model.mixed_fit import MixedFit, Rows
from mlcoop.model.mixed_rows import mixed_rows
from mlcoop.model.training import Training, arrange

PAIRS, YEARS, TERMS = 50, 8, 15


def planted(seed: int) -> tuple[Rows, np.ndarray]:
    """Counts of 50 pairs with one effect of 0.5 among fourteen of none, standing by pair."""
    rng = np.random.default_rng(seed)
    pair = np.repeat(np.arange(PAIRS), YEARS)
    X = rng.normal(size=(PAIRS, TERMS))[pair]
    truth = np.r_[0.5, np.zeros(TERMS - 1)]
    noise = rng.normal(scale=0.4, size=PAIRS)[pair]
    y = rng.poisson(np.exp(3 + X @ truth + noise)).astype(float)
    design = np.column_stack([np.ones(len(pair)), X])
    blocks = np.r_[-1, np.full(TERMS, LINEAR_TERMS)]
    zero, one = np.zeros(len(pair)), np.ones(len(pair))
    return Rows(design, blocks, y, zero, one, np.arange(0, len(pair), YEARS), pair), truth


def mean_estimate(seeds: range) -> tuple[float, float]:
    """Return the mean estimate of the effect, and the root mean square of those of none."""
    found = np.array([fit_mixed(planted(s)[0]).coef[1:] for s in seeds])
    return float(found[:, 0].mean()), float(np.sqrt((found[:, 1:] ** 2).mean()))


def test_a_large_effect_is_shrunk_less_than_by_one_prior_and_idle_ones_as_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted effect 0.5: a standard error of 0.4 / sqrt(50) = 0.06 a world, 0.014 over twenty."""
    seeds = range(20)
    effect, idle = mean_estimate(seeds)
    monkeypatch.setattr(loglinear, "PRIOR_TERMS", 1e6)  # the shared prior for every term
    effect_shared, idle_shared = mean_estimate(seeds)
    assert effect_shared < effect < 0.5 + 3 * 0.014
    assert abs(effect - 0.5) < 0.6 * abs(effect_shared - 0.5)
    assert idle < 1.03 * idle_shared


def test_terms_at_the_fixed_point_keep_their_equation() -> None:
    """MacKay's fixed point with a gamma prior, recomputed from what the fit hands out."""
    rows, _ = planted(1)
    fit = fit_mixed(rows, steps=400, tolerance=1e-9)
    linear = slice(1, TERMS + 1)
    coef, penalty = fit.coef[linear], fit.penalty[linear]
    known = 1 - penalty * np.diag(fit.covariance)[linear]
    shared = known.sum() / (coef**2).sum()
    np.testing.assert_allclose(penalty, (known + 1) / (coef**2 + 1 / shared), rtol=1e-3)


def test_the_score_of_a_column_alone_is_that_of_a_least_squares_fit_without_the_others() -> None:
    """Gaussian case, where it is exact: z-square of a ridge whose other candidates are left out."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5))
    y = X @ np.array([1.0, 0.0, 2.0, 0.5, 0.0]) + rng.normal(size=60)
    penalty = np.array([0.5, 2.0, 0.1, 1.0, 3.0])
    covariance = np.linalg.inv(X.T @ X + np.diag(penalty))
    nothing = np.zeros(0)
    fit = MixedFit(covariance @ X.T @ y, covariance, penalty, 1.0, 0.0, 1.0, nothing, nothing)
    tried = np.array([1, 3, 4])
    by_hand = []
    for column in tried:
        used = [0, 2, column]
        free = np.diag([penalty[0], penalty[2], 0.0])
        inverse = np.linalg.inv(X[:, used].T @ X[:, used] + free)
        by_hand.append((inverse @ X[:, used].T @ y)[2] ** 2 / inverse[2, 2])
    np.testing.assert_allclose(score_alone(fit, tried), by_hand)


@pytest.mark.parametrize("mean", [0.03, 0.1, 0.3, 3.0])
@pytest.mark.parametrize("poisson", [False, True])
def test_rare_counts_give_the_slopes_of_a_poisson_regression(mean: float, poisson: bool) -> None:
    """scikit-learn on the same rows, which are Poisson: mean works 0.03 to 3, planted 0.7."""
    rng = np.random.default_rng(0)
    pair = np.repeat(np.arange(1000), 10)
    x = rng.normal(size=1000)[pair]
    y = rng.poisson(mean * np.exp(0.7 * x)).astype(float)
    zero, one = np.zeros(len(y)), np.ones(len(y))
    design = np.column_stack([one, x])
    rows = Rows(design, np.array([-1, LINEAR_TERMS]), y, zero, one, np.arange(0, 10_000, 10), pair)
    other = PoissonRegressor(alpha=0, tol=1e-8, max_iter=500).fit(x[:, None], y).coef_[0]
    error = 1 / np.sqrt(y.sum())  # of the slope of a standard normal column, about
    assert fit_mixed(rows, poisson=poisson).coef[1] == pytest.approx(other, abs=0.5 * error)


def all_pairs(pairs: list[tuple[str, str]], years: int) -> Training:
    rng = np.random.default_rng(0)
    names = np.repeat(["|".join(p) for p in pairs], years)
    X = pd.DataFrame(rng.normal(size=(len(names), 2)))
    when = np.tile(2000 + np.arange(years), len(pairs))
    return arrange(X, rng.poisson(9, len(names)), None, None, names, when, 10_000, 0)


def test_drifts_countries_and_years_stand_beside_the_factors() -> None:
    """By hand, for all 15 pairs of six countries over four years: a country's column is one in the
    rows of its five pairs, a year's in its own, slopes in a product drift with the year, there is a
    trend, and a country's course over the years is that of an autoregression."""
    pairs = list(combinations("ABCDEF", 2))
    data = all_pairs(pairs, 4)
    basis = replace(learn_basis(data.X, weight=data.weight, smooth=False), products=((0, 1),))
    rows = mixed_rows(basis, data)
    first = len(basis.blocks())
    split = [1, 3, 9, 27]
    trend, drifts, countries, courses, years = np.split(rows.design[:, first:], split, axis=1)
    z = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0)
    since = (data.years - 2001.5) / np.sqrt(1.25)
    assert drifts == pytest.approx(z * since[:, None]) and trend[:, 0] == pytest.approx(since)
    inside = [[float(c in pair) for c in "ABCDEF"] for pair in pairs]
    assert (countries == np.repeat(inside, 4, axis=0)).all()
    assert (years == np.tile(np.eye(4), (15, 1))).all() and rows.years == 4
    apart = np.abs(data.years[:, None] - data.years)
    fading, mean = np.exp(-apart / 3), np.eye(60) - 1 / 60
    one = courses[:, :3][countries[:, 0] == 1]  # A's, in its five pairs
    assert one @ one.T == pytest.approx((mean @ fading @ mean)[:20, :20])
    assert (courses[:, :3][countries[:, 0] == 0] == 0).all()
    blocks = rows.blocks[first:]
    assert [len(set(b)) for b in np.split(blocks, split)] == [1, 1, 1, 1, 1]
    assert len({*blocks} - {*basis.blocks()}) == 5  # each with a spread of its own
    assert mixed_rows(basis, data, nuisance=False).design.shape[1] == first


def test_countries_need_two_and_a_half_pairs_each_and_years_to_be_three() -> None:
    """By definition: fourteen pairs of six countries, and two years, are too few."""
    pairs = list(combinations("ABCDEF", 2))
    for data, left in ((all_pairs(pairs[:-1], 4), 5), (all_pairs(pairs, 2), 6)):
        basis = learn_basis(data.X, weight=data.weight, smooth=False)
        rows = mixed_rows(basis, data)
        assert rows.design.shape[1] - len(basis.blocks()) == left
        assert rows.years == {5: 4, 6: 0}[left]  # a trend beside the years


def without(rows: Rows, pairs: np.ndarray) -> Rows:
    """The same rows but those of some pairs."""
    left = ~np.isin(rows.pair, pairs)
    pair = np.unique(rows.pair[left], return_inverse=True)[1]
    starts = np.flatnonzero(np.r_[True, np.diff(pair) > 0])
    columns = (rows.y[left], rows.offset[left], rows.weight[left])
    return Rows(rows.design[left], rows.blocks, *columns, starts, pair)


@pytest.mark.parametrize("share", [0.02, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_without_works_leave_the_slopes_to_the_others(seed: int, share: float) -> None:
    """Where all others have twenty a year, against a fit that never saw them."""
    rows, _ = planted(seed)
    odd = np.arange(int(share * PAIRS)) * 4
    moved = replace(rows, y=np.where(np.isin(rows.pair, odd), 0.0, rows.y))
    fit, other = fit_mixed(moved), fit_mixed(without(rows, odd))
    assert set(odd) == set(np.flatnonzero(fit.apart))
    assert fit.pair_variance == pytest.approx(other.pair_variance, rel=0.1)
    error = np.sqrt(np.diag(other.covariance)[1:])
    assert (np.abs(fit.coef - other.coef)[1:] < 0.5 * error).all()
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)[1:]), error, rtol=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_pairs_without_works_do_not_hide_behind_a_factor_that_they_share(seed: int) -> None:
    """Fifteen among the highest of an idle factor, against a fit that never saw them.

    Taken as any others they move its slope by twenty standard errors.
    """
    rows, _ = planted(seed)
    high = rows.design[rows.starts, 2] + np.random.default_rng(seed).normal(scale=0.5, size=PAIRS)
    odd = np.argsort(-high)[:15]
    moved = replace(rows, y=np.where(np.isin(rows.pair, odd), 0.0, rows.y))
    fit, other = fit_mixed(moved), fit_mixed(without(rows, odd))
    assert set(odd) == set(np.flatnonzero(fit.apart))
    assert abs(fit.coef - other.coef)[2] < 1.5 * np.sqrt(other.covariance[2, 2])


def test_pairs_with_works_never_stand_apart() -> None:
    """Three pairs of fifty have thirty times as many: that is for factors to explain."""
    rows, _ = planted(0)
    many = replace(rows, y=np.where(rows.pair < 3, 30 * rows.y, rows.y))
    assert not fit_mixed(many).apart.any()


def test_counts_too_rare_to_tell_a_pair_without_works_from_the_others() -> None:
    """Half a work a year on average: a third of the pairs has none, and none stands apart."""
    rng = np.random.default_rng(3)
    pair = np.repeat(np.arange(PAIRS), YEARS)
    x = rng.normal(size=PAIRS)[pair]
    y = rng.poisson(0.15 * np.exp(0.5 * x + rng.normal(scale=0.4, size=PAIRS)[pair])).astype(float)
    zero, one = np.zeros(len(y)), np.ones(len(y))
    starts = np.arange(0, len(y), YEARS)
    design = np.column_stack([one, x])
    rows = Rows(design, np.array([-1, LINEAR_TERMS]), y, zero, one, starts, pair)
    assert (np.add.reduceat(y, starts) == 0).mean() > 0.2
    assert not fit_mixed(rows).apart.any()


def test_a_rise_that_all_pairs_share_goes_to_no_factor() -> None:
    """Planted: counts grow by a tenth a year for no reason in the panel. Six factors without effect
    grow, too, each in its own measure; their z is as often large as chance has it."""
    pairs, years = 50, 14
    since = np.tile(np.arange(years) - 6.5, pairs)
    names, found = np.arange(pairs).repeat(years), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(pairs, 12)).repeat(years, axis=0) + rng.normal(
            0, 0.2, (len(names), 12)
        )
        X[:, :6] += 0.15 * since[:, None] * rng.uniform(0.5, 1.5, 6)
        level = 3 + 0.4 * X[:, 11] + rng.normal(scale=0.4, size=pairs)[names] + 0.1 * since
        y = rng.poisson(np.exp(level)).astype(float)
        data = arrange(pd.DataFrame(X), y, None, None, names, 2000 + since, 10_000, 0)
        basis = learn_basis(data.X, weight=data.weight, smooth=False, years=data.years)
        fit = fit_mixed(mixed_rows(basis, data))
        found.append(fit.coef[1:7] / np.sqrt(np.diag(fit.covariance)[1:7]))
    assert np.sqrt(np.mean(np.square(found))) < 1.2


def test_a_fit_that_does_not_settle_is_taken_again_with_less_heed_to_single_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant: cut short, it is the fit that bounds each row's Pearson statistic from the start;
    one that settles is not touched."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(300, 2)))
    y, exposure = rng.poisson(20, 300).astype(float), np.ones(300)
    y[7], exposure[7] = 3, 1e-4  # where next to none is expected
    data = arrange(x, y, exposure, None, np.arange(300) // 10, None, 10_000, 0)
    rows = mixed_rows(learn_basis(data.X, weight=data.weight, smooth=False), data)
    short, whole = fit_mixed(rows, steps=4), fit_mixed(rows)
    monkeypatch.setattr(loglinear, "FEWER_PEARSON", loglinear.MOST_PEARSON)
    assert fit_mixed(rows).dispersion == whole.dispersion
    assert fit_mixed(rows, steps=4).dispersion > 1.2 * short.dispersion


def test_what_befalls_a_country_for_years_goes_to_no_national_figure() -> None:
    """Planted: shocks of countries that fade by a fifth a year, and national figures without effect
    that wander; the figures' z is as often large as chance has it."""
    countries, years, found = 10, 12, []
    ends = np.array(list(combinations(range(countries), 2)))
    names = np.array([f"a{i}|a{j}" for i, j in ends]).repeat(years)
    when = np.tile(np.arange(years), len(ends))
    for seed in range(12):
        rng = np.random.default_rng(seed)
        steps = rng.normal(size=(4, countries, years))
        figures = steps[:3].cumsum(axis=2)
        shock = np.zeros((countries, years))
        for t in range(years):
            shock[:, t] = 0.8 * shock[:, t - 1] + 0.2 * steps[3, :, t]
        of_pairs = (figures[:, ends[:, 0]] + figures[:, ends[:, 1]]).reshape(3, -1)
        level = 3 + (shock[ends[:, 0]] + shock[ends[:, 1]]).ravel()
        level += rng.normal(scale=0.3, size=len(ends)).repeat(years)
        y = rng.poisson(np.exp(level)).astype(float)
        data = arrange(pd.DataFrame(of_pairs.T), y, None, None, names, when, 10_000, 0)
        basis = learn_basis(data.X, weight=data.weight, smooth=False, years=data.years)
        fit = fit_mixed(mixed_rows(basis, data))
        found.append(fit.coef[1:4] / np.sqrt(np.diag(fit.covariance)[1:4]))
    assert np.sqrt(np.mean(np.square(found))) < 1.4
