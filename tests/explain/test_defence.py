"""Everything beside a ranking at once: a planted world of 300 pairs, 24 of them in focus."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from worlds import wide_matrix

from mlcoop.explain.defence.defend import defend
from mlcoop.explain.ranking import rank_factors
from mlcoop.model.learners import LEARNERS

LEARNER = LEARNERS["linear_boosting"]


@pytest.fixture(scope="module")
def made():
    matrix = wide_matrix([0.7, 0.0, -0.4, 0.0], countries=25, seed=5)
    ranking = rank_factors(matrix, LEARNER, resamples=20, seed=1)
    return matrix, ranking, defend(matrix, LEARNER, {}, ranking, seed=1)


def test_the_drivers_are_named_by_all_witnesses(made):
    """Planted truth: slopes 0.7 and -0.4; the other two factors do nothing."""
    _, ranking, found = made
    table = found.witnesses.set_index("factor")
    assert table.loc["x0", "shap_rank"] == table.loc["x0", "ppml_rank"] == 1
    assert table.loc[["x0", "x2"], "ppml_stands_out"].all()
    assert table.loc[["x0", "x2"], "direction"].tolist() == ["+", "-"]
    assert set(found.players["group"]) == {"g0", "g1"}
    # the group of the stronger driver costs more, by learner and by PPML
    lost = found.players.set_index("group")
    assert lost.loc["g0", "learner_lost"] > lost.loc["g1", "learner_lost"] > 0
    assert found.notes["wide"]["interaction"]["p"] > 0.01
    assert found.notes["wide"]["agreement"]["tau"] > 0
    assert 0 < found.notes["wide"]["deviance"]["learner"]["wide"] < 1


def test_shapley_values_add_up_on_the_log_scale(made):
    """Identity: base value plus values is the margin, to 1e-5, for every fold's model."""
    matrix, ranking, _ = made
    x = matrix.X.iloc[ranking.explained.rows]
    for estimator in ranking.explained.estimators:
        values, base = estimator.shap_values(x, x.iloc[::3])
        assert np.abs(base + values.sum(axis=1) - estimator.margin(x)).max() < 1e-5


def test_the_seed_settles_everything_and_workers_nothing(made):
    matrix, ranking, found = made
    again = defend(matrix, LEARNER, {}, ranking, seed=1, workers=2)
    pd.testing.assert_frame_equal(found.witnesses, again.witnesses)
    pd.testing.assert_frame_equal(found.players, again.players)
    np.testing.assert_equal(found.notes, again.notes)  # a tau of two factors is no number


def test_claimed_orders_are_listed(made):
    """Truth: the matrices of claims; what is right at once is told as well."""
    _, ranking, _ = made
    rows = ranking.orders[ranking.orders["kind"] == "factor"]
    assert len(rows) == int(ranking.told.to_numpy().sum())
    assert int(rows["at_once"].sum()) == int(ranking.at_once.to_numpy().sum()) > 0
    for above, below, sure in zip(rows["above"], rows["below"], rows["at_once"], strict=True):
        assert ranking.told.loc[above, below]
        assert sure == ranking.at_once.loc[above, below]
