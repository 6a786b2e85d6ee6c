"""Stability figures on hand cases and on planted worlds."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import columns_of, wide_matrix

from mlcoop.explain.stability import halves_tau, pair_halves, replicate_stability
from mlcoop.model.learners import LEARNERS


def test_replicates_that_do_not_move_agree_wholly():
    found = replicate_stability(np.array([3.0, 2.0, 1.0]), np.zeros((4, 3)), np.array([1, 2, 2]))
    assert set(found.values()) == {1.0}


def test_leaders_and_halves_by_hand():
    """Four replicates of two factors; factor 2 leads in the last, which shares its tier."""
    importance = np.array([2.0, 1.0])
    moves = np.array([[0, 0], [0, 0], [0, 0], [-1, 1.0]])
    found = replicate_stability(importance, moves, np.array([1, 1]))
    assert found["top_same"] == 0.75 and found["top_same_tier"] == 1.0
    # second half: means 1.5 and 1.5, a tie, of which tau-b is undefined
    assert np.isnan(found["halves_tau"])
    # replicates 1 and 3 agree, 2 and 4 do not: (1 - 1) / 2
    assert found["replicates_tau"] == 0.0


def test_disjoint_halves_of_a_clear_world_agree():
    """Planted truth: slopes 1, 0.6, 0.3 and 0.1 are far apart for 150 pairs a half."""
    matrix = wide_matrix([1.0, 0.6, 0.3, 0.1], countries=25, seed=3)
    ppml = LEARNERS["ppml"]
    players = {**columns_of(matrix), ("both", "pair"): [2, 3]}
    found = pair_halves(matrix, ppml, ppml.defaults, players, seed=0, workers=1)
    assert found.shape == (3, 2, 5)
    assert (found[:, 0] != found[:, 1]).all()
    assert halves_tau(found[:, :, :4]) > 0.8 and halves_tau(found[:, :, :3]) == pytest.approx(1)
    # factors of a linear model drawn apart: a group has the root of the sum of their squares
    together = np.hypot(found[:, :, 2], found[:, :, 3])
    np.testing.assert_allclose(found[:, :, 4], together, rtol=0.2)
    # of two factors a split says -1 or 1, whatever the data
    assert np.isnan(halves_tau(found[:, :, :2]))


def test_halves_that_share_the_other_pairs_differ_less():
    """What both halves learn from the same 378 other pairs cannot differ between them."""
    matrix = wide_matrix([0.3, 0.28, 0.26, 0.24], countries=29, seed=5)
    ppml = LEARNERS["ppml"]
    given = (matrix, ppml, ppml.defaults, columns_of(matrix))
    apart, shared = (
        pair_halves(*given, seed=0, workers=1, share_rest=share) for share in (False, True)
    )
    gaps = [np.abs(np.log(found[:, 0] / found[:, 1])).mean() for found in (apart, shared)]
    assert gaps[1] < gaps[0]


def test_too_few_pairs_are_not_halved():
    matrix = wide_matrix([1.0, 0.6], countries=12)
    ppml = LEARNERS["ppml"]
    assert pair_halves(matrix, ppml, ppml.defaults, columns_of(matrix), seed=0, workers=1) is None
