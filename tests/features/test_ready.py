"""Truths: tables small enough to read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.features.build import explain_rows
from mlcoop.features.ready import copies, far_out, matrix_from_ready_panel

OWN = pd.DataFrame(
    {
        "from": ["a", "b", "NA"],
        "to": ["c", "a", "c"],
        "yr": [2001, 2001, 2001],
        "n": [0, 3, 5],
        "size": [1.0, 2.0, 6.0],
        "near": [np.nan, 0.5, 0.1],
        "flag": [False, True, True],
    }
)
NAMES = {"pair": ["from", "to"], "year": "yr", "target": "n", "factors": ["near", "flag"]}


def test_rows_keep_their_values() -> None:
    matrix = matrix_from_ready_panel(OWN, exposure="size", groups={"near": "ties"}, **NAMES)
    rows = matrix.rows
    pairs = [["NA", "c"], ["a", "b"], ["a", "c"]]
    assert rows[["country_a", "country_b"]].to_numpy().tolist() == pairs
    assert rows["works"].tolist() == [5, 3, 0] and (rows["weight"] == 1).all()
    # over their mean, (6 + 2 + 1) / 3: only ratios of exposures mean something
    np.testing.assert_allclose(rows["exposure"], np.array([6, 2, 1]) / 3)
    assert matrix.X["flag"].tolist() == [1, 1, 0] and np.isnan(matrix.X["near"].iloc[2])
    assert [(f.name, f.group, f.role) for f in matrix.features] == [
        ("near", "ties", "pair"),
        ("flag", "flag", "pair"),
    ]
    assert explain_rows(matrix).all()


def test_row_order_does_not_matter() -> None:
    one = matrix_from_ready_panel(OWN, **NAMES)
    two = matrix_from_ready_panel(OWN.iloc[::-1], **NAMES)
    pd.testing.assert_frame_equal(one.X, two.X)
    pd.testing.assert_frame_equal(one.rows, two.rows)


def test_factors_that_say_the_same_are_named_once() -> None:
    """By hand: kilometres and miles, a tie and its absence; a close neighbour says more or less."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"i": "a", "j": [f"c{k:02}" for k in range(60)], "t": 2001, "n": 1})
    table["km"] = np.round(np.exp(rng.normal(8, 0.7, size=60)))
    table["miles"] = np.round(table["km"] / 1.609)
    table["tie"] = (np.arange(60) % 3 == 0).astype(int)
    table["none"] = 1 - table["tie"]
    table["near"] = table["km"] * np.exp(rng.normal(0, 0.03, size=60))
    table["gaps"] = table["km"].where(np.arange(60) > 5)
    table["still"] = 1.0
    names = ["tie", "km", "near", "miles", "none", "gaps", "still"]
    how = {"pair": ["i", "j"], "year": "t", "target": "n"}
    ties, lengths = copies(matrix_from_ready_panel(table, **how, factors=names))
    assert ties.startswith("tie, none: ") and lengths.startswith("km, miles: ")
    assert copies(matrix_from_ready_panel(table, **how, factors=names[:3])) == []


def test_a_value_far_out_is_named_and_skew_figures_are_not() -> None:
    """One slip of 1e9 among standard normal values; figures as skew as countries' output."""
    rng = np.random.default_rng(3)
    names = [f"c{i:02}" for i in range(12)]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    table = pd.DataFrame(pairs, columns=["i", "j"]).assign(t=2001, n=1)
    table["f"] = rng.normal(size=len(table))
    table["output"] = np.exp(rng.normal(25, 2.5, size=len(table)))
    table["rare"] = (np.arange(len(table)) == 7).astype(float)
    how = {"pair": ["i", "j"], "year": "t", "target": "n", "factors": ["f", "output", "rare"]}
    assert far_out(matrix_from_ready_panel(table, **how)) == []
    table.loc[5, "f"] = 1e9
    (line,) = far_out(matrix_from_ready_panel(table, **how))
    assert line.startswith("f: ") and "1e+09 (c00-c06 2001)" in line
