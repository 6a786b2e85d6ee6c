"""Truth: Table 1 of Han and Wang as published, with its printed totals."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlcoop.config_file import check_config
from mlcoop.plan import make_plan
from mlcoop.reference import beside_table_1, growth_claim
from mlcoop.study import _reference
from mlcoop.tables import load

# The paper's column "total" for 2019 to 2022.
PRINTED = {"physical": 65469, "life": 36373, "social": 22359, "all": 124201}


def test_fields_add_up_to_the_printed_totals() -> None:
    table = load("han_wang_table1")
    assert table.groupby("field")["works"].sum().to_dict() == PRINTED
    by_year = table.pivot(index="year", columns="field", values="works")
    assert (by_year[["physical", "life", "social"]].sum(axis=1) == by_year["all"]).all()


def test_the_growth_claim_is_set_right() -> None:
    # 36459 / 22066 = 1.652
    assert "1.65 times" in growth_claim() and "nearly five times" in growth_claim()


def test_own_counts_stand_beside_the_published_ones() -> None:
    own = pd.DataFrame({"year": [2018, 2019, 2020], "works": [1.0, 200.0, 300.0]})
    rows = beside_table_1(own, "life")["rows"]
    assert [row["counted"] for row in rows] == [200, 300, None, None]
    assert [row["published"] for row in rows] == [7841, 8956, 9452, 10124]


def test_a_field_that_the_paper_does_not_have_gives_no_rows() -> None:
    own = pd.DataFrame({"year": [2019], "works": [1.0]})
    assert beside_table_1(own, "health")["rows"] == []


@pytest.mark.parametrize("field", ["physical", "social"])
def test_growth_by_field_is_not_five_either(field: str) -> None:
    table = load("han_wang_table1").query("field == @field").set_index("year")["works"]
    assert table[2022] / table[2019] < 3


@pytest.mark.parametrize(
    ("target", "year", "beside"),
    [
        ({}, 2019, True),
        ({"counting": "fractional"}, 2019, False),
        ({"highly_cited": True}, 2019, False),
        ({"field": "health"}, 2019, False),
        ({}, 2009, False),
    ],
)
def test_only_what_the_published_table_holds_stands_beside_it(
    target: dict, year: int, beside: bool, tmp_path: Path
) -> None:
    # a work of China and two partners is 2 in the table and 2 * 1/2 in fractional counting
    raw = {
        "name": "x",
        "focus": {"focal": "CHN", "partners": "belt-and-road"},
        "target": {"source": "csv", "path": ".", **target},
    }
    plan = make_plan(check_config(raw, "x.yaml"), "x.yaml", tmp_path)
    table = pd.DataFrame({"country_a": ["CHN"], "country_b": "PAK", "year": year, "works": 2.0})
    found = _reference(plan, table, table[["country_a", "country_b"]])
    assert (found is not None) == beside
