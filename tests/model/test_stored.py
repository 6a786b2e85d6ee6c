"""Truth: the model that was stored; what is read back must give the same margins and values."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlcoop.errors import DataError
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.model.learners import LEARNERS
from mlcoop.model.stored import from_json, to_json
from mlcoop.simulate.world import simulate_world


@pytest.mark.parametrize("name", LEARNERS)
def test_a_stored_model_predicts_and_explains_as_before(name: str) -> None:
    world = simulate_world("interaction", seed=2, countries=34, years=4, factors=5, drivers=3)
    matrix = matrix_from_ready_panel(
        world.panel, pair=["i", "j"], year="year", target="y", factors=list(world.factors)
    )
    learner = LEARNERS[name]
    params = {**learner.defaults}
    if "trees" in params:
        params["trees"] = 20
    rows = matrix.rows
    pairs = (rows["country_a"] + "|" + rows["country_b"]).to_numpy()
    X = matrix.X.copy()
    X.iloc[::7, 1] = np.nan
    fitted = learner.make(params, 0).fit(X, rows["works"].to_numpy(float), pairs=pairs)
    again = from_json(json.loads(json.dumps(to_json(fitted))))
    np.testing.assert_allclose(again.margin(X), fitted.margin(X), rtol=1e-12)
    background = X.iloc[:50]
    values, base = again.shap_values(X, background)
    expected, expected_base = fitted.shap_values(X, background)
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)
    assert base == pytest.approx(expected_base)
    # Shapley values and base add up to the margin, to single precision of the trees.
    np.testing.assert_allclose(base + values.sum(axis=1), again.margin(X), atol=1e-5)


@pytest.mark.parametrize("state", [{}, {"kind": "ppml"}, {"kind": "other", "basis": 1}])
def test_a_damaged_file_is_one_line(state: dict) -> None:
    with pytest.raises(DataError, match=r"^stored model: [^\n]+--force$"):
        from_json(state)
