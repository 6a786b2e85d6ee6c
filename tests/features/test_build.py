"""Truths: a panel small enough to work by hand, arithmetic beside each number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_panels import random_panel

from mlcoop.errors import DataError
from mlcoop.features.build import build_features, explain_rows
from mlcoop.features.catalogue import select_factors, usable_factors
from mlcoop.schema import PAIR

HAND = pd.DataFrame(
    # DEU-PAK, CHN-PAK and CHN-DEU; China's product is 100, 200, 400, 800 in 2008 to 2011.
    [
        ("CHN", "DEU", 2008, 5.0, 100.0, 50.0, 300.0, 60.0, 7000.0),
        ("CHN", "DEU", 2009, 6.0, 200.0, 50.0, 310.0, 65.0, 7000.0),
        ("CHN", "DEU", 2010, 8.0, 400.0, 50.0, 320.0, 70.0, 7000.0),
        ("CHN", "DEU", 2011, 9.0, 800.0, np.nan, 330.0, 75.0, 7000.0),
        ("CHN", "PAK", 2009, 1.0, 200.0, 4.0, 310.0, 12.0, 3000.0),
        ("CHN", "PAK", 2010, 2.0, 400.0, np.nan, 320.0, 13.0, 3000.0),
        ("CHN", "PAK", 2011, 3.0, 800.0, 8.0, 330.0, 14.0, 3000.0),
    ],
    columns=[
        "country_a",
        "country_b",
        "year",
        "works",
        "gdp_usd2015_a",
        "gdp_usd2015_b",
        "international_works_a",
        "international_works_b",
        "dist_km",
    ],
)


# A pair that is not the focal country's.
ELSEWHERE = HAND[HAND["country_b"] == "PAK"].assign(country_a="DEU")


def cell(matrix, focal: str, partner: str, year: int) -> pd.Series:
    rows = matrix.rows
    where = (rows["focal"] == focal) & (rows["partner"] == partner) & (rows["year"] == year)
    assert where.sum() == 1
    return pd.concat([matrix.X[where].iloc[0], rows[where].iloc[0]])


def test_lag_is_by_year_and_each_end_keeps_its_own() -> None:
    factors = select_factors(["gdp", "works_with_others", "distance"])
    wide = pd.concat([HAND, ELSEWHERE], ignore_index=True)
    matrix = build_features(wide, factors=factors, years=[2011], focal="CHN")
    row = cell(matrix, "CHN", "DEU", 2011)
    # gdp has lag 2: 2009; works with others lag 1: 2010, without the 8 works of the pair itself.
    assert row["gdp_focal"] == pytest.approx(np.log(200), rel=1e-6)
    assert row["gdp_partner"] == pytest.approx(np.log(50), rel=1e-6)
    assert row["works_with_others_focal"] == pytest.approx(np.log(1 + 320 - 8), rel=1e-6)
    assert row["works_with_others_partner"] == pytest.approx(np.log(1 + 70 - 8), rel=1e-6)
    assert row["distance"] == pytest.approx(np.log(7000), rel=1e-6)
    assert (row["works"], row["weight"], row["exposure"]) == (9, 0.5, 1)
    other = cell(matrix, "DEU", "CHN", 2011)
    assert other["gdp_focal"] == row["gdp_partner"] and other["gdp_partner"] == row["gdp_focal"]
    assert other["distance"] == row["distance"] and other["works"] == 9


@pytest.mark.parametrize("focal", ["CHN", "PAK"])
def test_a_focal_countrys_own_figures_differ_between_years_alone(focal: str) -> None:
    """By hand: of one country's pairs alone each is seen from its end, once, in either place.

    Seen from the other end, too, its columns would hold its partners' figures: on 54 pairs of
    China its own works were told from chance by what differs between African countries.
    """
    table = pd.concat([HAND, ELSEWHERE], ignore_index=True)
    table = table[(table["country_a"] == focal) | (table["country_b"] == focal)]
    factors = select_factors(["gdp", "distance"])
    matrix = build_features(table, factors=factors, years=[2011, 2012], focal=focal)
    rows = matrix.rows
    assert (rows["focal"] == focal).all() and (rows["weight"] == 1).all()
    assert len(rows) == 2 * len(table[["country_a", "country_b"]].drop_duplicates())
    end, other = ("a", "b") if focal == "CHN" else ("b", "a")
    for _, row in table[table["year"] == 2009].iterrows():
        seen = cell(matrix, focal, row[f"country_{other}"], 2011)
        assert seen["gdp_focal"] == pytest.approx(np.log(row[f"gdp_usd2015_{end}"]), rel=1e-6)
        assert seen["gdp_partner"] == pytest.approx(np.log(row[f"gdp_usd2015_{other}"]), rel=1e-6)


def test_what_a_country_has_without_each_partner_tells_no_past_of_the_pair() -> None:
    """By hand: of one country's pairs alone its works without Germany and without Pakistan differ
    by 8 and 2, what it has with either, so both rows hold their mean; where Germany's pair is seen
    beside others, each row has its own.
    """
    factors = select_factors(["works_with_others"])
    matrix = build_features(HAND, factors=factors, years=[2009, 2011], focal="CHN")
    name = "works_with_others_focal"
    mean = (np.log(1 + 320 - 8) + np.log(1 + 320 - 2)) / 2
    for partner, own in (("DEU", 70 - 8), ("PAK", 13 - 2)):
        seen = cell(matrix, "CHN", partner, 2011)
        assert seen[name] == pytest.approx(mean, rel=1e-6)
        assert seen["works_with_others_partner"] == pytest.approx(np.log(1 + own), rel=1e-6)
    # 2008, of which one pair is known.
    assert cell(matrix, "CHN", "PAK", 2009)[name] == pytest.approx(np.log(1 + 300 - 5), rel=1e-6)
    wide = build_features(pd.concat([HAND, ELSEWHERE]), factors=factors, years=[2011], focal="CHN")
    assert cell(wide, "CHN", "PAK", 2011)[name] == pytest.approx(np.log(1 + 318), rel=1e-6)


def test_carry_fills_gaps_from_the_past_only_and_not_for_ever() -> None:
    factors = select_factors(["gdp"])
    matrix = build_features(HAND, factors=factors, years=range(2010, 2018), focal="CHN")
    # Pakistan's product is unknown in 2010: 2012 (lag 2) takes that of 2009, never that of 2011.
    assert cell(matrix, "CHN", "PAK", 2012)["gdp_partner"] == pytest.approx(np.log(4), rel=1e-6)
    assert cell(matrix, "CHN", "PAK", 2013)["gdp_partner"] == pytest.approx(np.log(8), rel=1e-6)
    # Carried three years: Germany's last figure is of 2010, so 2015 (2013 - 3) has it, 2016 not.
    assert cell(matrix, "CHN", "DEU", 2015)["gdp_partner"] == pytest.approx(np.log(50), rel=1e-6)
    assert np.isnan(cell(matrix, "CHN", "DEU", 2016)["gdp_partner"])
    # Pakistan has no row of 2008: nothing is taken from the pair above it.
    assert np.isnan(cell(matrix, "CHN", "PAK", 2010)["gdp_partner"])


def test_a_change_over_three_years_stays_one_where_the_series_has_ended() -> None:
    # Pakistan stands still; China's ideal point is the square of the years since 2000, to 2010.
    years = np.arange(2000, 2013)
    panel = pd.DataFrame({"country_a": "CHN", "country_b": "PAK", "year": years, "works": 1.0})
    panel["un_ideal_point_a"] = np.where(years <= 2010, (years - 2000.0) ** 2, np.nan)
    panel["un_ideal_point_b"] = np.where(years <= 2010, 0.0, np.nan)
    factors = select_factors(["un_distance_change"])
    matrix = build_features(panel, factors=factors, years=range(2011, 2016))
    value = matrix.X["un_distance_change"].tolist()
    # Lag 2: 81 - 36 (2009 and 2006), 100 - 49 (2010 and 2007), which is carried two years.
    assert value[:4] == [45, 51, 51, 51] and np.isnan(value[4])


def test_exposure_by_hand() -> None:
    matrix = build_features(
        HAND, factors=select_factors(["distance"]), years=[2011], focal="CHN", exposure=True
    )
    # 2010: China 320, Germany 70, Pakistan 13 works with abroad, 403 in all; pair CHN-DEU 8 works.
    assert cell(matrix, "CHN", "DEU", 2011)["exposure"] == pytest.approx((320 - 8) * (70 - 8) / 403)
    assert cell(matrix, "CHN", "PAK", 2011)["exposure"] == pytest.approx((320 - 2) * (13 - 2) / 403)
    # Were all of Pakistan's works with China, it would have one with others: 318 * 1 / 392.
    lone = HAND.assign(international_works_b=HAND["international_works_b"].replace(13.0, 2.0))
    alone = build_features(
        lone, factors=select_factors(["distance"]), years=[2011], focal="CHN", exposure=True
    )
    assert cell(alone, "CHN", "PAK", 2011)["exposure"] == pytest.approx(318 * 1 / 392)


def test_of_two_figures_either_is_carried_by_itself() -> None:
    # Lag 3: of 2010 the patents (30) and, since that year's is unknown, the population of 2009, in
    # millions 2. Of 2009, the last year that has both, it would be 10 / 2.
    panel = pd.DataFrame(
        {"country_a": "CHN", "country_b": "PAK", "year": [2009, 2010], "works": 1.0}
    )
    for end in "ab":
        panel[f"patents_resident_{end}"] = [10.0, 30.0]
        panel[f"population_{end}"] = [2e6, np.nan]
    matrix = build_features(panel, factors=select_factors(["patents"]), years=[2013])
    assert matrix.X["patents_focal"].tolist() == pytest.approx([np.log1p(15)] * 2, rel=1e-6)


def test_exposure_unknown_is_refused_not_invented() -> None:
    with pytest.raises(DataError, match="CHN-DEU-2005"):
        build_features(HAND, factors=select_factors(["distance"]), years=[2005], exposure=True)


def test_roles_with_and_without_a_focal_country() -> None:
    factors = select_factors(["works_with_others", "gdp", "distance"])
    panel = random_panel()
    study = build_features(panel, factors=factors, years=[2010], focal="CHN")
    roles = {f.name: (f.factor, f.group, f.role) for f in study.features}
    assert roles["works_with_others_partner"] == (
        "works_with_others_partner",
        "research_strength_partner",
        "partner",
    )
    assert roles["works_with_others_focal"][1] == "research_strength_focal"
    assert roles["gdp_focal"] == ("gdp_focal", "economy_market", "focal")
    assert roles["distance"] == ("distance", "proximity", "pair")
    world = build_features(panel, factors=factors, years=[2010])
    roles = {f.name: (f.factor, f.group, f.role) for f in world.features}
    assert roles["gdp_partner"] == roles["gdp_focal"] == ("gdp", "economy_market", "both")
    assert roles["works_with_others_focal"][1] == "research_strength"
    assert [f.name for f in world.features] == list(world.X.columns)


def test_explained_rows_look_from_the_focal_country() -> None:
    panel = random_panel()
    focus = pd.DataFrame([("CHN", "PAK"), ("CHN", "THA")], columns=PAIR)
    matrix = build_features(
        panel, factors=select_factors(["gdp"]), years=[2010, 2011], focal="CHN", focus_pairs=focus
    )
    chosen = matrix.rows[explain_rows(matrix)]
    assert chosen["focal"].unique().tolist() == ["CHN"]
    assert chosen[["partner", "year"]].to_numpy().tolist() == [
        ["PAK", 2010],
        ["PAK", 2011],
        ["THA", 2010],
        ["THA", 2011],
    ]
    world = build_features(panel, factors=select_factors(["gdp"]), years=[2010], focus_pairs=focus)
    assert explain_rows(world).sum() == 4  # both orientations of both pairs


def test_pair_factors_alone_give_one_row_of_full_weight() -> None:
    panel = random_panel()
    matrix = build_features(panel, factors=select_factors(["distance"]), years=[2010], focal="PAK")
    assert len(matrix.rows) == 15 and (matrix.rows["weight"] == 1).all()  # 6 countries: 15 pairs
    seen = matrix.rows[matrix.rows["in_focus"]]
    assert len(seen) == 5 and (seen["focal"] == "PAK").all()


def test_weights_of_a_pair_and_year_add_to_one() -> None:
    matrix = build_features(random_panel(), factors=select_factors(), years=range(2005, 2011))
    sums = matrix.rows.groupby(["country_a", "country_b", "year"])["weight"].sum()
    assert (sums == 1).all() and len(sums) == 15 * 6


def test_a_focus_pair_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="CHN-FRA"):
        build_features(
            random_panel(),
            factors=select_factors(["gdp"]),
            years=[2010],
            focus_pairs=pd.DataFrame([("CHN", "FRA")], columns=PAIR),
        )


def test_a_pair_and_year_twice_is_refused() -> None:
    panel = random_panel()
    with pytest.raises(DataError, match="stands twice"):
        build_features(
            pd.concat([panel, panel.head(1)]), factors=select_factors(["gdp"]), years=[2010]
        )


def test_missing_inputs_are_left_out_with_the_reason() -> None:
    panel = random_panel().drop(columns="dist_km").assign(colony=np.nan)
    panel = panel.drop(columns=[c for c in panel if c.startswith("international_works")])
    asked = ["distance", "colonial_tie", "gdp", "openness"]
    kept, left_out = usable_factors(panel, select_factors(asked))
    assert [f.name for f in kept] == ["gdp"]
    assert {f.name: why for f, why in left_out} == {
        "distance": "the panel has no column dist_km",
        "colonial_tie": "no value of colony",
        # Own counts lack them: a reader of the report knows no columns of the panel.
        "openness": "the counts come without each country's international works",
    }
    with pytest.raises(DataError, match="no column dist_km"):
        build_features(panel, factors=select_factors(["distance"]), years=[2010])


def test_the_panel_is_not_changed() -> None:
    panel = random_panel()
    before = panel.copy(deep=True)
    build_features(panel, factors=select_factors("all"), years=[2010], focal="CHN", exposure=True)
    pd.testing.assert_frame_equal(panel, before)
