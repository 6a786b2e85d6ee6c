"""A finished study on the terminal: the answer, its tables, and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from mlcoop.report.names import (
    first_of,
    last_count_head,
    method_name,
    number,
    percent,
    small_percent,
    span,
)
from mlcoop.report.numbers.content import Ranked, Summary
from mlcoop.report.numbers.content_forecast import SetErrors
from mlcoop.report.sections.beyond import beyond_sentences
from mlcoop.report.sentences.study import skill_sentence, skill_words
from mlcoop.report.summary import summarise
from mlcoop.schema import Experiment
from mlcoop.terminal.tables import say, stdout, text_table

TOP = 15
LARGEST = 10


def print_experiment(experiment: Experiment) -> None:
    """Print a finished study: ranking, forecasts, skill, and where its page lies."""
    s = summarise(experiment)
    console = stdout()
    say(console, f"{s.title}{' (simulated)' if s.simulated else ''}", "bold")
    for text in s.answer:
        say(console, text)
    if s.planted:
        console.print(_planted(s))
    if s.factors:
        console.print(_ranking(s))
    if s.dimensions:
        console.print(_sides(s, s.dimensions, "dimension", "Dimensions"))
    if s.groups:
        console.print(_sides(s, s.groups, "group", "Groups of factors"))
    if s.beyond:
        say(console, _titled(s, "Observed vs expected works"), "bold")
        for text in beyond_sentences(s.beyond, s.rank_level, s.neighbours):
            say(console, text)
    if s.forecasts:
        console.print(_forecasts(s, LARGEST))
    for part in (p for p in s.errors if p.errors):
        console.print(_skill(part, s))
        say(console, f"Against the best baseline: {skill_words(part)}.")
    say(console, "\nHow far to trust it", "bold")
    for text in s.trust:
        say(console, f"- {text}")
    say(console, f"Report: {experiment.folder}/report.html")


def print_forecast(experiment: Experiment) -> None:
    """Print every forecast of a study, largest first."""
    s = summarise(experiment)
    console = stdout()
    console.print(_forecasts(s, len(s.forecasts)))
    for part in s.errors[:1]:
        say(console, skill_sentence(part))


def print_list(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the experiments and their headline results."""
    body = []
    for row in rows:
        years = row.get("years") or []
        against = method_name(row["against"]) if row.get("against") else "–"
        body.append(
            [
                str(row["name"]) + (" (simulated)" if row.get("simulated") else ""),
                "–".join(str(y) for y in years) or "–",
                number(row.get("focus_pairs")),
                str(row.get("top_factor_label") or _no_first(row)),
                percent(row.get("skill"), 1, signed=True),
                against,
                str(row.get("finished") or "–")[:16],
            ]
        )
    heads = ["experiment", "years", "focus pairs", "top factor", "skill", "baseline", "finished"]
    stdout().print(text_table(None, heads, body, right={"focus pairs", "skill"}))


def _no_first(row: Mapping[str, Any]) -> str:
    return "not ranked: too few pairs" if row.get("not_ranked") else "–"


def _titled(s: Summary, words: str) -> str:
    return f"\n{words}{' (simulated)' if s.simulated else ''}"


def _ranking(s: Summary) -> Table:
    rows = [
        [
            str(f.rank),
            f.label,
            f.group,
            str(f.tier),
            span(f.rank_low, f.rank_high, joint="–"),
            small_percent(f.share),
            span(f.share_low, f.share_high, small_percent, joint="–"),
            percent(f.effect, signed=True),
            "" if f.above_null else "not above the null line",
        ]
        for f in s.factors[:TOP]
    ]
    at = percent(s.rank_level)
    heads = [
        "rank",
        "factor",
        "group",
        "tier",
        f"confidence set ({at})",
        "share",
        f"interval ({at})",
    ]
    heads += ["works, P10 to P90", ""]
    more = len(s.factors) - len(rows)
    words = f"Factors{f', the first {len(rows)} of {len(s.factors)}' if more else ''}"
    return text_table(_titled(s, words), heads, rows, right=set(heads) - {"factor", "group", ""})


def _sides(s: Summary, ranked: Sequence[Ranked], head: str, title: str) -> Table:
    rows = [
        [
            str(g.rank),
            g.label,
            str(g.tier),
            span(g.rank_low, g.rank_high, joint="–"),
            small_percent(g.share),
            span(g.share_low, g.share_high, small_percent, joint="–"),
        ]
        for g in ranked
    ]
    at = percent(s.rank_level)
    heads = ["rank", head, "tier", f"confidence set ({at})", "share", f"interval ({at})"]
    return text_table(_titled(s, title), heads, rows, right=set(heads) - {head})


def _planted(s: Summary) -> Table:
    rows = [
        [
            str(p.rank),
            p.label,
            number(p.importance, 3),
            number(p.recovered),
            "–" if p.low is None else span(p.low, p.high, joint="–"),
        ]
        for p in s.planted
        if p.importance is None or p.importance > 0
    ]
    heads = [
        "planted",
        "factor",
        "importance",
        "recovered",
        f"confidence set ({percent(s.rank_level)})",
    ]
    title = _titled(s, "Planted order and recovered order")
    return text_table(title, heads, rows, right=set(heads) - {"factor"})


def _forecasts(s: Summary, most: int) -> Table:
    shown = s.forecasts[:most]
    rows = [
        [
            f.label,
            str(f.year),
            number(f.last_observed),
            number(f.predicted),
            span(f.lower, f.upper, joint="–"),
            percent(f.change, signed=True),
        ]
        for f in shown
    ]
    first = s.forecasts[0]
    heads = ["pair", "year", last_count_head(f.last_year for f in s.forecasts), "forecast"]
    heads += [f"{percent(first.level)} interval", "change"]
    more = len(s.forecasts) > len(shown)
    words = f"Forecasts{f', {first_of([f.year for f in s.forecasts], len(shown))}' if more else ''}"
    return text_table(_titled(s, words), heads, rows, right=set(heads) - {"pair"})


def _skill(part: SetErrors, s: Summary) -> Table:
    ours = part.errors.get("model")
    rows = []
    for method in sorted(part.errors, key=lambda m: (m != "model", part.errors[m])):
        error = part.errors[method]
        skill = "" if method == "model" or not ours or not error else 1 - ours / error
        words = percent(skill, 1, signed=True) if skill != "" else ""
        rows.append([method_name(method), percent(error, 1), words])
    heads = ["method", "error (WAPE)", "skill of mlcoop over it"]
    years = len(part.by_year)
    over = f", mean over {years} years" if years > 1 else ""
    title = _titled(s, f"Error one year ahead, {part.label}{over}")
    return text_table(title, heads, rows, right=set(heads[1:]))
