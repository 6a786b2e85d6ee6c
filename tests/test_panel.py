"""Truth: a four-country panel worked by hand, and invariants of the join."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcoop.errors import DataError
from mlcoop.panel import Panel, build_panel, coverage_by_country, pairs_among, unordered
from mlcoop.schema import TIE_VARIABLES

COUNTRIES = ["ALB", "CHN", "NAM", "USA"]
COUNTS = pd.DataFrame(
    [("ALB", "CHN", 2010, 3.0), ("CHN", "USA", 2010, 50.0), ("CHN", "USA", 2011, 60.0)],
    columns=["country_a", "country_b", "year", "works"],
)
# China's row of the matrix is known in both years, Albania's in 2011 only.
COVERED = pd.DataFrame({"iso3": ["CHN", "CHN", "ALB"], "year": [2010, 2011, 2011]})
INDICATORS = pd.DataFrame(
    [
        (c, y, "population", float(10 * i + y))
        for i, c in enumerate(COUNTRIES)
        for y in (2009, 2010)
    ],
    columns=["iso3", "year", "variable", "value"],
)


def ties(countries: list[str]) -> pd.DataFrame:
    table = pairs_among(countries)
    return table.assign(**dict.fromkeys(TIE_VARIABLES, 0.0)).assign(dist_km=1000.0)


def build(
    counts: pd.DataFrame = COUNTS,
    indicators: pd.DataFrame = INDICATORS,
    tie_table: pd.DataFrame | None = None,
    pairs: pd.DataFrame | None = None,
    pair_figures: pd.DataFrame | None = None,
) -> Panel:
    return build_panel(
        counts,
        COVERED,
        indicators,
        ties(COUNTRIES) if tie_table is None else tie_table,
        pairs=pairs_among(COUNTRIES) if pairs is None else pairs,
        focus=unordered(["CHN", "CHN"], ["ALB", "USA"]),
        years=(2010, 2011),
        history_years=1,
        pair_figures=pair_figures,
    )


def works(panel: Panel, a: str, b: str, year: int) -> float:
    table = panel.table.set_index(["country_a", "country_b", "year"])
    return table.loc[(a, b, year), "works"]


def test_zeros_are_told_from_missing() -> None:
    # Namibia has no work at all, so it and its pairs are left out, and are accounted for.
    panel = build()
    assert works(panel, "ALB", "CHN", 2010) == 3
    assert works(panel, "ALB", "CHN", 2011) == 0  # China's row is known and does not list it
    assert works(panel, "ALB", "USA", 2011) == 0  # Albania's row is known
    assert pd.isna(works(panel, "ALB", "USA", 2010))  # neither row is known
    assert pd.isna(works(panel, "CHN", "USA", 2009))  # before the first year
    assert panel.dropped == [
        {"kind": "country", "what": "NAM", "reason": "no work counted in any year", "count": 3}
    ]
    assert panel.warnings == ["1 of 6 pair-years have no count and are left out"]


def test_a_country_is_kept_for_one_work_in_the_years_asked_for() -> None:
    # By hand: Namibia has a work the year before and a known zero, all others one in 2010 or 2011.
    rows = [("CHN", "NAM", 2009, 5.0), ("CHN", "NAM", 2010, 0.0)]
    more = pd.DataFrame(rows, columns=COUNTS.columns)
    assert [d["what"] for d in build(pd.concat([COUNTS.assign(works=1.0), more])).dropped] == [
        "NAM"
    ]


def test_pair_figures_land_at_their_pair_and_year_and_drop_no_other() -> None:
    figures = pd.DataFrame({"country_a": "CHN", "country_b": "USA", "year": [2010], "x": [7.0]})
    table = build(pair_figures=figures).table
    assert len(table) == len(build().table)
    known = table[table["x"].notna()]
    assert known[["country_a", "country_b", "year", "x"]].to_numpy().tolist() == [
        ["CHN", "USA", 2010, 7.0]
    ]


def test_coverage_is_of_the_focus_countries_and_the_years_with_counts() -> None:
    # By hand, of two figures in 2010 and 2011: China has its population of 2010 and both products,
    # Albania and the USA the population of 2010. Albania's product of 2009 lies before the first
    # year, but the USA's one figure of two is as many as asked for, half.
    gdp = pd.DataFrame(
        [("CHN", 2010, "gdp", 1.0), ("CHN", 2011, "gdp", 1.0), ("ALB", 2009, "gdp", 1.0)],
        columns=INDICATORS.columns,
    )
    panel = build(indicators=pd.concat([INDICATORS, gdp]))
    found = coverage_by_country(panel).set_index("iso3")["coverage"]
    assert found.to_dict() == {"ALB": 0.25, "CHN": 0.75, "USA": 0.25}
    narrow = replace(panel, focus=unordered(["CHN"], ["ALB"]))
    assert coverage_by_country(narrow)["iso3"].tolist() == ["ALB", "CHN"]


def test_country_figures_land_at_their_own_end_and_year() -> None:
    row = build().table.set_index(["country_a", "country_b", "year"]).loc[("ALB", "CHN", 2010)]
    assert (row["population_a"], row["population_b"]) == (2010.0, 2020.0)
    later = build().table.set_index(["country_a", "country_b", "year"]).loc[("ALB", "CHN", 2011)]
    assert pd.isna(later["population_a"])


def test_years_before_the_first_have_figures_and_no_counts() -> None:
    # Lagged features read the figures; of the counts only those of the years asked for are a
    # study's, though a file may hold earlier ones.
    before = pd.DataFrame([("ALB", "CHN", 2009, 7.0)], columns=COUNTS.columns)
    panel = build(counts=pd.concat([COUNTS, before]))
    row = panel.table.set_index(["country_a", "country_b", "year"]).loc[("ALB", "CHN", 2009)]
    assert (row["population_a"], row["population_b"]) == (2009.0, 2019.0)
    assert pd.isna(row["works"])


def test_a_country_without_distance_or_figures_is_named() -> None:
    panel = build(tie_table=ties(["ALB", "CHN"]))
    assert {(d["what"], d["reason"]) for d in panel.dropped} >= {("USA", "no distance known")}
    thin = INDICATORS[INDICATORS["iso3"] != "USA"]
    reasons = {d["what"]: d["reason"] for d in build(indicators=thin).dropped}
    assert "0% of the country variables" in str(reasons["USA"])


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(DataError, match="no focus pair is left"):
        build(tie_table=ties(["ALB", "NAM"]))
    with pytest.raises(DataError, match="no focus pair is left"):
        build(counts=COUNTS.iloc[:0])


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_row_order_changes_nothing(random: Random) -> None:
    def shuffled(table: pd.DataFrame) -> pd.DataFrame:
        order = list(range(len(table)))
        random.shuffle(order)
        return table.iloc[order]

    panel = build(
        shuffled(COUNTS),
        shuffled(INDICATORS),
        shuffled(ties(COUNTRIES)),
        shuffled(pairs_among(COUNTRIES)),
    )
    pd.testing.assert_frame_equal(panel.table, build().table)
    assert panel.dropped == build().dropped


def test_inputs_are_not_changed() -> None:
    before = COUNTS.copy(), INDICATORS.copy()
    build()
    pd.testing.assert_frame_equal(COUNTS, before[0])
    pd.testing.assert_frame_equal(INDICATORS, before[1])
