"""Sentences and plain values are those of the tables."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from page import Page

from mlcoop.comparison import compare
from mlcoop.errors import DataError
from mlcoop.report.display import forecast_card
from mlcoop.report.numbers.content_forecast import Calibration
from mlcoop.report.render import render_report
from mlcoop.report.sentences.question import about, asked
from mlcoop.report.sentences.study import calibration_sentence, total_misses
from mlcoop.report.summary import summarise
from mlcoop.schema import DIMENSIONS_CSV, Experiment


def test_the_answer_is_made_of_the_tables_numbers(study: Experiment) -> None:
    """Truth: factors.csv, groups.csv and forecast.csv, rounded by hand in the formats below."""
    ranking, groups, forecast = summarise(study).answer
    first = study.factors.iloc[0]
    assert f"for {100 * first['share']:.0f} % of the total importance of 46 factors" in ranking
    low, high = 100 * first["share_low"], 100 * first["share_high"]
    assert f"(95 % interval {low:.0f} to {high:.0f} %) and has rank 1 to 2 of 46 (95 %" in ranking
    above = int(study.factors["above_null"].sum())
    assert f"Of the 46 factors, {above} are distinguishable from chance" in ranking
    assert "(at a false discovery rate of 5 %)" in ranking
    assert f"{100 * study.groups.iloc[0]['share']:.0f} % of the total importance" in groups
    total = study.forecast["predicted"].sum()
    top = study.forecast.sort_values("predicted").iloc[-1]
    assert f"For 2022, the forecast is {total:,.0f} co-authored works over the 58 pairs" in forecast
    assert f"{top['predicted']:,.0f} works (90 % interval {top['lower']:,.0f} to " in forecast
    change = total / study.forecast["last_observed"].sum() - 1
    assert f"{100 * change:.1f} % more than" in forecast


def test_the_question_says_which_pairs_it_is_about() -> None:
    """By hand: 66 of 7,636 pairs; where the focus is all pairs, there is nothing to set apart."""
    part = asked({}, {"pairs": 7636, "focus_pairs": 66}, simulated=False, forecast=False)
    assert part.endswith("? The panel holds 7,636 pairs, of which 66 are the focus pairs that the "
                         "question is about.")  # fmt: skip
    whole = asked({}, {"pairs": 66, "focus_pairs": 66}, simulated=False, forecast=False)
    assert whole.endswith("? The panel holds 66 pairs.")
    assert asked({}, {}, simulated=False, forecast=False).endswith("?")


def test_a_panel_without_groups_is_not_ranked_twice(study: Experiment) -> None:
    """By hand: each of 46 factors in a group of its own name, as without panel.groups."""
    alone = study.factors.assign(group=study.factors["factor"])
    config = {**study.config, "panel": {"path": "p.csv"}}
    panel = dataclasses.replace(study, config=config, factors=alone, groups=alone)
    s = summarise(panel)
    assert not s.groups and "panel.groups" in s.absent["groups"]
    assert not any("By group" in sentence for sentence in s.answer)
    for one, legends in ((panel, 0), (study, 1)):
        section = render_report(one).split('<section id="factors-ranking">')[1].split("<h3")[0]
        assert section.count('class="legend"') == legends
    few = alone.head(3)
    assert summarise(dataclasses.replace(panel, groups=few)).groups


def test_pairs_of_an_institution_are_named_by_their_partner(study: Experiment) -> None:
    """A long name in front of every partner left "University of North Carolin…" in all charts."""
    name = "University of North Carolina at Chapel Hill"
    ranking = {
        "apart": [["CHN", "PRK"]],
        "spells": [{"pair": ["CHN", "NPL"], "years": [2009, 2010]}],
    }
    s = summarise(
        dataclasses.replace(
            study,
            coverage={
                **study.coverage,
                "institution": {"code": "CHN", "name": name, "country": "CHN"},
            },
            metrics={**study.metrics, "ranking": ranking},
        )
    )
    labels = [*(f.label for f in s.forecasts), *(b.label for b in s.beyond)]
    assert "Pakistan" in labels and not any(name in label for label in labels)
    assert f"The largest partner is {s.forecasts[0].label} with" in s.answer[-1]
    trust = " ".join(s.trust)
    assert (
        "North Korea has no works where" in trust and "Nepal (2009 to 2010) has no works" in trust
    )
    assert "–North Korea" not in trust and "–Nepal" not in trust


def test_the_forecast_of_one_pair_is_told_once(study: Experiment) -> None:
    one = dataclasses.replace(study, forecast=study.forecast.head(1), totals=None)
    row = one.forecast.iloc[0]
    sentence = summarise(one).answer[-1]
    assert f"works over the pair (90 % interval {row['lower']:,.0f} to " in sentence
    assert sentence.count("interval") == 1 and "largest" not in sentence


def test_last_counts_of_several_years_are_not_told_as_of_one(study: Experiment) -> None:
    """A pair of own counts may lack the last year, and the first in the table may be that pair."""
    table = study.forecast.copy()
    first = table["predicted"].idxmax()
    table.loc[first, "last_year"] = 2019
    s = summarise(dataclasses.replace(study, forecast=table))
    total = f"{table['last_observed'].sum():,.0f}"
    assert f"than the {total} last counted, 2019 to 2021 by pair" in s.answer[2]
    assert "<th>last count</th>" in forecast_card(s) and "count 2019" not in forecast_card(s)
    assert f"than the {total} counted in 2021" in summarise(study).answer[2]
    assert "<th>count 2021</th>" in forecast_card(summarise(study))


def test_one_earlier_year_is_no_average(study: Experiment) -> None:
    last = study.backtest[study.backtest["year"] == study.backtest["year"].max()]
    observed, predicted = last["observed"].sum(), last["predicted"].sum()
    sentence = summarise(dataclasses.replace(study, backtest=last)).answer[2]
    missed = f"{100 * abs(predicted / observed - 1):.1f} %"
    assert "In the one earlier year tested, the out-of-sample forecast of this total" in sentence
    assert f" was off by {missed}." in sentence


def test_the_interval_of_the_skill_keeps_its_level(study: Experiment) -> None:
    """Truth: quantiles 0.05 and 0.95 over origins, whatever the level of the forecast's own."""
    half = {**study.metrics, "forecast": {**study.metrics["forecast"], "level": 0.5}}
    s = summarise(dataclasses.replace(study, metrics=half, forecast=None))
    skill = half["forecast"]["skill"]["focus"]
    bounds = f"{100 * skill['low']:.1f} % to {100 * skill['high']:.1f} %".replace("-", "−")
    assert f"(90 % interval {bounds})" in s.trust[0]
    assert "(nominal 50 %)" in s.trust[1]


def test_past_misses_of_the_total_are_those_of_the_backtest(study: Experiment) -> None:
    """Truth: sums over backtest.csv, computed here with pandas."""
    s = summarise(study)
    sums = study.backtest.groupby("year")[["observed", "predicted"]].sum()
    expected = (sums["predicted"] / sums["observed"] - 1).abs()
    pairs = {(f.a, f.b) for f in s.forecasts}
    np.testing.assert_allclose(total_misses(s.past, pairs), expected)
    assert f"Over {len(expected)} earlier years" in s.answer[2]
    assert f"{100 * expected.mean():.1f} % on average" in s.answer[2]


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.01, 0.09, "won", "better than the baseline"),
        (-0.09, -0.01, "lost", "worse than the baseline"),
        (-0.03, 0.05, "undecided", "a difference not distinguishable from zero"),
        (None, None, "undecided", "no interval was computed, so no verdict"),
    ],
)
def test_the_verdict_follows_the_interval(
    study: Experiment, low: float | None, high: float | None, verdict: str, words: str
) -> None:
    """Truth: by definition; won only when the whole interval is above zero."""
    value = -0.05 if verdict == "lost" else 0.05
    metrics = {**study.metrics, "forecast": dict(study.metrics["forecast"])}
    against = metrics["forecast"]["skill"]["focus"]["against"]
    metrics["forecast"]["skill"] = {
        "focus": {"against": against, "value": value, "low": low, "high": high}
    }
    s = summarise(dataclasses.replace(study, metrics=metrics))
    assert s.errors[0].verdict == verdict
    assert words in s.trust[0]
    side = "5.0 % more error" if value < 0 else "5.0 % less error"
    assert side in s.trust[0]
    # The lead says the same, of the focus set and of all pairs alone.
    (lead,) = [t for t in s.outlook.lead if t.startswith(f"For {s.errors[0].label}, ")]
    # More error is told with bounds of more error, not with negative ones of less.
    bounds = {"lost": "1.0 % to 9.0 %", "undecided": "−3.0 % to 5.0 %", "won": "1.0 % to 9.0 %"}
    assert low is None or (bounds[verdict] in s.trust[0] and bounds[verdict] in lead)
    told = {"won": "the forecast beats the best baseline", "lost": f"beats the forecast: {side}"}
    assert told.get(verdict, side) in lead
    # Without an interval nothing was tested, which is less than no difference found.
    untested = low is None
    for text in (lead, Page(render_report(dataclasses.replace(study, metrics=metrics))).text):
        assert ("not distinguishable from the best" in text) == (
            verdict == "undecided" and not untested
        )
    assert ("no interval was computed, so no verdict" in lead) == untested


def test_a_rule_that_was_exactly_right_wins_and_is_told_so(study: Experiment) -> None:
    metrics = {**study.metrics, "forecast": dict(study.metrics["forecast"])}
    sets, against = metrics["forecast"]["sets"], metrics["forecast"]["skill"]["focus"]["against"]
    right = {**sets["focus"], against: {"wape": 0.0}}
    metrics["forecast"]["sets"] = {**sets, "focus": right}
    none = dict.fromkeys(("value", "low", "high"))
    metrics["forecast"]["skill"] = {"focus": {"against": against, **none}}
    s = summarise(dataclasses.replace(study, metrics=metrics))
    assert s.errors[0].verdict == "lost"
    assert "that baseline: no forecast can do better, as it was exactly right." in s.trust[0]


def test_the_best_rule_is_the_best_in_hindsight(study: Experiment) -> None:
    """Truth: the least mean error in metrics.json on that set."""
    s = summarise(study)
    for part in s.errors:
        stated = study.metrics["forecast"]["sets"][part.key]
        rivals = {m: v["wape"] for m, v in stated.items() if m != "model"}
        assert part.best == min(rivals, key=lambda m: rivals[m])


def test_planted_factors_without_effect_that_were_taken_for_drivers_are_counted(
    simulated_study: Experiment,
) -> None:
    """Truth: by hand. Three idle factors, of which the ranking claims the first alone."""
    table = simulated_study.factors
    idle = [
        *table.loc[table["above_null"], "factor"][:1],
        *table.loc[~table["above_null"], "factor"][:2],
    ]
    planted = [
        *(p for p in simulated_study.coverage["planted"] if p["factor"] not in idle),
        *({"factor": f, "rank": 13, "importance": 0.0} for f in idle),
    ]
    coverage = {**simulated_study.coverage, "planted": planted}
    s = summarise(dataclasses.replace(simulated_study, coverage=coverage))
    assert "1 of 3 factors without any effect were taken for drivers" in s.trust[0]


def test_tau_with_itself_is_one(simulated_study: Experiment) -> None:
    """Truth: an invariant; the recovered order planted as the truth agrees perfectly."""
    table = simulated_study.factors
    planted = [
        {"factor": f, "rank": int(r), "importance": float(s)}
        for f, r, s in zip(table["factor"], table["rank"], table["share"], strict=True)
    ]
    coverage = {**simulated_study.coverage, "planted": planted}
    s = summarise(dataclasses.replace(simulated_study, coverage=coverage))
    assert s.planted_tau == pytest.approx(1)
    assert f"{len(planted)} of {len(planted)} true drivers" in s.trust[0]


def test_inputs_are_not_changed(study: Experiment) -> None:
    before = study.factors.copy(), study.forecast.copy(), repr(study.metrics)
    summarise(study)
    assert before[0].equals(study.factors) and before[1].equals(study.forecast)
    assert before[2] == repr(study.metrics)


def test_a_table_without_its_columns_is_refused(study: Experiment) -> None:
    spoilt = dataclasses.replace(study, factors=study.factors.drop(columns=["tier", "share_low"]))
    with pytest.raises(DataError, match="factors.csv: no column tier, share_low; run the study"):
        summarise(spoilt)


@pytest.mark.parametrize("level", ["high", 95.0, None])
def test_a_damaged_level_is_not_taken_for_the_default(study: Experiment, level: object) -> None:
    """Truth: config.yaml is that of the run, so a level that no run takes was changed since."""
    spoilt = dataclasses.replace(study, config={**study.config, "explain": {"level": level}})
    for read in (summarise, lambda e: compare([e, dataclasses.replace(e, name="two")])):
        with pytest.raises(DataError, match="config.yaml, explain.level: .* is no number between"):
            read(spoilt)


def test_why_nothing_was_forecast_stands_where_the_forecast_would(study: Experiment) -> None:
    """Truth: the run's warning; nothing is off, and another run would not bring the table."""
    why = "No backtest and no forecast: intervals are made for whole counts, and 2.5 is none."
    without = dataclasses.replace(
        study,
        forecast=None,
        backtest=None,
        metrics={k: v for k, v in study.metrics.items() if k != "forecast"},
        coverage={**study.coverage, "warnings": ["Another one.", why]},
    )
    absent = summarise(without).absent
    assert absent["forecasts"] == absent["errors"] == absent["calibration"] == why
    # without such a warning the table may have been left out of a clone
    lost = summarise(dataclasses.replace(without, coverage=study.coverage)).absent
    assert "a fresh clone lacks it" in lost["forecasts"]


def test_only_the_focus_set_is_reported(study: Experiment) -> None:
    """Truth: by hand; forecast.csv and backtest.csv hold pairs trained on beside the focus set."""
    other = study.forecast.head(7).assign(country_a="FRA", in_focus=False)
    both = [study.forecast.assign(in_focus=True), other]
    spoilt = dataclasses.replace(study, forecast=pd.concat(both), factors=None, groups=None)
    s = summarise(spoilt)
    assert len(s.forecasts) == 58 and "over the 58 pairs" in s.answer[0]
    past = study.backtest.assign(in_focus=study.backtest["country_a"] != "ALB")
    held = summarise(dataclasses.replace(spoilt, forecast=None, backtest=past)).past
    assert len(held) == 57 and ("ALB", "CHN") not in held


def test_how_many_may_stand_before_the_first(study: Experiment) -> None:
    """Truth: a rank set of 1 to 4 leaves three others that the data do not put below the first."""
    for high, words in (
        (4, "up to 3 other factors could"),
        (2, "one other factor could"),
        (1, "its first place is established (95 % confidence)"),
    ):
        factors = study.factors.assign(rank_high=study.factors["rank_high"].clip(lower=high))
        factors.loc[0, "rank_high"] = high
        assert words in summarise(dataclasses.replace(study, factors=factors)).answer[0]


def test_where_all_years_held_alike_none_was_the_worst() -> None:
    held = Calibration("focus", "focus pairs", 0.9, 1.0, 0.5, {2019: 1.0, 2020: 1.0})
    words = "covered 100 % of the counts of focus pairs (nominal 90 %), the same in every year."
    assert calibration_sentence([held]).endswith(words)
    worse = dataclasses.replace(held, by_year={2019: 1.0, 2020: 0.8})
    assert "and 80 % in the worst year, 2020" in calibration_sentence([worse])


def test_dimensions_are_told_with_their_intervals(study: Experiment) -> None:
    """By hand: the first may be second, the last is not told from chance."""
    rows = [
        ("market_environment", 1, 1, 2, 1, 0.5, 0.4, 0.6, True),
        ("research_strength", 2, 1, 2, 1, 0.3, 0.2, 0.4, True),
        ("external_environment", 3, 3, 3, 2, 0.2, 0.0, 0.3, False),
    ]
    table = pd.DataFrame(rows, columns=[*DIMENSIONS_CSV, "above_null"])
    told = dataclasses.replace(study, dimensions=table)
    assert summarise(told).answer[1] == (
        "By dimension, market environment ranks first (50 % of the total importance, 95 % interval "
        "40 to 60 %): one other dimension could rank above it, most likely research strength. "
        "Next in order: research strength (30 %, 20 to 40 %) and external environment (20 %, "
        "0.0 to 30 %). Not distinguishable from chance as a whole: external environment."
    )
    page = Page(render_report(told))
    shown = page.tables["dimensions"]
    assert shown.column("dimension") == [row[0] for row in rows]
    assert [float(v) for v in shown.column("share")] == [0.5, 0.3, 0.2]
    assert any("3 rows; first is Market environment with 50 %" in i for i in page.images)


def test_own_groups_are_named_as_given(study: Experiment) -> None:
    first, second, third = study.groups["group"].head(3)
    own = {first: "Asia", second: "ties_of_old"}
    groups = study.groups.replace({"group": own})
    answer = summarise(dataclasses.replace(study, groups=groups)).answer[1]
    assert answer.startswith("By group, Asia ranks first")
    assert "Next in order: ties of old (" in answer
    told = summarise(study).answer[1]
    assert told.startswith("By group, ") and told[10:].split(" ")[0].islower()


def test_the_ends_of_a_ready_panel_may_be_no_countries(study: Experiment) -> None:
    metrics = {**study.metrics, "ranking": {"unit": "country"}}
    panel = {**study.config, "panel": {"path": "own.csv"}}
    towns = {**study.coverage, "countries": ["Oslo", "Bergen"]}

    def said(**given: object) -> str:
        s = summarise(dataclasses.replace(study, metrics=metrics, **given))
        return next(text for text in s.trust if "refits on resampled" in text)

    assert "refits on resampled countries" in said()
    assert "refits on resampled countries" in said(config=panel)  # its ends are ISO codes
    assert "refits on resampled ends of pairs" in said(config=panel, coverage=towns)


def test_losses_of_two_models_are_not_mixed(study: Experiment) -> None:
    """Truth: trials.csv, by hand: factor 1/3 to 1/31, forecast 1/4 to 1/32."""
    factor, forecast = summarise(study).tuning
    assert (factor.model, factor.trials, factor.first, factor.best) == ("factor", 15, 1 / 3, 1 / 31)
    assert (forecast.first, forecast.best) == (1 / 4, 1 / 32)


def test_the_hill_shows_where_rows_lie(study: Experiment) -> None:
    """Truth: by hand. Bins of a tenth of the rows each: twice as near is twice as thick."""
    effects = pd.DataFrame({"factor": "gdp_partner", "value": [0.0, 1, 2, 4, 6], "density": 0.1})
    effects = effects.assign(effect=20.0, low=-5.0, high=50.0)  # percent
    curve = summarise(dataclasses.replace(study, effects=effects)).curves[0]
    assert curve.density == pytest.approx((1, 1, 2 / 3, 1 / 2, 1 / 2))
    assert curve.unit == "log USD of 2015"
    assert (curve.low[0], curve.effect[0], curve.high[0]) == (-0.05, 0.2, 0.5)
    own = {**study.config, "panel": {"path": "own.csv"}}
    beside = dataclasses.replace(study, effects=effects, config=own)
    assert summarise(beside).curves[0].unit == "", "a user's column of that name may be anything"


def test_factors_taken_in_logs_are_named_where_they_stand_above_chance(study: Experiment) -> None:
    factors = study.factors.copy()
    factors["above_null"] = factors["rank"] == 1
    first, second = factors.sort_values("rank")["factor"].iloc[:2]
    metrics = {**study.metrics, "ranking": {"scales": {first: "log", second: "log"}}}
    beside = dataclasses.replace(study, factors=factors, metrics=metrics)
    (said,) = [t for t in summarise(beside).trust if "in logs" in t]
    assert said.startswith("Values of ") and " and enter the model in logs" in said
    assert not [t for t in summarise(study).trust if "in logs" in t]
    only_second = {**metrics, "ranking": {"scales": {second: "log"}}}
    none = summarise(dataclasses.replace(beside, metrics=only_second))
    assert not [t for t in none.trust if "in logs" in t]


def test_factors_of_years_are_said_to_have_as_many_numbers_as_years(study: Experiment) -> None:
    first = study.factors.sort_values("rank")["factor"].iloc[0]
    metrics = {**study.metrics, "ranking": {"of_years": {first: 14}}}
    beside = summarise(dataclasses.replace(study, metrics=metrics))
    (said,) = [t for t in beside.trust if "hardly between pairs" in t]
    assert "The evidence on them is 14 years" in said
    assert not [t for t in summarise(study).trust if "hardly between pairs" in t]


def test_groups_of_a_study_without_a_focal_country_are_told_apart(study: Experiment) -> None:
    """Countries' own figures and the pair's gaps of one group have a row each in groups.csv."""
    first = study.groups["group"].iloc[0]
    rows = study.groups.head(2).assign(group=first, role=["both", "pair"])
    labels = [g.label for g in summarise(dataclasses.replace(study, groups=rows)).groups]
    assert labels[0] == f"{labels[1]} (either country)"


def test_a_group_in_a_list_of_partners_is_named_as_alone() -> None:
    """A list may mix groups and countries; plans spell them as keys and codes."""
    listed = about({"focus": {"focal": "FRA", "partners": ["africa"]}})
    assert listed == about({"focus": {"focal": "FRA", "partners": "africa"}})
    assert "the EU countries and Chile" in about({"focus": {"partners": ["eu", "CHL"]}})


def test_a_focus_of_all_pairs_is_told_of_once(study: Experiment) -> None:
    """By construction: what is measured of the focus set is what is measured of all pairs."""
    metrics = json.loads(json.dumps(study.metrics))
    assert [e.key for e in summarise(study).errors][:2] == ["focus", "all"]
    forecast = metrics["forecast"]
    for key in ("sets", "skill", "coverage"):
        forecast[key]["all"] = forecast[key]["focus"]
    for row in list(forecast["by_year"]):
        if row["set"] == "all":
            forecast["by_year"].remove(row)
    forecast["by_year"] += [{**r, "set": "all"} for r in forecast["by_year"] if r["set"] == "focus"]
    told = summarise(dataclasses.replace(study, metrics=metrics))
    assert "all" not in [e.key for e in told.errors] + [c.key for c in told.calibration]
    assert told.errors[0].key == "focus" == told.calibration[0].key
