"""Scores, skill and coverage of a backtest, by hand and by definition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlcoop.forecast.scores import _coverage, _sizes, _skill


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


def test_the_interval_of_the_skill_is_of_a_mean_over_paired_origins():
    """Closed form: of many origins the normal quantile at 90 %, where the rule errs alike in all;
    none where the model errs half as much as the rule in each."""
    model = np.linspace(0.1, 0.2, 60)
    found = _skill(pd.DataFrame({"model": model, "persistence": 0.3}), seed=0, resamples=4000)
    half = 1.645 * model.std() / np.sqrt(60) / 0.3
    ends = np.array([found["low"], found["high"]])
    assert ends == pytest.approx(0.5 + half * np.array([-1, 1]), abs=0.08 * half)
    paired = _skill(pd.DataFrame({"model": model, "persistence": 2 * model}), resamples=100)
    assert paired["low"] == pytest.approx(0.5) and paired["high"] == pytest.approx(0.5)


def test_every_origin_counts_alike_however_many_pairs_it_has():
    """By hand: one pair of one inside, then one of three; and a rule that is better in two origins
    of three, but 1.1 / 3 on average, is not the best."""
    rows = pd.DataFrame({"year": [2010, 2011, 2011, 2011], "observed": [1.0, 1.0, 9.0, 9.0]})
    assert _coverage(rows.assign(lower=0.0, upper=2.0))["mean"] == pytest.approx((1 + 1 / 3) / 2)
    wapes = pd.DataFrame({"model": 0.1, "drift1": [0.1, 0.1, 0.9], "persistence": 0.2})
    found = _skill(wapes, seed=0, resamples=10)
    assert found["against"] == "persistence" and found["value"] == pytest.approx(0.5)


@pytest.mark.parametrize("pairs", [1, 10, 28, 55, 210])
def test_the_largest_pairs_are_the_same_wherever_they_are_told(pairs):
    """Truth: by definition; every row is in one bin, and the top one is the backtest's largest."""
    last = np.random.default_rng(pairs).integers(0, 9, pairs)  # many tie
    largest = np.zeros(pairs, dtype=bool)
    largest[np.argsort(-last, kind="stable")[: max(round(0.05 * pairs), 1)]] = True
    masks = _sizes(pd.DataFrame({"origin": 2010, "persistence": last, "largest": largest}))
    assert (np.sum([m.to_numpy() for m in masks.values()], axis=0) == 1).all()
    assert (masks["size_5pct"].to_numpy() == largest).all()
