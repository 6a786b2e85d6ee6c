"""Truth: Table 1 of Han and Wang as published, with its printed totals."""

from __future__ import annotations

import pandas as pd
import pytest

from mlcoop.reference import beside_table_1, growth_claim
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
