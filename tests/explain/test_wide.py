"""Whether factors act alike inside and outside the focus set: planted slopes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from worlds import columns_of, wide_matrix

from mlcoop.explain.defence.wide import (
    focus_interactions,
    rank_agreement,
    refitted_deviance,
    unseen_deviance,
)
from mlcoop.explain.replicates import explain_replicates
from mlcoop.features.build import Feature, FeatureMatrix
from mlcoop.model.learners import LEARNERS

ROLES = ("partner", "focal")


@pytest.mark.parametrize("unit", ["pair", "country"])
def test_a_slope_that_differs_in_focus_is_found(unit):
    """Planted truth: the first factor's slope is 0.9 inside and 0.3 outside, the rest are equal."""
    matrix = wide_matrix([0.3, 0.4, 0.0], [0.9, 0.4, 0.0], countries=40, seed=2)
    table, joint = focus_interactions(matrix, columns_of(matrix), unit=unit, level=0.95, seed=0)
    assert table["differs"].tolist() == [True, False, False]
    assert table.loc["x0", "difference"] == pytest.approx(0.6, abs=0.25)
    assert joint["p"] < 0.05 and 4 < joint["clusters"] <= 39


def both_ways(countries: int, seed: int, more: float) -> FeatureMatrix:
    """Return all pairs seen from either end; of C00's the partner's figure has a slope of `more`.

    Every year has a shock of its own for the pairs of C00, whose own figure moves over years.
    """
    rng = np.random.default_rng(seed)
    names, years = [f"C{k:02d}" for k in range(countries)], range(2001, 2011)
    size = rng.normal(size=(countries, 1)) + 0.4 * rng.normal(size=(countries, len(years)))
    shock = 0.3 * rng.normal(size=len(years))
    rows, X = [], []
    for i, a in enumerate(names):
        for j in range(i + 1, countries):
            level = 0.2 * rng.normal()
            for t, year in enumerate(years):
                log = 3 + level + 0.4 * (size[i, t] + size[j, t])
                log += (more * size[j, t] + shock[t]) if i == 0 else 0.0
                works = float(rng.poisson(np.exp(log)))
                for p, q in ((i, j), (j, i)):
                    rows.append((names[p], names[q], a, names[j], year, works, 1.0, 0.5, i == 0))
                    X.append((size[q, t], size[p, t]))
    ends = ["focal", "partner", "country_a", "country_b", "year", "works", "exposure", "weight"]
    features = tuple(Feature(f"x_{role}", f"x_{role}", "X", "g", role) for role in ROLES)
    values = pd.DataFrame(X, columns=[f.name for f in features])
    return FeatureMatrix(pd.DataFrame(rows, columns=[*ends, "in_focus"]), values, features, "C00")


def test_a_partner_s_slope_is_not_taken_for_the_focal_country_s():
    """Planted: the partner's slope is 0.5 steeper in focus, where ten years tell of C00's own."""
    matrix = both_ways(24, 3, 0.5)
    table, _ = focus_interactions(matrix, columns_of(matrix), unit="country", level=0.95, seed=0)
    assert table.index.tolist() == ["x_partner"] and table.loc["x_partner", "differs"]
    assert table.loc["x_partner", "difference"] > 0.3
    same = both_ways(24, 3, 0.0)
    table, _ = focus_interactions(same, columns_of(same), unit="country", level=0.95, seed=0)
    assert not table["differs"].any()


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
    """Planted truth: common slopes; some 9 focus pairs give a worse model than 60 pairs.

    The fold models' own figure is that of refits in the same folds.
    """
    matrix = wide_matrix([0.5, -0.4, 0.3, 0.2], countries=12, seed=1)
    ppml, focus = LEARNERS["ppml"], matrix.rows["in_focus"].to_numpy(bool)
    found = []
    for part in (matrix, matrix.take(focus)):
        explained = explain_replicates(
            part, ppml, ppml.defaults, columns_of(part), resamples=20, unit="pair", seed=0,
            workers=1,
        )  # fmt: skip
        found.append(unseen_deviance(part, explained))
        again = refitted_deviance(part, ppml, ppml.defaults, explained, seed=0)
        assert again == pytest.approx(found[-1], abs=1e-6)
    assert found[0] > 0.7 and found[0] > found[1]


def test_a_ranking_agrees_with_itself_and_disagrees_when_reversed():
    """Invariants of Kendall's tau; without deviations the interval is a point."""
    size, still = np.array([3.0, 2.0, 1.0]), np.zeros((4, 3))
    assert rank_agreement(size, still, size, still, level=0.95) == {
        "tau": 1.0, "tau_low": 1.0, "tau_high": 1.0,
    }  # fmt: skip
    assert rank_agreement(size, still, size[::-1], still, level=0.95)["tau"] == -1.0


def test_without_a_factor_that_varies_inside_the_focus_nothing_is_tested():
    """By hand: the one factor is zero in every focus pair, so no slope of its own can be freed."""
    matrix = wide_matrix([0.5], countries=12)
    x = matrix.X.where(~matrix.rows["in_focus"].to_numpy(bool)[:, None], 0.0)
    flat = FeatureMatrix(matrix.rows, x, matrix.features)
    table, joint = focus_interactions(flat, columns_of(flat), unit="pair", level=0.95, seed=0)
    assert table.empty and list(table) == ["difference", "z", "p", "q", "differs"]
    assert joint["tested"] == joint["differ"] == 0 and np.isnan(joint["p"])


def test_pairs_of_few_countries_are_not_as_many_clusters():
    """By hand: the 28 pairs of eight countries are worth some eight clusters, by pair 19."""
    matrix = wide_matrix([0.5, -0.3, 0.2], countries=16)
    ends = matrix.rows[["country_a", "country_b"]].to_numpy(str)
    rows = matrix.rows.assign(in_focus=(ends < "C08").all(axis=1))
    bloc = FeatureMatrix(rows, matrix.X, matrix.features)
    by = {
        unit: focus_interactions(bloc, columns_of(bloc), unit=unit, level=0.95, seed=0)[1]
        for unit in ("pair", "country")
    }
    # columns are freed along what all others leave, which reaches a little beyond the focus
    assert by["country"]["clusters"] < 10 < by["pair"]["clusters"]
