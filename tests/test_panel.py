"""Truth: a four-country panel worked by hand, and invariants of the join."""

from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcoop.errors import DataError
from mlcoop.panel import Panel, build_panel, pairs_among, unordered
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


def test_country_figures_land_at_their_own_end_and_year() -> None:
    row = build().table.set_index(["country_a", "country_b", "year"]).loc[("ALB", "CHN", 2010)]
    assert (row["population_a"], row["population_b"]) == (2010.0, 2020.0)
    later = build().table.set_index(["country_a", "country_b", "year"]).loc[("ALB", "CHN", 2011)]
    assert pd.isna(later["population_a"])


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
