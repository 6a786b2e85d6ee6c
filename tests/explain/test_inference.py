"""Order claims, rank sets, tiers, null line: against closed forms and their stated error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlcoop.explain.inference import (
    null_p_of_parts,
    null_p_values,
    orders_at_once,
    orders_told,
    rank_sets,
    share_intervals,
)


def claims_of(importance, noise, level=0.95, eligible=None):
    eligible = np.ones(len(importance), bool) if eligible is None else eligible
    return orders_at_once(
        np.asarray(importance, float), noise, level=level, freedom=200, eligible=eligible, seed=0
    )


def test_two_factors_need_the_two_sided_quantile():
    """Closed form: with two factors the bound is that of t with 200 degrees of freedom, 1.97."""
    noise = np.random.default_rng(0).normal(size=(4000, 2))
    spread = np.diff(noise, axis=1).std(ddof=1)
    bound = stats.t.ppf(0.975, 200) * spread
    assert claims_of([10 + 1.05 * bound, 10], noise)[0, 1]
    assert not claims_of([10 + 0.95 * bound, 10], noise).any()


def test_factors_that_move_as_one_may_both_be_of_the_other_sign():
    """Closed form: their difference is plain, and their sum, of error 2, needs 1.97 of these."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4000, 1)) + 0.01 * rng.normal(size=(4000, 2))
    error = noise.sum(axis=1).std(ddof=1)
    for times, is_told in ((1.05, True), (0.95, False)):
        half = times * stats.t.ppf(0.975, 200) * error / 2
        assert claims_of([half + 0.1, half - 0.1], noise)[0, 1] == is_told


def test_simultaneous_error_rate_under_ties():
    """Stated rate: eight tied effects, 400 worlds; a claim in 5 % of them (3 s.e. = 3.3 %)."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):
        signed = 5 + rng.normal(size=8)
        noise = rng.normal(size=(150, 8))
        wrong += claims_of(np.abs(signed), noise).any()
    assert wrong / 400 < 0.05 + 0.033


def test_folded_zeros_claim_nothing_too_often():
    """Effects of zero: importances are folded noise, the case where plain bootstrap fails."""
    rng = np.random.default_rng(2)
    wrong = [
        claims_of(np.abs(rng.normal(size=8)), rng.normal(size=(150, 8))).any() for _ in range(300)
    ]
    assert np.mean(wrong) < 0.05 + 0.038


def test_a_factor_below_the_null_line_is_above_none():
    noise = 0.01 * np.random.default_rng(0).normal(size=(100, 3))
    found = claims_of([3, 2, 1], noise, eligible=np.array([True, False, True]))
    assert found[0].tolist() == [False, True, True]
    assert not found[1].any()


def test_error_rate_behind_a_gate():
    """Stated rate: seven tied effects and eight of zero, claims only of those at z > 3."""
    rng = np.random.default_rng(4)
    truth = np.r_[np.full(7, 4.0), np.zeros(8)]
    wrong = 0
    for _ in range(300):
        signed = truth + rng.normal(size=15)
        found = claims_of(np.abs(signed), rng.normal(size=(150, 15)), eligible=np.abs(signed) > 3)
        wrong += (found & (truth[:, None] <= truth[None, :])).any()
    assert wrong / 300 < 0.05 + 0.038  # 3 standard errors


@pytest.mark.parametrize(
    ("truth", "least"),
    [
        (np.full(15, 8.0), 0.0),  # all are equal: every claim is wrong
        (np.r_[np.full(7, 8.0), np.zeros(8)], 0.9),  # and all stand above eight of zero
        (np.r_[np.full(4, 14.0), np.full(4, 8.0), np.zeros(7)], 0.9),
    ],
)
def test_false_discovery_rate_of_orders_that_are_told(truth, least):
    """Stated rate: of all claims 5 % are wrong on average, ties among them (3 s.e. = 3.8 %).

    Estimates move together as collinear factors do (correlation -0.3 within neighbours).
    """
    rng = np.random.default_rng(5)
    mixing = np.eye(15) - 0.3 * np.eye(15, k=1)
    wrong, right = [], []
    for _ in range(300):
        signed = truth + mixing @ rng.normal(size=15)
        claims, _ = orders_told(
            np.abs(signed),
            rng.normal(size=(200, 15)) @ mixing.T,
            level=0.95,
            freedom=100,
            eligible=np.abs(signed) > 4,
        )
        really = truth[:, None] > truth[None, :]
        wrong.append((claims & ~really).sum() / max(claims.sum(), 1))
        right.append((claims & really).sum() / max(really.sum(), 1))
    assert np.mean(wrong) < 0.05 + 0.038
    assert np.mean(right) >= least


def test_no_order_is_told_in_the_company_of_plain_ones_alone():
    """Closed form: the one-sided quantile of t with 200 degrees of freedom, 1.653."""
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(100_000, 10))
    far = np.r_[100.0, np.zeros(8)]
    for times, is_told in ((1.72, True), (1.60, False)):
        importance = np.r_[100.0 + times * np.sqrt(2), far]
        told, p = orders_told(importance, noise, level=0.95, freedom=200, eligible=importance > 50)
        assert told[:2, 2:].all()
        assert told[0, 1] == is_told
        assert (np.isfinite(p) == told).all()
        if is_told:  # of t with 200 degrees of freedom above 1.72; the spread is drawn, to 1 %
            assert p[0, 1] == pytest.approx(0.0435, abs=0.002)


def test_of_two_factors_an_order_is_told_by_a_two_sided_test():
    """Closed form: one hypothesis, at 0.05 / 1.05 in the first stage (Benjamini, Krieger and
    Yekutieli 2006), by t with 5 degrees of freedom; the spread is drawn, to 0.3 %."""
    noise = np.random.default_rng(0).normal(size=(100_000, 2))
    bound = np.sqrt(2) * stats.t.ppf(1 - 0.05 / 1.05 / 2, 5)
    for times, is_told in ((1.02, True), (0.98, False)):
        told, _ = orders_told(
            np.array([50 + times * bound, 50]),
            noise,
            level=0.95,
            freedom=5,
            eligible=np.ones(2, bool),
        )
        assert told.tolist() == [[False, is_told], [False, False]]


def test_a_claim_closes_the_opposite_one():
    """Closed form: once the first is above both, the two others are compared as two alone."""
    noise = np.random.default_rng(0).normal(size=(4000, 3))
    bound = stats.t.ppf(0.975, 200) * np.diff(noise[:, 1:], axis=1).std(ddof=1)
    assert claims_of([1000, 10 + 1.05 * bound, 10], noise)[1, 2]
    assert not claims_of([1000, 10 + 0.95 * bound, 10], noise)[1, 2]


def test_a_told_order_follows_the_estimates_and_the_line():
    """Invariants: never against the estimates, never of a factor that is not eligible."""
    noise = 0.01 * np.random.default_rng(0).normal(size=(100, 3))
    told, _ = orders_told(
        np.array([1.0, 2.0, 3.0]),
        noise,
        level=0.95,
        freedom=99,
        eligible=np.array([True, True, False]),
    )
    assert told.tolist() == [[False, False, False], [True, False, False], [False, False, False]]
    none, _ = orders_told(
        np.ones(2), noise[:, :2], level=0.95, freedom=99, eligible=np.zeros(2, bool)
    )
    assert not none.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.integers(0, 10_000))
def test_rank_sets_hold_the_rank_and_tiers_keep_untold_orders(n, seed):
    """Invariants over arbitrary claims that agree with the order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    position = np.argsort(order)
    claims = (rng.random((n, n)) < 0.5) & (position[:, None] < position[None, :])
    table = rank_sets(order, claims)
    assert ((table["rank_low"] <= table["rank"]) & (table["rank"] <= table["rank_high"])).all()
    tier = table["tier"].to_numpy()
    assert (claims | ~(tier[:, None] < tier[None, :])).all()  # another tier only where claimed


@pytest.mark.parametrize("directions", [1, 3])
def test_null_p_values_are_uniform(directions):
    """Stated rate: 5 % of true nulls below 0.05 (300 repeats: 3 s.e. = 3.8 %)."""
    rng = np.random.default_rng(3)
    shapes = np.linalg.qr(rng.normal(size=(50, directions)))[0]
    p = [
        null_p_values(
            shapes @ rng.normal(size=directions),
            rng.normal(size=(200, directions)) @ shapes.T,
            freedom=200,
        )
        for _ in range(300)
    ]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 0.038
    assert 0.4 < np.mean(p) < 0.6


def test_a_factor_that_no_replicate_moves_is_nothing_or_sure():
    """By definition: of no doubt at all, an effect of nought is none, any other is one."""
    still = np.zeros((20, 30))
    assert null_p_values(np.zeros(30), still, freedom=19) == 1
    assert null_p_values(np.full(30, 0.1), still, freedom=19) == 0


def test_a_group_without_effect_is_found_in_one_of_twenty_at_most():
    """Tests that know nothing of each other, or are all the same, find it by chance alone."""
    rng = np.random.default_rng(0)
    apart, same = rng.random((20_000, 7)), np.repeat(rng.random((20_000, 1)), 7, axis=1)
    for tests in (apart, same):
        found = [null_p_of_parts(joint, list(parts)) <= 0.05 for joint, *parts in tests]
        assert np.mean(found) <= 0.055


@pytest.mark.parametrize(("nulls", "weak"), [(3, 0), (30, 15)])
def test_intervals_hold_true_shares_beside_factors_that_are_all_noise(nulls, weak):
    """Estimates with an error of 0.1: what noise folds upwards, the shares of drivers lack.

    Shares plus or minus their standard errors hold those of drivers in 0.75 to 0.9 of the draws
    beside three nulls, and in less than a half beside thirty.
    """
    rng = np.random.default_rng(0)
    truth = np.r_[1, 0.6, 0.3, np.full(weak, 0.1), np.zeros(nulls - weak)]
    share, held = truth / truth.sum(), []
    for _ in range(400):
        found = truth + 0.1 * rng.standard_normal(len(truth))
        moves = 0.1 * rng.standard_normal((100, len(truth)))
        low, high = share_intervals(np.abs(found), moves, quantile=stats.t.ppf(0.975, 99))
        held.append((low <= share) & (share <= high))
    assert np.mean(held, axis=0)[:3].min() > 0.92  # three standard errors below 0.95: 0.917
    assert np.mean(held) > 0.94


def test_the_share_of_one_is_all_and_no_importance_has_none():
    """By definition, whatever their doubt."""
    moves = np.random.default_rng(0).standard_normal((20, 2))
    assert share_intervals(np.array([0.5]), moves[:, :1], quantile=2.0) == (1, 1)
    low, high = share_intervals(np.zeros(2), np.zeros((20, 2)), quantile=2.0)
    assert low.tolist() == high.tolist() == [0, 0]
