"""A forecast scored later. Truth: sums by hand, and the baselines' own closed forms."""

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.forecast.hindsight import score_forecast, worst_pairs
from mlcoop.schema import Experiment
from mlcoop.terminal.forecast import print_hindsight

FORECAST = pd.DataFrame(
    {
        "country_a": ["A", "A", "B"],
        "country_b": ["B", "C", "C"],
        "year": 2022,
        "last_year": 2021,
        "last_observed": [8.0, 1.0, 5.0],
        "predicted": [9.0, 2.0, 5.0],
        "lower": [8.0, 0.0, 3.0],
        "upper": [11.0, 3.0, 8.0],
        "level": 0.9,
        "in_focus": [True, False, False],
    }
)
OBSERVED = pd.DataFrame(
    {"country_a": ["A", "A"], "country_b": ["B", "C"], "year": 2022, "works": [10.0, 4.0]}
)


def test_score_by_hand() -> None:
    found = score_forecast(FORECAST, OBSERVED)
    scores = found.scores.set_index("set")
    # All: errors 1 and 2 of 14; persistence 2 and 3; A-B inside, A-C (4 > 3) not; widths 3 + 3.
    assert scores.loc["all", "wape"] == pytest.approx(3 / 14)
    assert scores.loc["all", "persistence"] == pytest.approx(5 / 14)
    assert scores.loc["all", "best_rule"] == "persistence"
    assert scores.loc["all", "coverage"] == pytest.approx(0.5)
    assert scores.loc["all", "width_share"] == pytest.approx(6 / 14)
    assert scores.loc["focus", "wape"] == pytest.approx(0.1)
    # Predicted over observed: 9 + 2 of 10 + 4.
    assert scores["bias"].to_dict() == pytest.approx({"all": 11 / 14, "focus": 0.9})
    assert set(scores["level"]) == {0.9}
    # B-C was forecast and not observed: said, and not taken for a zero.
    assert found.unobserved == 1 and found.not_forecast == 0
    assert found.pairs["miss"].tolist() == [2.0, 1.0]
    assert worst_pairs(found)["country_b"].tolist() == ["B"]
    # A pair that nobody forecast, in the year that is scored and in another.
    more = OBSERVED.tail(1).assign(country_b="Z")
    beyond = score_forecast(FORECAST, pd.concat([OBSERVED, more, more.assign(year=2030)]))
    assert beyond.not_forecast == 1 and beyond.scores.equals(found.scores)
    # Neither is a count that is missing a zero, nor a pair without a forecast scored.
    blank = OBSERVED.tail(1).assign(country_a="B", works=np.nan)
    assert score_forecast(FORECAST, pd.concat([OBSERVED, blank])).scores.equals(found.scores)
    unsaid = FORECAST.tail(1).assign(predicted=np.nan)
    third = score_forecast(
        pd.concat([FORECAST.head(2), unsaid]), pd.concat([OBSERVED, blank.assign(works=7.0)])
    )
    assert third.scores.equals(found.scores)
    assert third.unobserved == 0 and third.not_forecast == 1
    # The year after was not observed at all: its forecasts are none of those that lack a count.
    later = pd.concat([FORECAST, FORECAST.assign(year=2023)])
    assert score_forecast(later, OBSERVED).unobserved == 1
    # 11 and 0 works are the very ends of their intervals; of a pair without one nothing is told.
    edge = score_forecast(FORECAST, OBSERVED.assign(works=[11.0, 0.0]))
    assert edge.pairs["inside"].all() and set(edge.scores["coverage"]) == {1.0}
    open_ended = FORECAST.assign(lower=[8.0, np.nan, 3.0], upper=[11.0, np.nan, 8.0])
    told = score_forecast(open_ended, OBSERVED).scores.set_index("set")["coverage"]
    assert told["all"] == 1
    # Forecast at 9 and 2 where 1 and 4 came: the larger miss is first, whichever its sign.
    wide = score_forecast(FORECAST.assign(in_focus=False), OBSERVED.assign(works=[1.0, 4.0]))
    assert worst_pairs(wide)["miss"].tolist() == [-8, 2]
    assert worst_pairs(wide, 1)["miss"].tolist() == [-8]
    # A study without a focus is about all its pairs.
    assert score_forecast(FORECAST.drop(columns="in_focus"), OBSERVED).pairs["in_focus"].all()
    # Counts of no focus pair: the misses are of those that there are.
    other = score_forecast(FORECAST, OBSERVED[OBSERVED["country_b"] == "C"])
    assert worst_pairs(other)["country_b"].tolist() == ["C"]
    with pytest.raises(DataError, match="no count for the forecast years 2022"):
        score_forecast(FORECAST, OBSERVED.assign(year=2030))
    with pytest.raises(DataError, match="none of its pairs was forecast: X-Y"):
        score_forecast(FORECAST, OBSERVED.assign(country_a="X", country_b="Y").head(1))


def test_simple_rules_are_those_of_the_history() -> None:
    # A-B went 5, 8: one-year drift says 11; off by 1 of 10.
    # A-C stayed at 1: drift says 1; off by 3 of 4. Together 4 / 14.
    history = pd.DataFrame(
        {
            "country_a": ["A", "A", "A", "A"],
            "country_b": ["B", "B", "C", "C"],
            "year": [2020, 2021, 2020, 2021],
            "works": [5.0, 8.0, 1.0, 1.0],
        }
    )
    scores = score_forecast(FORECAST, OBSERVED, history).scores.set_index("set")
    assert scores.loc["all", "drift1"] == pytest.approx(4 / 14)
    assert scores.loc["all", "persistence"] == pytest.approx(5 / 14)
    # All grew by half: 12 and 1.5, off by 2 and 2.5; no rule is nearer than the drift.
    assert scores.loc["all", "group_growth"] == pytest.approx(4.5 / 14)
    assert scores.loc["all", "best_rule"] == "drift1"
    assert scores.loc["all", "best_rule_wape"] == pytest.approx(4 / 14)


def test_rules_reach_as_far_ahead_as_the_year_that_is_scored() -> None:
    # A-B went 9, 5, 8: from 2021 one-year drift says 11 in 2022 and 14 in 2023; 20 came.
    both = pd.concat([FORECAST.head(1), FORECAST.head(1).assign(year=2023)])
    came = OBSERVED.head(1)
    came = pd.concat([came, came.assign(year=2023, works=20.0)])
    history = (
        came.head(1)
        .drop(columns=["year", "works"])
        .merge(pd.DataFrame({"year": [2019, 2020, 2021], "works": [9.0, 5.0, 8.0]}), how="cross")
    )
    scores = score_forecast(both, came, history).scores.set_index(["set", "year"])
    assert scores.loc["all", "drift1"].tolist() == pytest.approx([1 / 10, 6 / 20])
    # Known by then, a year needs no rule: its error is told, and no rule beside it.
    late = pd.concat([history, came.head(1)])
    scores = score_forecast(both, came, late).scores.set_index(["set", "year"])
    assert scores.loc["all", "wape"].tolist() == pytest.approx([1 / 10, 11 / 20])
    assert scores.loc[("all", 2022), "best_rule"] is None
    assert scores.loc[("all", 2023), "drift1"] == pytest.approx(8 / 20)


def test_a_set_without_works_has_no_best_rule_beside_one_that_has(capsys) -> None:
    # The focus pair had no work: 9 forecast of 0 are no share, and no rule is the best one.
    found = score_forecast(FORECAST, OBSERVED.assign(works=[0.0, 4.0]))
    assert found.scores.set_index("set")["best_rule"].to_dict() == {
        "focus": None,
        "all": "persistence",
    }
    assert found.scores.set_index("set")["width_share"].isna().to_dict() == {
        "focus": True,
        "all": False,
    }
    print_hindsight(Experiment("x", "x", config={"name": "x"}, provenance={}), found)
    focus, both = capsys.readouterr().out.splitlines()[:2]
    assert "focus pairs" in focus and "baseline" not in focus
    assert "best baseline (chosen in hindsight), last year's count" in both
