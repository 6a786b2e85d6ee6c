"""A comparison as a page: sentences, drawings and tables made from its numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pandas as pd
from markupsafe import Markup

from mlcoop.comparison import Comparison
from mlcoop.report.drawings import charts_compare
from mlcoop.report.drawings.charts import group_colours
from mlcoop.report.drawings.charts_windows import stream
from mlcoop.report.drawings.svg import WIDE, both
from mlcoop.report.names import (
    base_group,
    in_quotes,
    listing,
    number,
    percent,
    ranks_within,
    small_percent,
    span,
)
from mlcoop.report.sections.tables import Cell, Column, Table, hidden

TITLES = {"factor": "Factors", "group": "Groups of factors", "dimension": "Dimensions"}
MEASURES = {
    "tau_b": "Kendall’s tau-b",
    "weighted_tau": "Weighted tau",
    "rbo": "Rank-biased overlap",
}


def comparison_content(c: Comparison, title: str = "", over_time: bool = False) -> dict[str, Any]:
    """Return everything that the page of a comparison shows.

    `title` is that of a family of studies; with `over_time` its members are windows of years.
    """
    named = [n for n, s in zip(c.names, c.simulated, strict=True) if s]
    factor_agreement = c.agreement[c.agreement["kind"] == "factor"]

    def drawn(measure: str) -> Markup:
        def draw(width: int) -> Markup:
            return charts_compare.heat(factor_agreement, c.names, measure, width)

        # A map of many squares shows no words, so one drawing serves every width.
        return both(draw) if len(c.names) <= charts_compare.WHOLE else draw(WIDE)

    heats = [(t, drawn(m)) for m, t in MEASURES.items()] if len(factor_agreement) else []
    return {
        "title": title,
        "stream": _stream(c) if over_time else None,
        "names": c.names,
        "listed": listing(list(c.names), 5),
        "simulated": bool(named),
        "all_simulated": len(named) == len(c.names),
        "simulated_names": listing(named, 5),
        "level": percent(c.level),
        "answer": answer(c),
        "trust": [
            *c.notes,
            "A ranking describes association, not cause, and so does a change of rank.",
        ],
        "parts": [_part(c, kind) for kind in c.ranks["kind"].unique()],
        "heats": heats,
        "agreement_table": _agreement_table(c),
        "difference_table": _difference_table(c),
    }


def answer(c: Comparison) -> list[str]:
    """Return what agrees and what changed, in sentences."""
    sentences = []
    part = c.agreement[(c.agreement["kind"] == "factor") & (c.agreement["measure"] == "tau_b")]
    common = int((c.ranks["kind"] == "factor").sum() / len(c.names))
    if len(part) == 1:
        row = part.iloc[0]
        sentences.append(
            f"Over {common} common factors, Kendall’s tau-b is {_with_bounds(row, c.level)}."
        )
    elif len(part):
        low, high = part.loc[part["value"].idxmin()], part.loc[part["value"].idxmax()]
        sentences.append(
            f"Over {common} common factors, Kendall’s tau-b lies between "
            f"{_with_bounds(low, c.level)} ({low['experiment_a']} and {low['experiment_b']}) and "
            f"{_with_bounds(high, c.level)} ({high['experiment_a']} and {high['experiment_b']})."
        )
    for kind, changes in c.changes.groupby("kind", sort=False):
        sentences.append(_changed(changes, f"{kind}s", c))
    return sentences


def _with_bounds(row: pd.Series, level: float) -> str:
    if pd.isna(row["low"]):
        return f"{number(row['value'], 2)} (no interval: no replicates)"
    bounds = span(row["low"], row["high"], lambda v: number(v, 2))
    return f"{number(row['value'], 2)} ({percent(level)} interval {bounds})"


def _changed(changes: pd.DataFrame, words: str, c: Comparison) -> str:
    known = changes[changes["told"].notna()]
    if not len(known):
        return f"Without replicates there is no test of which {words} changed their rank."
    told = known[known["told"].astype(bool)]
    names = changes["name"].nunique()
    if not len(told):
        return (
            f"Of {names} {words}, none has a change of rank from {c.names[0]} that is "
            "distinguishable from zero."
        )
    first = told.reindex(told["change"].abs().sort_values(ascending=False, kind="stable").index)
    first = first.drop_duplicates("name")
    shown = [
        f"{in_quotes(label)} ({'up' if change < 0 else 'down'} {number(abs(change))}"
        + (f" in {experiment})" if len(c.names) > 2 else ")")
        for label, change, experiment in zip(
            first["label"], first["change"], first["experiment"], strict=True
        )
    ]
    return (
        f"Of {names} {words}, {len(first)} {'has' if len(first) == 1 else 'have'} a change of rank "
        f"from {c.names[0]} that is distinguishable from zero: {listing(shown, 4)}."
    )


def _part(c: Comparison, kind: str) -> dict[str, Any]:
    ranks = c.ranks[c.ranks["kind"] == kind]
    order = ranks[ranks["experiment"] == c.names[0]].sort_values("rank", kind="stable")
    colours = group_colours(order["group"].map(base_group))
    common = ranks["name"].nunique()
    shown = charts_compare.lines_shown(len(c.names))
    return {
        "kind": kind,
        "title": TITLES[kind],
        "common": common,
        "cut": common > shown,
        "shown": shown,
        "colours": colours,
        "drawing": both(lambda w: charts_compare.bump(ranks, c.names, colours, kind, w)),
        "table": _change_table(c, kind),
    }


def _stream(c: Comparison) -> dict[str, Any] | None:
    """Return the shares of groups over windows, as a drawing and as a table with intervals."""
    ranks = c.ranks[c.ranks["kind"] == "group"]
    if not len(ranks):
        return None
    part = _part(c, "group")
    columns = [
        Column("group", "group", False, False),
        Column("label", "Group", False),
        Column("window", "Years", False),
        Column("rank", "Rank"),
        Column("share", "Share"),
        Column("", f"Share ({percent(c.level)})"),
        *hidden("share_low", "share_high"),
    ]
    body = tuple(
        (
            Cell("", r.name),
            Cell(r.label, r.label),
            Cell(r.experiment, r.experiment),
            Cell(number(r.rank), r.rank),
            Cell(small_percent(r.share), r.share),
            Cell(span(r.share_low, r.share_high, small_percent, joint="–"), r.share_low),
            Cell("", r.share_low),
            Cell("", r.share_high),
        )
        for r in ranks.sort_values(["name"], kind="stable").itertuples(index=False)
    )
    caption = "Share of each group by window of years"
    # windows are named by their years: 2002-2009
    years = [name.split("-") for name in c.names]
    return {
        "overlap": any(before[-1] >= after[0] for before, after in pairwise(years)),
        "colours": part["colours"],
        "drawing": both(lambda w: stream(ranks, c.names, part["colours"], w)),
        "table": Table("shares-over-time", caption, tuple(columns), body),
    }


def _change_table(c: Comparison, kind: str) -> Table:
    changes = c.changes[c.changes["kind"] == kind]
    ranks = c.ranks[c.ranks["kind"] == kind].set_index(["experiment", "name"])["rank"]
    columns = [
        Column("name", "name", False, False),
        Column("label", kind.capitalize(), False),
        Column("experiment", "Experiment", False),
        Column("rank_reference", f"Rank in {c.names[0]}"),
        Column("rank", "Rank"),
        Column("change", "Change"),
        Column("", f"Interval ({percent(c.level)})"),
        *hidden("low", "high"),
        Column("told", "Distinguishable", False),
    ]
    body = []
    for row in changes.to_dict("records"):
        before, after = ranks[(c.names[0], row["name"])], ranks[(row["experiment"], row["name"])]
        bounded = pd.notna(row["low"])
        bounds = ranks_within(row["low"], row["high"]) if bounded else "–"
        low, high = (row["low"], row["high"]) if bounded else (None, None)
        sign = "+" if row["change"] > 0 else ""
        told = {None: "no replicates", True: "yes", False: "no"}[row["told"]]
        cls = "told" if row["told"] else ""
        body.append(
            (
                Cell("", row["name"]),
                Cell(row["label"], row["label"], cls),
                Cell(row["experiment"], row["experiment"]),
                Cell(number(before), before),
                Cell(number(after), after),
                Cell(f"{sign}{number(row['change'])}", row["change"], cls),
                Cell(bounds, low),
                Cell("", low),
                Cell("", high),
                Cell(told, told, cls),
            )
        )
    return Table(f"changes-{kind}", f"Change of rank by {kind}", tuple(columns), tuple(body))


def _agreement_table(c: Comparison) -> Table:
    keys = ["kind", "experiment_a", "experiment_b"]
    columns = [Column(k, t, False) for k, t in zip(keys, ("Of", "Experiment", "and"), strict=True)]
    for measure, title in MEASURES.items():
        columns += [Column(measure, title), Column("", percent(c.level))]
        columns += [Column(f"{measure}_{end}", end, shown=False) for end in ("low", "high")]
    pairs: dict[tuple[str, str, str], dict[str, tuple[float, float, float]]] = {}
    for kind, a, b, measure, *numbers in c.agreement.itertuples(index=False, name=None):
        pairs.setdefault((kind, a, b), {})[measure] = tuple(numbers)
    body = []
    for names, found in pairs.items():
        cells = [Cell(name, name) for name in names]
        for measure in MEASURES:
            value, low, high = (None if pd.isna(v) else float(v) for v in found[measure])
            bounds = "–" if low is None else span(low, high, lambda v: number(v, 2))
            cells += [Cell(number(value, 3), value), Cell(bounds, low)]
            cells += [Cell("", low), Cell("", high)]
        body.append(tuple(cells))
    caption = "Agreement between every two experiments"
    return Table("agreements", caption, tuple(columns), tuple(body))


def _difference_table(c: Comparison) -> Table:
    columns = tuple(Column(str(k), str(k), False) for k in c.differences.columns)
    body = tuple(
        tuple(Cell(str(v), str(v)) for v in row)
        for row in c.differences.itertuples(index=False, name=None)
    )
    return Table("what-differs", "Keys that differ between the experiments", columns, body)
