"""Effects per natural step, against the slope they were made from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlcoop.explain.natural import FIVE_YEARS, natural_effects, natural_step


@pytest.mark.parametrize(
    ("factor", "x", "words", "size"),
    [
        ("distance", [7, 9], "10 % farther", np.log(1.1)),
        ("gdp_partner", [20, 21], "10 % more", np.log(1.1)),
        ("wealth_gap", [0.1, 2], "a 10 % wider gap", np.log(1.1)),
        ("rd_share_focal", [1, 2.5], "one percentage point more", 1.0),
        ("official_language", [0, 1], "yes rather than no", 1.0),
        ("economic_blocs", [0, 1, 2], "one bloc more", 1.0),
        ("belt_and_road", [0, np.log(4)], "five years in place rather than none", FIVE_YEARS),
        ("un_distance", [0, 2], "one standard deviation more", 1.0),
        ("a_column_of_my_own", [1, 5], "one standard deviation more", 2.0),
    ],
)
def test_the_step_follows_the_unit(factor, x, words, size):
    """Truth: units in the catalogue; the standard deviation of 1 and 5 is 2, of 0 and 2 is 1."""
    step = natural_step(factor, np.array(x, dtype=float))
    assert (step.words, step.size) == (words, pytest.approx(size))


def test_effect_and_interval_are_those_of_the_slope():
    """Closed form: slope -0.5 on the log of distance is 0.9**-0.5 - 1 = 5.41 % per 10 % closer."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"distance": rng.uniform(7, 9, 200), "border": rng.integers(0, 2, 200)})
    x = x.astype(float)
    values = (x - x.mean()).to_numpy() * np.array([-0.5, 0.3])
    # replicates whose slopes deviate by -0.1 and 0.1: their sd with ddof 1 is 0.1 * sqrt(2)
    moves = np.stack([(x - x.mean()).to_numpy() * np.array([s, 0.0]) for s in (-0.1, 0.1)])
    table = natural_effects(
        x, values, moves, np.ones(2), {"distance": [0], "border": [1]}, quantile=np.full(2, 2.0)
    )
    assert table.loc["distance", "step"] == "10 % closer"
    assert table.loc["distance", "effect_per_step"] == pytest.approx(100 * (0.9**-0.5 - 1))
    half = 2 * 0.1 * np.sqrt(2)
    low, high = (100 * (0.9 ** -(0.5 + s * half) - 1) for s in (-1, 1))
    assert table.loc["distance", "effect_per_step_low"] == pytest.approx(low)
    assert table.loc["distance", "effect_per_step_high"] == pytest.approx(high)
    assert table.loc["border", "effect_per_step"] == pytest.approx(100 * np.expm1(0.3))


def test_gaps_and_two_ends_are_pooled():
    """Closed form: two columns with one slope; missing values have no say."""
    x = pd.DataFrame({"a": [0.0, 1.0, np.nan, 3.0], "b": [1.0, 2.0, 3.0, np.nan]})
    slope = 0.2
    values = np.where(np.isnan(x), 0.7, slope * x)
    table = natural_effects(
        x, values, np.zeros((2, 4, 2)), np.ones(1), {"own": [0, 1]}, quantile=np.array([2.0])
    )
    seen = np.array([0, 1, 3, 1, 2, 3.0])
    expected = 100 * np.expm1(slope * seen.std())
    assert table.loc["own", "effect_per_step"] == pytest.approx(expected)


def test_a_column_of_ones_own_is_not_the_catalogues_of_that_name():
    step = natural_step("distance", np.array([500.0, 700.0]), own=True)
    assert (step.words, step.size) == ("one standard deviation more", pytest.approx(100.0))


def test_a_factor_taken_in_logs_has_an_elasticity():
    """Closed form: values of 0.3 log(x) are 1.1**0.3 - 1 more works per 10 %; a zero has no say."""
    x = pd.DataFrame({"gdp": np.r_[0.0, np.geomspace(1e9, 1e13, 50)]})
    values = 0.3 * np.log(np.maximum(x.to_numpy(), 1e9))
    none = np.zeros((2, 51, 1))
    given = {"columns": {"gdp": [0]}, "quantile": np.array([2.0]), "own": ["gdp"], "logs": ["gdp"]}
    row = natural_effects(x, values, none, np.ones(1), **given).loc["gdp"]
    assert row["step"] == "10 % more"
    assert row["effect_per_step"] == pytest.approx(100 * (1.1**0.3 - 1))
