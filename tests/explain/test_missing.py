"""Truth: a planted world where a factor without effect lacks for countries of low output."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from mlcoop.explain.defence.missing import compare_treatments, cross_fitted_values, treat, treated
from mlcoop.features.build import Feature, FeatureMatrix
from mlcoop.features.coverage import known_shares
from mlcoop.model.imputation import from_own_years
from mlcoop.model.learners import LEARNERS
from mlcoop.model.stored import from_json, to_json
from mlcoop.stages.compute import fit_factor_model


def world(seed: int, lacking: str, countries: int = 36, years: int = 4) -> FeatureMatrix:
    """Return pairs whose works grow with size and with a capacity that no factor holds.

    `idle` has no effect at all; it lacks for the 40 % of countries with the least capacity
    ("small"), for as many at random, or for none.
    """
    rng = np.random.default_rng(seed)
    size, capacity = rng.normal(size=(2, countries))
    idle, other = rng.normal(size=(2, countries, years))
    gone = {
        "small": capacity < np.quantile(capacity, 0.4),
        "random": rng.random(countries) < 0.4,
        "none": np.zeros(countries, dtype=bool),
    }[lacking]
    rows, X = [], []
    for i, j in combinations(range(countries), 2):
        far, lasting = rng.normal(), 0.3 * rng.normal()
        for t in range(years):
            mean = np.exp(
                2.5 + 0.7 * (size[i] + size[j]) + 0.8 * (capacity[i] + capacity[j])
                - 0.5 * far + lasting
            )  # fmt: skip
            rows.append((f"C{i:02}", f"C{j:02}", 2000 + t, rng.poisson(mean)))
            known = np.nan if gone[i] or gone[j] else idle[i, t] + idle[j, t]
            X.append((far, size[i] + size[j], known, other[i, t] + other[j, t]))
    table = pd.DataFrame(rows, columns=["country_a", "country_b", "year", "works"])
    table = table.assign(
        focal=table["country_a"], partner=table["country_b"],
        exposure=1.0, weight=1.0, in_focus=True,
    )  # fmt: skip
    columns = ["distance", "size", "idle", "other"]
    features = tuple(Feature(c, c, c.title(), "g", "pair") for c in columns)
    return FeatureMatrix(table, pd.DataFrame(X, columns=columns, dtype=np.float32), features)


@pytest.mark.parametrize("learner", ["linear_boosting", "poisson_boosting"])
def test_gaps_that_tell_of_size_are_used_unless_they_are_filled(learner: str) -> None:
    # The world is worth the test: left alone, the model gives a third and more to a factor that
    # does nothing. Filled, it gets no more than where nothing is missing (5 to 9 % in ten worlds).
    found = compare_treatments(world(0, "small"), LEARNERS[learner], {"trees": 150})
    idle = found.table.set_index("factor").loc["idle"]
    assert idle["works_where_missing"] < 0.3
    assert idle["share_own"] > 0.3
    assert idle["share_impute"] < 0.1 and idle["rank_impute"] >= 3
    assert idle["share_complete"] < 0.1
    (text,) = found.warnings
    assert '"Idle"' in text and '"Other"' not in text and "learner.missing=impute" in text


def test_gaps_at_random_and_no_gaps_raise_no_warning() -> None:
    for lacking, n in (("random", 36), ("none", 34)):
        found = compare_treatments(world(1, lacking, n), LEARNERS["linear_boosting"], {"trees": 40})
        assert found.warnings == []
    shares = found.table[["share_own", "share_impute", "share_complete"]]
    # Nothing is missing: the three treatments are one.
    np.testing.assert_array_equal(shares["share_own"], shares["share_impute"])
    np.testing.assert_array_equal(shares["share_own"], shares["share_complete"])
    assert found.notes["between"]["own/complete"]["tau"] == pytest.approx(1.0)


def test_complete_rows_and_what_is_left_of_them() -> None:
    matrix = world(2, "small")
    kept = treat(matrix, "complete")
    assert kept.X.notna().all().all() and 0 < len(kept.rows) < len(matrix.rows)
    assert treat(matrix, "impute") is matrix
    # With a factor that is known for eight pairs only, nothing is ranked, and the count says why.
    few = matrix.rows.groupby(["country_a", "country_b"]).ngroup() < 8
    X = matrix.X.assign(other=matrix.X["other"].where(few), idle=0.5)
    found = compare_treatments(
        FeatureMatrix(matrix.rows, X, matrix.features), LEARNERS["ppml"], seed=1
    )
    assert found.notes["pairs"]["complete"] == 8
    assert found.table["rank_complete"].isna().all() and found.table["rank_impute"].notna().all()
    assert set(found.notes["between"]) == {"own/impute"}


@pytest.mark.parametrize("gone", ["years", "pairs"])
@pytest.mark.parametrize("learner", ["linear_boosting", "ppml"])
def test_a_standing_driver_that_lacks_at_random_keeps_its_effect(gone: str, learner: str) -> None:
    # Truth: a slope of 0.7 over a standard normal factor, so a mean absolute Shapley value of
    # 0.7 * sqrt(2 / pi) = 0.56, of which chance leaves a quarter open; half of the values lack. A
    # filling that wanders within pairs, whose counts do not, left less than a tenth of it.
    rng = np.random.default_rng(3)
    pairs, years = 90, 6
    pair = np.repeat(np.arange(pairs), years)
    X = pd.DataFrame(rng.normal(size=(pairs, 3))[pair], columns=["driver", "other", "moving"])
    X["moving"] += rng.normal(size=len(X))
    works = rng.poisson(np.exp(3 + 0.7 * X["driver"] + 0.2 * rng.normal(size=pairs)[pair]))
    lost = rng.random(len(X)) < 0.5 if gone == "years" else (rng.random(pairs) < 0.5)[pair]
    X["driver"] = X["driver"].mask(lost)
    names = [f"P{k:02}" for k in pair]
    rows = pd.DataFrame(
        {
            "focal": "F", "partner": names, "country_a": "F", "country_b": names,
            "year": np.tile(np.arange(years), pairs), "works": works.astype(float),
            "exposure": 1.0, "weight": 1.0, "in_focus": True,
        }
    )  # fmt: skip
    features = tuple(Feature(c, c, c, c, "pair") for c in X)
    matrix = treat(FeatureMatrix(rows, X, features), "impute")
    entry = treated(LEARNERS[learner], "impute")
    values, _ = cross_fitted_values(matrix, entry, entry.defaults, seed=0)
    assert 0.42 < np.abs(values[:, 0]).mean() < 0.7
    fitted = fit_factor_model(matrix, entry, entry.defaults, 0)
    back = from_json(json.loads(json.dumps(to_json(fitted))))
    np.testing.assert_allclose(back.predict(matrix.X), fitted.predict(matrix.X), rtol=1e-6)


def test_a_gap_is_filled_by_the_nearest_year_of_its_pair_where_the_factor_stands() -> None:
    # By hand: the earlier of two equally near; a pair never known stays so; a factor whose next
    # value is no closer than any other row's is left to the regression.
    rows = pd.DataFrame({"focal": "a", "partner": list("bbbbcccc"), "year": [*range(1, 5)] * 2})
    gap = np.nan
    X = pd.DataFrame(
        {
            "stands": [1, gap, 1.5, gap, 8, 8, 9, 8],
            "never": [2, 2, 3, 2, gap, gap, gap, gap],
            "jumps": [1, 9, 1, gap, 9, 1, 9, gap],
        }
    )
    shuffled = [3, 6, 0, 5, 2, 7, 1, 4]
    filled = from_own_years(rows.iloc[shuffled], X.iloc[shuffled]).sort_index()
    assert filled["stands"].tolist() == [1, 1, 1.5, 1.5, 8, 8, 9, 8]
    pd.testing.assert_frame_equal(filled[["never", "jumps"]], X[["never", "jumps"]])


def test_known_shares_by_hand() -> None:
    # Two partners of CHN over two years; gdp lacks for KAZ in 2001, in one of four rows.
    rows = pd.DataFrame(
        {
            "country_a": ["CHN"] * 4,
            "country_b": ["KAZ", "KAZ", "THA", "THA"],
            "focal": "CHN",
            "partner": ["KAZ", "KAZ", "THA", "THA"],
            "year": [2001, 2002] * 2,
            "works": 1.0,
            "in_focus": True,
        }
    )
    X = pd.DataFrame({"gdp_partner": [np.nan, 1, 2, 3], "distance": [1.0, 1, 2, 2]})
    features = (
        Feature("gdp_partner", "gdp_partner", "Size", "economy_market", "partner"),
        Feature("distance", "distance", "Distance", "proximity", "pair"),
    )
    found = known_shares(FeatureMatrix(rows, X, features, "CHN"))
    assert found["by_year"] == [{"factor": "gdp_partner", "2001": 0.5, "2002": 1.0}]
    assert found["by_country"] == [{"factor": "gdp_partner", "KAZ": 0.5, "THA": 1.0}]
