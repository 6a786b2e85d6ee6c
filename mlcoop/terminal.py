"""Tables on stdout: aligned and uncoloured when piped, nothing cut off."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlcoop.comparison import Comparison
from mlcoop.power import Power
from mlcoop.report import sentences
from mlcoop.report.content import SetErrors, Summary
from mlcoop.report.names import (
    base_group,
    country_name,
    method_name,
    number,
    percent,
    small_percent,
    span,
)
from mlcoop.report.summary import summarise
from mlcoop.schema import Experiment

TOP = 15
LARGEST = 10
BESIDE = 6  # experiments whose ranks still fit beside each other
MEASURES = {
    "tau_b": "Kendall’s tau-b",
    "weighted_tau": "weighted tau",
    "rbo": "rank-biased overlap",
}
PIPED = 400  # columns: wide enough that a piped table is never folded


def print_experiment(experiment: Experiment) -> None:
    """Print a finished study: ranking, forecasts, skill, and where its page lies."""
    s = summarise(experiment)
    console = _console()
    _say(console, f"{s.title}{' (simulated)' if s.simulated else ''}", "bold")
    for text in s.answer:
        _say(console, text)
    if s.planted:
        console.print(_planted(s))
    if s.factors:
        console.print(_ranking(s))
    if s.groups:
        console.print(_groups(s))
    if s.forecasts:
        console.print(_forecasts(s, LARGEST))
    for part in s.errors:
        console.print(_skill(part, s))
        _say(console, f"Against the best of them: {sentences.skill_words(part)}.")
    _say(console, "\nHow far to trust it", "bold")
    for text in s.trust:
        _say(console, f"- {text}")
    _say(console, f"Report: {experiment.folder}/report.html")


def print_forecast(experiment: Experiment) -> None:
    """Print every forecast of a study, largest first."""
    s = summarise(experiment)
    console = _console()
    console.print(_forecasts(s, len(s.forecasts)))
    for part in s.errors[:1]:
        _say(console, sentences.skill_sentence(part, _level(s)))


def print_power(power: Power) -> None:
    """Print what a study of some size could tell."""
    console = _console()
    size, assumed = power.size, power.surroundings
    _say(
        console,
        f"A study of {number(size['focus_pairs'])} focus pairs "
        f"({number(size['training_pairs'])} trained on), {size['years']} years and "
        f"{size['factors']} factors; {size['worlds']} planted worlds",
        "bold",
    )
    _say(
        console,
        f"Taken for granted: {number(assumed.mean_works, 1)} works in an average pair and year, "
        f"lasting effects of their own with s.d. {assumed.pair_noise:g} of pairs and "
        f"{assumed.country_noise:g} of countries, dispersion {assumed.dispersion:g}; log-linear "
        "effects.",
    )
    rows = []
    for found, order in zip(
        power.found.to_dict("records"), power.order.to_dict("records"), strict=True
    ):
        chances = [
            f"{percent(r['probability'])} ({span(r['low'], r['high'], percent)})"
            for r in (found, order)
        ]
        rows.append([f"{found['per_sd']:g}", f"{found['percent']:+.0f} %", *chances])
    headings = ["log works per s.d.", "collaboration", "found", "order told"]
    console.print(
        _table("Chance that an effect, or a difference, of this size is told", headings, rows)
    )
    for what, smallest in (
        ("effect found", power.smallest_found),
        ("difference of two factors told", power.smallest_order),
    ):
        size_ = (
            "beyond all sizes drawn"
            if smallest is None
            else f"{smallest:.2f} log works per s.d. ({100 * math.expm1(smallest):+.0f} %)"
        )
        _say(console, f"Smallest {what} in 80 % of studies: {size_}.")
    _say(
        console,
        f"Of factors found, {percent(power.false_found)} had no effect; of orders told, "
        f"{percent(power.wrong_orders, 1)} were wrong.",
    )
    for note in power.notes:
        _say(console, f"- {note}")


def print_comparison(comparison: Comparison) -> None:
    """Print ranks side by side, what changed, and how far the rankings agree."""
    console = _console()
    many = len(comparison.names) > BESIDE
    for kind in comparison.ranks["kind"].unique():
        console.print((_told if many else _ranks_beside)(comparison, kind))
    if len(comparison.agreement):
        console.print((_agreement_range if many else _agreement)(comparison))
    if len(comparison.differences):
        rows = comparison.differences.astype(str).to_numpy().tolist()
        console.print(_table("What differs", comparison.differences.columns, rows))
    for note in comparison.notes:
        _say(console, f"- {note}")
    _say(
        console,
        f"A star marks a change of rank that the data tell from none, at "
        f"{percent(comparison.level)} for all names of a column together.",
    )


def print_list(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the experiments and their headline figures."""
    body = []
    for row in rows:
        years = row.get("years") or []
        against = method_name(row["against"]) if row.get("against") else "–"
        body.append(
            [
                str(row["name"]) + (" (simulated)" if row.get("simulated") else ""),
                "–".join(str(y) for y in years) or "–",
                number(row.get("focus_pairs")),
                str(row.get("top_factor") or "–"),
                percent(row.get("skill"), 1, signed=True),
                against,
                str(row.get("finished") or "–")[:16],
            ]
        )
    heads = ["experiment", "years", "focus pairs", "first factor", "skill", "against", "finished"]
    _console().print(_table(None, heads, body, right={"focus pairs", "skill"}))


def print_coverage(coverage: pd.DataFrame) -> None:
    """Print for how many countries each figure is there: a line a figure, a mark a year."""
    console = _console()
    if coverage.empty:
        _say(console, "No figures are cached; mlcoop data fetch brings a study's.")
        return
    first, last = int(coverage["year"].min()), int(coverage["year"].max())
    most = int(coverage["countries"].max())
    rows = []
    for (source, what, filters), part in coverage.groupby(["source", "what", "filters"]):
        known = dict(zip(part["year"], part["countries"], strict=True))
        marks = "".join(_mark(known.get(y, 0), most) for y in range(first, last + 1))
        few, many = part["countries"].min(), part["countries"].max()
        newest = int(part["year"].max())
        rows.append([source, what, filters, span(few, many), f"{known[newest]} in {newest}", marks])
    heads = ["source", "what", "filters", "countries", "newest year", f"{first} to {last}"]
    console.print(_table("Countries with a figure, by year", heads, rows, right={"countries"}))
    _say(console, f"A mark a year, the taller the more of {most} countries; a dot: none.")


def _mark(countries: int, most: int) -> str:
    marks = "▁▂▃▄▅▆▇█"
    return marks[(countries * len(marks) - 1) // most] if countries else "·"


def print_impact(pooled: pd.DataFrame, claim: Sequence[str]) -> None:
    """Print how many works of each country are highly cited, and what that says."""
    rows = [
        [
            country_name(r.iso3),
            number(r.international),
            small_percent(r.share_international),
            number(r.domestic),
            small_percent(r.share_domestic),
        ]
        for r in pooled.itertuples()
    ]
    heads = ["", "international works", "highly cited", "domestic works", "highly cited"]
    console = _console()
    console.print(_table("Highly cited works", heads, rows, right=set(heads[1:])))
    for text in claim:
        _say(console, text)


def print_table(
    table: pd.DataFrame, title: str | None = None, right: set[str] | None = None
) -> None:
    """Print any table; numbers to the right, and the columns named in `right`."""
    heads = [str(c) for c in table.columns]
    numeric = {str(c) for c in table.columns if pd.api.types.is_numeric_dtype(table[c])}
    rows = [[_plain(v) for v in row] for row in table.itertuples(index=False)]
    _console().print(_table(title, heads, rows, right=numeric | (right or set())))


def _console() -> Console:
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if terminal else PIPED, no_color=not terminal)


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)


def _table(
    title: str | None,
    heads: Iterable[str],
    rows: Iterable[Sequence[str]],
    right: set[str] | None = None,
) -> Table:
    """Return a table of plain text: a name in square brackets is no markup."""
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title_style="bold",
        header_style="bold",
    )
    for head in heads:
        justify = "right" if head in (right or set()) else "left"
        table.add_column(Text(str(head)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


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
            "" if f.above_null is not False else "not told from chance",
        ]
        for f in s.factors[:TOP]
    ]
    at = percent(s.rank_level)
    heads = ["rank", "factor", "group", "tier", f"ranks ({at})", "share", f"share ({at})"]
    heads += ["low to high", ""]
    more = len(s.factors) - len(rows)
    words = f"Factors{f', the first {len(rows)} of {len(s.factors)}' if more else ''}"
    return _table(_titled(s, words), heads, rows, right=set(heads) - {"factor", "group", ""})


def _groups(s: Summary) -> Table:
    rows = [
        [
            str(g.rank),
            g.label,
            str(g.tier),
            span(g.rank_low, g.rank_high, joint="–"),
            small_percent(g.share),
            span(g.share_low, g.share_high, small_percent, joint="–"),
        ]
        for g in s.groups
    ]
    at = percent(s.rank_level)
    heads = ["rank", "group", "tier", f"ranks ({at})", "share", f"share ({at})"]
    return _table(_titled(s, "Groups of factors"), heads, rows, right=set(heads) - {"group"})


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
    heads = ["planted", "factor", "importance", "recovered", f"ranks ({percent(s.rank_level)})"]
    title = _titled(s, "Planted order beside the recovered one")
    return _table(title, heads, rows, right=set(heads) - {"factor"})


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
    heads = ["pair", "year", f"count {first.last_year}", "forecast"]
    heads += [f"{percent(first.level)} interval", "change"]
    more = len(s.forecasts) > len(shown)
    words = f"Forecasts{f', the {len(shown)} largest of {len(s.forecasts)}' if more else ''}"
    return _table(_titled(s, words), heads, rows, right=set(heads) - {"pair"})


def _skill(part: SetErrors, s: Summary) -> Table:
    ours = part.errors.get("model")
    rows = []
    for method in sorted(part.errors, key=lambda m: (m != "model", part.errors[m])):
        error = part.errors[method]
        skill = "" if method == "model" or not ours or not error else 1 - ours / error
        words = percent(skill, 1, signed=True) if skill != "" else ""
        rows.append([method_name(method), percent(error, 1), words])
    heads = ["method", "error (WAPE)", "skill of mlcoop against it"]
    years = len(part.by_year)
    over = f", mean over {years} years" if years else ""
    title = _titled(s, f"Error one year ahead, {part.label}{over}")
    return _table(title, heads, rows, right=set(heads[1:]))


def _level(s: Summary) -> float | None:
    return s.calibration[0].level if s.calibration else None


def _ranks_beside(comparison: Comparison, kind: str) -> Table:
    ranks = comparison.ranks[comparison.ranks["kind"] == kind]
    changes = comparison.changes[comparison.changes["kind"] == kind]
    known = changes.set_index(["name", "experiment"])
    wide = ranks.pivot(index="name", columns="experiment", values="rank")
    first = ranks.drop_duplicates("name")
    rows = []
    for name, label, group in zip(first["name"], first["label"], first["group"], strict=True):
        row = [label, *([base_group(group)] if kind == "factor" else [])]
        row.append(number(wide.loc[name, comparison.names[0]]))
        for other in comparison.names[1:]:
            change = known.loc[(name, other)]
            row += [number(wide.loc[name, other]), _change(change)]
        rows.append(row)
    heads = [kind, *(["group"] if kind == "factor" else []), comparison.names[0]]
    for other in comparison.names[1:]:
        heads += [other, f"change ({percent(comparison.level)})"]
    title = f"\nRank of {kind}s, and change from {comparison.names[0]}"
    return _table(title, heads, rows, right=set(heads) - {kind, "group"})


def _told(comparison: Comparison, kind: str) -> Table:
    """Return the changes that the data tell, largest first; all of them would fill a book."""
    changes = comparison.changes[comparison.changes["kind"] == kind]
    told = changes[changes["told"].fillna(False).astype(bool)]
    order = told["change"].abs().sort_values(ascending=False, kind="stable").index
    rows = [
        [str(row["label"]), str(row["experiment"]), _change(row)]
        for _, row in told.loc[order].head(2 * TOP).iterrows()
    ]
    heads = [kind, "experiment", f"change of rank ({percent(comparison.level)})"]
    title = (
        f"\n{len(told)} of {len(changes)} changes of {kind}s from {comparison.names[0]} are told"
    )
    title += f"; the {len(rows)} largest" if len(rows) < len(told) else ""
    return _table(title, heads, rows, right={heads[2]})


def _agreement_range(comparison: Comparison) -> Table:
    """Return the range of every measure over all pairs of experiments."""
    rows = []
    for (kind, measure), part in comparison.agreement.groupby(["kind", "measure"], sort=False):
        low, high = part.loc[part["value"].idxmin()], part.loc[part["value"].idxmax()]
        row = [str(kind), MEASURES[str(measure)], number(part["value"].median(), 2)]
        for end in (low, high):
            row.append(f"{number(end['value'], 2)} ({end['experiment_a']}, {end['experiment_b']})")
        rows.append(row)
    heads = ["kind", "measure", "median", "least", "most"]
    return _table(f"\nAgreement of every two of {len(comparison.names)}", heads, rows, {"median"})


def _change(row: pd.Series) -> str:
    change = float(row["change"])
    text = f"{'+' if change > 0 else ''}{number(change)}"
    if pd.notna(row["low"]):
        text += f" ({number(row['low'])} to {number(row['high'])})"
    return text + (" *" if row["told"] is True else "  ")


def _agreement(comparison: Comparison) -> Table:
    words = MEASURES
    rows = []
    for (kind, a, b), part in comparison.agreement.groupby(
        ["kind", "experiment_a", "experiment_b"], sort=False
    ):
        row = [str(kind), str(a), str(b)]
        for measure in words:
            found = part[part["measure"] == measure].iloc[0]
            text = number(found["value"], 2)
            if pd.notna(found["low"]):
                text += f" ({number(found['low'], 2)} to {number(found['high'], 2)})"
            row.append(text)
        rows.append(row)
    heads = ["kind", "experiment", "and", *words.values()]
    title = f"\nAgreement, with {percent(comparison.level)} intervals"
    return _table(title, heads, rows, right=set(words.values()))


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value)
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return str(value)
