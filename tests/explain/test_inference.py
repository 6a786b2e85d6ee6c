"""Order claims, rank sets, tiers, null line: against closed forms and their stated error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlcoop.explain.inference import false_discovery, null_p_values, order_claims, rank_sets


def claims_of(importance, noise, level=0.95, eligible=None):
    eligible = np.ones(len(importance), bool) if eligible is None else eligible
    return order_claims(
        np.asarray(importance, float), noise, level=level, freedom=200, eligible=eligible, seed=0
    )


def test_two_factors_need_the_two_sided_quantile():
    """Closed form: with two factors the bound is that of t with 200 degrees of freedom, 1.97."""
    noise = np.random.default_rng(0).normal(size=(4000, 2))
    spread = np.diff(noise, axis=1).std(ddof=1)
    bound = stats.t.ppf(0.975, 200) * spread
    assert claims_of([10 + 1.05 * bound, 10], noise)[0, 1]
    assert not claims_of([10 + 0.95 * bound, 10], noise).any()


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


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_q_values_equal_statsmodels(p):
    """Truth: statsmodels' Benjamini-Hochberg."""
    from statsmodels.stats.multitest import multipletests

    np.testing.assert_allclose(
        false_discovery(np.array(p)), multipletests(p, method="fdr_bh")[1], atol=1e-12
    )


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
