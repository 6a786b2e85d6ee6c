"""Factors behind surprises: by hand, of a model whose Shapley values are what X says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.explain.pairs.surprises import name_factors
from mlcoop.features.build import Feature, FeatureMatrix

LABELS = ["Size", "Distance", "Small", "Tiny"]


class Plain:
    def shap_values(self, rows: pd.DataFrame, background: pd.DataFrame):
        return rows - background.mean(), 0.0


def both_ways() -> FeatureMatrix:
    """Return pairs A-B and A-C, the focus, and B-C, over two years and seen from either end."""
    rows = pd.DataFrame(
        [
            (focal, partner, *sorted((focal, partner)), year, "A" in (focal, partner))
            for a, b in ("AB", "AC", "BC")
            for year in (2009, 2010)
            for focal, partner in ((b, a), (a, b))
        ],
        columns=["focal", "partner", "country_a", "country_b", "year", "in_focus"],
    )
    X = pd.DataFrame(50.0, rows.index, LABELS)  # of other years, ends and pairs: never to be used
    now, far = rows["year"] == 2010, np.array([np.log(2), -0.4, 0.01, 0.001])
    X.loc[now & (rows["focal"] == "A") & (rows["partner"] == "B")] = far
    X.loc[now & (rows["focal"] == "A") & (rows["partner"] == "C")] = -far
    features = tuple(Feature(name, name, name, "g", "pair") for name in LABELS)
    return FeatureMatrix(rows, X, features, "A")


def test_the_three_largest_factors_are_told_as_the_focal_country_sees_them() -> None:
    """By hand: exp(ln 2) - 1 is 100 %, exp(-0.4) - 1 is -33 %, against the mean of both pairs."""
    table = pd.DataFrame({"country_a": ["B", "A", "A"], "country_b": ["C", "C", "B"]})
    table = table.assign(year=2010, in_focus=[False, True, True])
    named = name_factors(table, both_ways(), Plain(), seed=0, most=2)["factors"].tolist()
    minus = "\N{MINUS SIGN}"
    assert named == [
        "",  # told of after the focus pairs
        f"Size {minus}50 %; Distance +49 %; Small {minus}1 %",
        f"Size +100 %; Distance {minus}33 %; Small +1 %",
    ]


def test_of_many_focus_pairs_the_seed_draws_those_that_stand_for_all() -> None:
    """Truth: an invariant; 300 pairs of sizes 1 to 300, of which 200 are drawn."""
    rows = pd.DataFrame({"country_a": "A", "country_b": [f"B{i:03}" for i in range(300)]})
    rows = rows.assign(year=2010, in_focus=True)
    X = pd.DataFrame({"Size": np.linspace(0, 1, 300)})
    matrix = FeatureMatrix(rows, X, (Feature("Size", "Size", "Size", "g", "pair"),), None)
    one, again, other = (name_factors(rows, matrix, Plain(), seed=seed) for seed in (1, 1, 2))
    assert one.equals(again) and not one.equals(other)
