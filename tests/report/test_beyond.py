"""Works beside expected ones on the page: the numbers of the folder, in words and as drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from mlcoop.report.sections.beyond import (
    DRAWN,
    beyond_dots,
    beyond_sentences,
    beyond_table,
    farthest,
    gather_beyond,
    years_of,
)
from mlcoop.schema import Experiment

TABLE = pd.DataFrame(
    {
        "country_a": ["CHN", "CHN", "BGD", "<b>"],
        "country_b": ["PAK", "EGY", "CHN", "CHN"],
        "first_year": 2019,
        "last_year": [2021, 2021, 2021, 2020],
        "works": [400, 120, 50, 0],
        "expected": [100.0, 100.0, 100.0, 20.0],
        "ratio": [4.0, 1.2, 0.5, 0.0],
        "ratio_low": [2.0, 0.9, 0.3, 0.0],
        "ratio_high": [8.0, 1.6, 0.83, 0.4],
        "p": [0.001, 0.3, 0.01, 0.001],
        "told": ["more", np.nan, "less", "less"],
    }
)


def study(table: pd.DataFrame | None) -> Experiment:
    return Experiment("x", "x", {}, {}, coverage={}, observed_expected=table)


def test_the_words_are_those_of_the_table() -> None:
    rows = gather_beyond(study(TABLE), "CHN")
    assert [r.label for r in rows[:3]] == ["China–Pakistan", "China–Egypt", "China–Bangladesh"]
    spread, told = beyond_sentences(rows, 0.95)  # Egypt's interval holds one: nothing else to say
    # Quartiles of 0, 0.5, 1.2, 4 by hand: 0.375 and 1.9.
    assert spread == "Half of the pairs have 0.38 to 1.9 times their expected works."
    assert "more works than expected for China–Pakistan (4.0 times, 2.0 to 8.0); fewer" in told
    alone = beyond_sentences([dataclasses.replace(r, told="") for r in rows], 0.95)
    assert alone[1].startswith("None of 4 pairs is distinguishable from its expectation (at a ")
    assert alone[1].endswith("false discovery rate of 5 %).")
    assert alone[2].startswith("Still, 3 pairs have an interval that excludes 1 (")
    assert "(fewer than one of 4 would by chance): " in alone[2]  # 0.2, and not none
    assert "above 1 for China–Pakistan (4.0 times, 2.0 to 8.0); below 1 for" in alone[2]
    assert told.index("<b>") < told.index("Bangladesh") and "Egypt" not in told
    assert years_of(rows) == "2019–2021"
    assert [row[-1].text for row in beyond_table(rows, 0.95).rows] == ["more", "no", "less", "less"]
    drawn = str(beyond_dots(rows, 900))
    assert drawn.count("not distinguishable from its expectation") == 1 and "<b>" not in drawn


def test_of_pairs_without_works_that_stands_first_of_which_most_were_expected() -> None:
    """By hand: no works where 60, 20 and 40 were expected; the more, the lower the upper end."""
    none = TABLE.iloc[:3].assign(works=0, ratio=0.0, ratio_low=0.0, told="less", country_b="CHN")
    none = none.assign(country_a=["a", "b", "c"], ratio_high=[0.1, 0.3, 0.2])
    table = pd.concat([TABLE.iloc[[0, 1, 1, 2]].assign(told=""), none])
    told = beyond_sentences(gather_beyond(study(table), "CHN"), 0.95)[1]
    order = [told.index(f"0 to {high})") for high in ("0.10", "0.20", "0.30")]
    assert order == sorted(order)


def test_where_what_is_expected_is_far_off_no_pair_is_named() -> None:
    """By hand: works of 400, 120, 50, where a millionth of each was expected."""
    far = TABLE.iloc[:3].assign(expected=lambda t: t["works"] / 1e6, ratio=1e6, ratio_low=1e3)
    rows = gather_beyond(study(far), "CHN")
    words = " ".join(beyond_sentences(rows, 0.95))
    assert "no pair is singled out" in words and "China" not in words
    alike = beyond_sentences(rows, 0.95, {"moran": 0.31, "p": 0.0002, "partners": 60})
    assert "have similar ratios" in alike[-1]  # as the run warns


def test_whether_neighbours_lie_alike_is_said_as_the_test_has_it() -> None:
    rows = gather_beyond(study(TABLE), "CHN")
    cases = {
        0.4: "no evidence that neighbouring partners have more similar ratios than others "
        "(Moran’s I 0.31, p = 0.4)",
        0.0002: "have similar ratios (Moran’s I 0.31, p = 0.0002). They share causes",
    }
    for p, words in cases.items():
        said = beyond_sentences(rows, 0.95, {"moran": 0.31, "p": p, "partners": 60})
        assert words in said[-1] and said[:-1] == beyond_sentences(rows, 0.95)
    held = {"moran": 0.31, "p": 0.0002, "partners": 60, "spatial": True}
    assert "The ranking allows for effects" in beyond_sentences(rows, 0.95, held)[-1]


def test_none_told_and_no_table_are_said_as_such() -> None:
    rows = gather_beyond(study(TABLE.assign(told=np.nan)), "CHN")
    assert "None of 4 pairs is distinguishable" in " ".join(beyond_sentences(rows, 0.95))
    assert gather_beyond(study(None), None) == ()
    once = gather_beyond(study(TABLE.assign(first_year=np.nan, last_year=np.nan)), None)
    assert years_of(once) == "" and beyond_table(once, 0.95).rows[0][1].text == "–"


def test_of_many_pairs_those_are_drawn_whose_near_end_is_farthest_from_one() -> None:
    """By hand: of 40 pairs each a little nearer to one the ten at either end."""
    ratio = np.exp(np.linspace(2, -2, 40))
    table = pd.DataFrame({"country_a": [f"a{i:02d}" for i in range(40)], "country_b": "b"})
    table = table.assign(
        **{c: TABLE[c][0] for c in TABLE if c not in table},
    ).assign(ratio=ratio, ratio_low=ratio / 2, ratio_high=ratio * 2)
    rows = gather_beyond(study(table), None)
    assert farthest(rows) == [*rows[:DRAWN], *rows[-DRAWN:]]
    assert farthest(rows[:5]) == list(rows[:5])
