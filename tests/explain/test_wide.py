"""Whether factors act alike inside and outside the focus set: planted slopes."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import columns_of, wide_matrix

from mlcoop.explain.wide import focus_interactions, rank_agreement, wide_and_narrow
from mlcoop.model.learners import LEARNERS


@pytest.mark.parametrize("unit", ["pair", "country"])
def test_a_slope_that_differs_in_focus_is_found(unit):
    """Planted truth: the first factor's slope is 0.9 inside and 0.3 outside, the rest are equal."""
    matrix = wide_matrix([0.3, 0.4, 0.0], [0.9, 0.4, 0.0], countries=40, seed=2)
    table, joint = focus_interactions(matrix, columns_of(matrix), unit=unit, level=0.95, seed=0)
    assert table["differs"].tolist() == [True, False, False]
    assert table.loc["x0", "difference"] == pytest.approx(0.6, abs=0.25)
    assert joint["p"] < 0.01 and joint["clusters"] == (39 if unit == "country" else 39)


def test_common_slopes_are_left_alone_at_the_stated_rate():
    """Planted truth: no difference; of 20 worlds at the 5 % level, 4 or fewer (99.7 %)."""
    found = 0
    for seed in range(20):
        matrix = wide_matrix([0.3, 0.4], countries=25, seed=seed)
        _, joint = focus_interactions(
            matrix, columns_of(matrix), unit="country", level=0.95, seed=0
        )
        found += joint["p"] < 0.05
    assert found <= 4


def test_wide_training_sees_unseen_focus_pairs_better():
    """Planted truth: common slopes; 9 focus pairs alone give a worse model than 45 pairs."""
    matrix = wide_matrix([0.5, -0.4, 0.3, 0.2], countries=12, seed=1)
    ppml = LEARNERS["ppml"]
    found = wide_and_narrow(matrix, {"ppml": (ppml, ppml.defaults)}, folds=5, seed=0)
    assert found["ppml"]["wide"] > 0.7
    assert found["ppml"]["wide"] > found["ppml"]["narrow"]


def test_a_ranking_agrees_with_itself_and_disagrees_when_reversed():
    """Invariants of Kendall's tau; without deviations the interval is a point."""
    size, still = np.array([3.0, 2.0, 1.0]), np.zeros((4, 3))
    assert rank_agreement(size, still, size, still, level=0.95) == {
        "tau": 1.0, "tau_low": 1.0, "tau_high": 1.0,
    }  # fmt: skip
    assert rank_agreement(size, still, size[::-1], still, level=0.95)["tau"] == -1.0
