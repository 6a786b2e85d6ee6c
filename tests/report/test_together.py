"""Interactions on the page: the numbers of the folder, in words and as drawn."""

from __future__ import annotations

import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.report.sections.together import (
    gather_together,
    together_bars,
    together_sentence,
    together_table,
)
from mlcoop.schema import Experiment

TABLE = pd.DataFrame(
    {
        "factor": ["gdp", "distance"],
        "other": ["<b>border</b>", "gdp"],
        "strength": [12.0, 3.0],
        "low": [8.0, 0.0],
        "high": [16.0, 7.0],
        "share": [0.1, 0.02],
        "told": [True, False],
    }
)


def study(table):
    return Experiment("x", "x", {}, {}, interactions=table)


def test_numbers_are_those_of_the_table():
    rows = gather_together(study(TABLE), {"gdp": "GDP"})
    assert [r.label for r in rows] == ["GDP", "Distance"]
    assert (rows[0].strength, rows[0].low, rows[0].high) == (0.12, 0.08, 0.16)
    sentence = together_sentence(rows)
    assert "listed, 1 is distinguishable from zero" in sentence and "12 %" in sentence
    assert [c.value for c in together_table(rows).rows[1]][-1] == "no"
    drawn = str(together_bars(rows, 900))
    assert "not distinguishable from zero" in drawn and "<b>" not in drawn


def test_none_told_is_said_plainly():
    rows = gather_together(study(TABLE.assign(told=False)), {})
    assert "listed, none is distinguishable from zero" in together_sentence(rows)


def test_no_table_is_not_an_empty_one():
    assert gather_together(study(None), {}) is None
    assert gather_together(study(TABLE.iloc[:0]), {}) == ()
    with pytest.raises(DataError, match="told"):
        gather_together(study(TABLE.drop(columns="told")), {})
