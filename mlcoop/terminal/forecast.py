"""Forecast tables on stdout: totals, surprises, scenarios, and scores against later counts."""

from __future__ import annotations

import pandas as pd

from mlcoop.errors import counted
from mlcoop.forecast.hindsight import Hindsight, worst_pairs
from mlcoop.report.institution import named, with_name
from mlcoop.report.names import (
    from_percent,
    method_name,
    number,
    pair_name,
    percent,
    set_name,
    span,
    total_name,
)
from mlcoop.report.numbers.outlook import totals_once
from mlcoop.scenario.model import Outcome
from mlcoop.schema import BASELINES, Experiment
from mlcoop.terminal.tables import print_table

LARGEST = 15


def print_totals(experiment: Experiment, totals: pd.DataFrame) -> None:
    """Print the totals with their intervals, the focus set and all pairs first."""
    totals = totals_once(with_name(totals, experiment, ["total"]))
    level = percent(float(totals["level"].iloc[0]))
    first = totals["total"].isin(["focus", "all"])
    by = ["year", "predicted"]
    rest = totals[~first].sort_values(by, ascending=[True, False], kind="stable")
    shown = pd.concat([totals[first], rest])
    rows = [
        [total_name(str(r["total"])), str(r["year"]), number(r["predicted"]),
         span(r["lower"], r["upper"], joint="–")]
        for r in shown.to_dict("records")
    ]  # fmt: skip
    heads = ["total", "year", "forecast", f"{level} interval"]
    print_table(pd.DataFrame(rows, columns=heads), "\nTotals over pairs", {*heads[1:]})
    print(
        "Each total is the sum of its pairs' forecasts. Its interval is simulated jointly, because "
        "forecast errors are correlated across pairs. It exceeds the sum of the pairs' bounds only "
        "where Poisson variation does."
    )


def print_surprises(experiment: Experiment) -> None:
    """Print the focus pairs (all pairs, without a narrower focus) with an unexpected count."""
    experiment = named(experiment)
    table = experiment.surprises
    assert table is not None
    focal = (experiment.config.get("focus") or {}).get("focal")
    chosen = table[table["in_focus"].astype(bool)] if "in_focus" in table else table
    if chosen.empty:
        # The last year is not among them where the year before it has no counts.
        tested = experiment.backtest
        of = "" if tested is None or tested.empty else f" of {tested['year'].max()}"
        print(f"No focus pair's count{of} fell outside its interval.")
        return
    rows = [
        [
            pair_name(str(r["country_a"]), str(r["country_b"]), focal),
            str(r["year"]),
            number(r["observed"]),
            span(r["lower"], r["upper"], joint="–"),
            percent(from_percent(r["change_pct"]), signed=True),
            percent(from_percent(r["expected_change_pct"]), signed=True),
            percent(from_percent(r["shared_change_pct"]), signed=True),
            "" if pd.isna(r.get("factors")) else str(r.get("factors") or ""),
        ]
        for r in chosen.head(2 * LARGEST).to_dict("records")
    ]
    heads = ["pair", "year", "count", "interval", "change", "expected", "of which common to all",
             "factors most associated with its level"]  # fmt: skip
    title = f"\n{counted(len(chosen), 'focus pair')} outside the interval, furthest first"
    print_table(pd.DataFrame(rows, columns=heads), title, {*heads[1:-1]})
    print(
        "By design some counts fall outside their interval, one in ten at 90 %, so not every one "
        "has a cause. The level of a pair is associated with its factors (association, not "
        "effect). The expected change comes from past counts: growth common to all pairs, growth "
        "of the pair, and growth of its two countries."
    )


def print_scenario(experiment: Experiment, outcome: Outcome) -> None:
    """Print the pairs that a scenario moves, their total, and the limits of interpretation."""
    focal = (named(experiment).config.get("focus") or {}).get("focal")
    table = with_name(outcome.table, experiment)
    level = percent(float(table["level"].iloc[0]))
    rows = [
        [
            pair_name(str(r["country_a"]), str(r["country_b"]), focal),
            str(r["year"]),
            number(r["predicted"]),
            number(r["scenario"]),
            span(r["scenario_lower"], r["scenario_upper"], joint="–"),
            _signed(r["difference"]),
            f"{_signed(r['difference_lower'])} to {_signed(r['difference_upper'])}",
            percent(r["difference_pct"] / 100, 1, signed=True),
        ]
        for r in table.head(2 * LARGEST).to_dict("records")
    ]
    heads = ["pair", "year", "forecast", "scenario", f"{level} interval", "difference",
             f"{level} interval of difference", "in per cent"]  # fmt: skip
    more = len(table) - len(rows)
    size = f"{len(table)} pairs and years" if len(table) > 1 else "one pair and year"
    words = f"{outcome.title}: {size}" + (f", the {len(rows)} largest differences" if more else "")
    print_table(pd.DataFrame(rows, columns=heads), f"\n{words}", {*heads[1:]})
    for r in outcome.totals.to_dict("records"):
        print(
            f"Total in {int(r['year'])}: {_signed(r['difference'])} works relative to a forecast "
            f"of {number(r['predicted'])} ({level} interval {_signed(r['difference_lower'])} to "
            f"{_signed(r['difference_upper'])})."
        )
    for warning in outcome.warnings:
        print(f"Warning: {warning}.")
    print(outcome.note)


def print_hindsight(experiment: Experiment, found: Hindsight) -> None:
    """Print how accurate a forecast was: by set and year, against every baseline, by pair."""
    focal = (named(experiment).config.get("focus") or {}).get("focal")
    for r in found.scores.to_dict("records"):
        best = r["best_rule"]
        against = ""
        if best is not None:
            against = f"; best baseline (chosen in hindsight), {method_name(best)}, "
            if r["best_rule_wape"] > 0:
                skill = 1 - r["wape"] / r["best_rule_wape"]
                against += f"{percent(r['best_rule_wape'], 1)}: the forecast has "
                against += f"{percent(abs(skill), 1)} {'less' if skill >= 0 else 'more'} error"
            else:
                against += "had no error"
        print(
            f"{int(r['year'])}, {set_name(r['set'])} ({counted(r['pairs'], 'pair')}): forecast "
            f"error (WAPE) {percent(r['wape'], 1)} of works{against}. Intervals covered "
            f"{percent(r['coverage'])} of counts (nominal {percent(r['level'])})."
        )
    methods = [c for c in found.scores.columns if c in BASELINES]
    table = pd.DataFrame(
        [
            [method_name(m), *(percent(r[m], 1) for r in found.scores.to_dict("records"))]
            for m in ["wape", *methods]
        ],
        columns=["error (WAPE)", *(f"{s}, {y}" for s, y in zip(
            found.scores["set"].map(set_name), found.scores["year"], strict=True))],
    )  # fmt: skip
    table.iloc[0, 0] = method_name("model")
    print_table(table, "\nForecast and baselines", set(table.columns[1:]))
    worst = with_name(worst_pairs(found, LARGEST), experiment)
    rows = [
        [
            pair_name(str(r["country_a"]), str(r["country_b"]), focal),
            str(r["year"]),
            number(r["observed"]),
            number(r["predicted"]),
            span(r["lower"], r["upper"], joint="–"),
            _signed(r["miss"]),
        ]
        for r in worst.to_dict("records")
    ]
    heads = ["pair", "year", "count", "forecast", "interval", "count minus forecast"]
    print_table(pd.DataFrame(rows, columns=heads), "\nLargest errors", {*heads[1:]})
    if found.unobserved:
        print(
            f"{number(found.unobserved)} forecast pairs have no observed count. They are not "
            "scored, and not treated as zero."
        )
    if found.not_forecast:
        print(
            f"Not scored: {counted(found.not_forecast, 'count')} of pairs that were not forecast."
        )


def _signed(value: float) -> str:
    """Return a whole number with its sign; the minus is a true one, as everywhere.

    >>> _signed(-3.2), _signed(12.0), _signed(0.2)
    ('−3', '+12', '0')
    """
    rounded = round(value)
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{number(abs(rounded))}"
