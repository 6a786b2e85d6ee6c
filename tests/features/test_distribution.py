"""Truth: bars and quantiles counted by hand on a panel of four pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.features.catalogue import FACTORS
from mlcoop.features.distribution import BINS, _spread, distributions


def panel() -> pd.DataFrame:
    """Return China with four partners over three years, and a pair that is not in focus."""
    pairs = [("CHN", "KAZ"), ("CHN", "PAK"), ("CHN", "THA"), ("CHN", "USA"), ("PAK", "THA")]
    rows = [(a, b, year) for a, b in pairs for year in (2001, 2002, 2003)]
    table = pd.DataFrame(rows, columns=["country_a", "country_b", "year"]).assign(works=1.0)
    km = {"KAZ": 1000.0, "PAK": 1000.0, "THA": 3000.0, "USA": 9000.0}
    table["dist_km"] = table["country_b"].map(km)
    table["contiguous"] = table["country_b"].isin(["KAZ", "PAK"]).astype(float)
    for end in "ab":
        table[f"gdp_usd2015_{end}"] = table["year"] * 1e9
    return table


FOCUS = ["CHN", "KAZ", "PAK", "THA"]


def test_a_pair_factor_over_the_focus_pairs() -> None:
    (found,) = distributions(panel(), FACTORS["border"], focal="CHN", countries=FOCUS)
    # Kazakhstan and Pakistan share a border, Thailand does not; target years 2002 and 2003.
    assert found.bars.to_numpy().tolist() == [[0, 0, 2], [1, 1, 4]]
    assert (found.rows, found.known) == (6, 6)
    (far,) = distributions(panel(), FACTORS["distance"], focal="CHN", countries=FOCUS)
    assert far.quantiles[0.5] == pytest.approx(np.log(1000))
    assert far.quantiles[1.0] == pytest.approx(np.log(3000))
    assert list(far.quantiles) == [0, 0.1, 0.5, 0.9, 1]


def test_a_country_factor_has_both_ends_where_there_is_a_focal_country() -> None:
    ends = distributions(panel(), FACTORS["gdp"], focal="CHN", countries=FOCUS)
    assert [d.feature for d in ends] == ["gdp_partner", "gdp_focal"]
    # Lag 2: the target year 2003 uses 2001, the only one inside the panel.
    assert ends[0].quantiles[0.5] == pytest.approx(np.log(2001e9), rel=1e-6)
    assert ends[0].rows == 3
    (one,) = distributions(panel(), FACTORS["gdp"], focal=None, countries=FOCUS)
    assert one.known == 2 * 4  # four pairs, seen from either end


def test_works_with_others_are_those_that_the_model_saw_beside_all_pairs() -> None:
    """By hand: 90 works less the 10 with Kazakhstan or the one with either of the others."""
    table = panel()
    table["works"] = np.where(table["country_b"] == "KAZ", 10.0, 1.0)
    table["international_works_a"] = table["international_works_b"] = 90.0
    factor = FACTORS["works_with_others"]
    own = distributions(table, factor, focal="CHN", countries=FOCUS)[1]
    assert own.feature == "works_with_others_focal"
    assert own.quantiles[0.0] == pytest.approx(np.log(81), rel=1e-6)
    assert own.quantiles[1.0] == pytest.approx(np.log(90), rel=1e-6)


def test_up_to_ten_values_have_a_bar_each() -> None:
    for values, bars in ((10, 10), (11, BINS)):
        found = _spread("x", "x", pd.Series(np.tile(np.arange(values, dtype=float), 2)))
        assert len(found.bars) == bars and found.bars["rows"].sum() == 2 * values


def test_many_values_are_binned_and_none_is_lost() -> None:
    rng = np.random.default_rng(0)
    years = [panel().assign(year=panel()["year"] + 3 * step) for step in range(2)]
    table = pd.concat(years, ignore_index=True).assign(dist_km=rng.uniform(100, 9000, 30))
    (found,) = distributions(table, FACTORS["distance"], focal=None, countries=[*FOCUS, "USA"])
    bars = found.bars
    assert len(bars) == BINS and bars["rows"].sum() == found.known == 25  # five target years
    assert (bars["high"].to_numpy()[:-1] == bars["low"].to_numpy()[1:]).all()


def test_what_the_panel_cannot_tell_is_said() -> None:
    with pytest.raises(DataError, match="rule_of_law: not in this panel: .*rule_of_law_a"):
        distributions(panel(), FACTORS["rule_of_law"], focal=None, countries=FOCUS)
    with pytest.raises(DataError, match="mlcoop data import baci or gravity FILE"):
        distributions(panel(), FACTORS["bilateral_trade"], focal=None, countries=FOCUS)
    with pytest.raises(DataError, match="no pair of the focus set"):
        distributions(panel(), FACTORS["border"], focal="FRA", countries=["FRA", "ITA"])
    (blank,) = distributions(
        panel().assign(dist_km=[np.nan] * 9 + [1.0] * 6),
        FACTORS["distance"],
        focal="CHN",
        countries=FOCUS,
    )
    assert blank.known == 0 and blank.quantiles == {} and blank.bars.empty
