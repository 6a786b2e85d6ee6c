"""Balanced resampling weights: invariants, and the spread that they must give back."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from worlds import wide_matrix

from mlcoop.explain.ranking import rank_factors
from mlcoop.explain.weights import halves, resampling_weights, weights_key

PAIRS = [("AAA", f"B{k:02d}") for k in range(12)] + [(f"B{k:02d}", f"C{k:02d}") for k in range(12)]
FOLDS = 5
ENDS = np.array(PAIRS)


@pytest.mark.parametrize("resamples", [20, 21, 60])
def test_each_pair_has_mean_weight_one_in_each_half(resamples):
    """Invariant of balanced resampling (Davison, Hinkley and Schechtman 1986)."""
    weights, _, freedom = resampling_weights(ENDS, "pair", resamples, FOLDS, seed=3)
    assert weights.shape == (resamples, len(PAIRS))
    assert freedom == resamples - 2  # a mean taken from each half
    assert (weights > 0).all()
    for half in halves(resamples):
        assert weights[half].mean(axis=0) == pytest.approx(1.0)


@pytest.mark.parametrize("resamples", [40, 60])
def test_a_statistic_linear_in_the_weights_has_the_spread_of_independent_weights(resamples):
    """Closed form: sum over pairs of a (w - 1) has variance sum of a squared for exponential w."""
    a = np.linspace(-1, 2, len(PAIRS))
    found = []
    for seed in range(200):
        weights, scale, _ = resampling_weights(ENDS, "pair", resamples, FOLDS, seed=seed)
        found.append(np.var(scale * (weights - 1) @ a, ddof=1))
    # 200 draws of a variance with 38 degrees of freedom: standard error 1.6 % (exponential tails
    # add as much again)
    assert np.mean(found) == pytest.approx((a**2).sum(), rel=0.08)


def test_what_is_linear_in_countries_or_pairs_cancels_within_a_half():
    """By construction: a sum over pairs of b (w - 1) has mean zero in each half."""
    weights, scale, freedom = resampling_weights(ENDS, "country", 60, FOLDS, seed=1)
    assert freedom == 60 - 10
    # ten blocks of six gamma weights of shape 4 (Dirichlet): variance 5 / 25 instead of 1 / 4
    assert scale == pytest.approx(2 * np.sqrt(59 / 60 * (25 / 5) / 4))
    for half in halves(60):
        assert weights[half].mean(axis=0) == pytest.approx(1.0)
    for fold in range(FOLDS):
        assert weights[:30][fold::FOLDS].mean(axis=0) == pytest.approx(1.0)
    assert weights.mean(axis=1) == pytest.approx(1.0, abs=1e-3)


def test_a_countrys_pairs_move_together():
    """Closed form: weights of two pairs that share one of their countries correlate by half,
    and what is normalised away leaves a little less."""
    ends = np.array(list(itertools.combinations([f"C{k:02d}" for k in range(40)], 2)))
    found = []
    for seed in range(50):
        weights, _, _ = resampling_weights(ends, "country", 60, FOLDS, seed=seed)
        found.append(np.corrcoef(weights[:, 0], weights[:, 1])[0, 1])
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("resamples", "blocks"), [(40, 2), (49, 2), (50, 10)])
def test_fewer_than_five_replicates_of_a_fold_are_balanced_by_half(resamples, blocks):
    """Hand count: of 40 a fold has four in each half, of 50 five; of 49 some have four."""
    _, _, freedom = resampling_weights(ENDS, "country", resamples, FOLDS, seed=1)
    assert freedom == resamples - blocks


def test_the_key_tells_weights_apart():
    """Invariant: whatever changes the weights changes what they are known by."""
    names = ["A|B", "A|C", "B|C"]
    keys = [
        weights_key(names, "pair", 20, 1),
        weights_key(names[:2], "pair", 20, 1),
        weights_key(names, "country", 20, 1),
        weights_key(names, "pair", 40, 1),
        weights_key(names, "pair", 20, 2),
    ]
    assert len(set(keys)) == len(keys)
    assert weights_key(iter(names), "pair", 20, 1) == keys[0]


def test_the_seed_settles_the_weights():
    first, _, _ = resampling_weights(ENDS, "pair", 20, FOLDS, seed=1)
    again, _, _ = resampling_weights(ENDS, "pair", 20, FOLDS, seed=1)
    other, _, _ = resampling_weights(ENDS, "pair", 20, FOLDS, seed=2)
    assert (first == again).all() and (first != other).any()


def test_rankings_of_other_years_or_another_focus_draw_the_same_and_say_so():
    """Truth: replicates themselves; those of one draw move together, those of another do not."""
    matrix = wide_matrix([0.6, 0.4, 0.3, 0.2], countries=14)

    def moves(first: int, seed: int = 1, focus: str = "C00") -> tuple[str, np.ndarray]:
        rows = matrix.rows.assign(in_focus=(matrix.rows[["focal", "partner"]] == focus).any(axis=1))
        part = replace(matrix, rows=rows).take(rows["year"].isin([first, first + 1]).to_numpy())
        ranking = rank_factors(part, "ppml", resamples=30, seed=seed)
        found = ranking.replicates.query("kind == 'factor'")
        drawn = found.pivot(index="replicate", columns="name", values="importance").to_numpy()
        return ranking.notes["weights"], drawn

    def together(one: np.ndarray, other: np.ndarray) -> float:
        return np.mean([np.corrcoef(one[:, k], other[:, k])[0, 1] for k in range(4)])

    key, drawn = moves(2001)
    for other in (moves(2002), moves(2001, focus="C03")):
        assert other[0] == key and together(drawn, other[1]) > 0.4
    apart, seeded = moves(2002, seed=2)
    assert apart != key and together(drawn, seeded) < 0.3
