"""Interactions on the page: which two factors depend on one another, drawn, tabled and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from mlcoop.report.drawings.svg import ROWS_TOP, Canvas, dot_row, row_height, scale, ticks
from mlcoop.report.names import factor_name, in_quotes, percent, small_percent, span
from mlcoop.report.numbers.content import Together
from mlcoop.report.numbers.gather import need
from mlcoop.report.sections.tables import Cell, Column, Table
from mlcoop.schema import Experiment

NEEDED = ["factor", "other", "strength", "low", "high", "share", "told"]


def gather_together(
    experiment: Experiment, labels: Mapping[str, str]
) -> tuple[Together, ...] | None:
    """Return the rows of `interactions.csv`, strongest first; None where the folder lacks it."""
    table = experiment.interactions
    if table is None:
        return None
    need(table, NEEDED, "interactions.csv")
    rows = []
    for row in table.to_dict("records"):
        label, other = (factor_name(row[k], labels) for k in ("factor", "other"))
        strength, low, high = (float(row[k]) / 100 for k in NEEDED[2:5])
        told = str(row["told"]) == "True"
        rows.append(Together(label, other, strength, low, high, float(row["share"]), told))
    return tuple(rows)


def together_sentence(rows: Sequence[Together]) -> str:
    """Say how many interactions differ from zero, and which is the strongest of them."""
    told = [r for r in rows if r.told]
    if not told:
        return f"Of the {len(rows)} interactions listed, none is distinguishable from zero."
    first = told[0]
    return (
        f"Of the {len(rows)} interactions listed, {len(told)} {'is' if len(told) == 1 else 'are'} "
        f"distinguishable from zero. The strongest is between {in_quotes(first.label)} and "
        f"{in_quotes(first.other)}: jointly, they are associated with a change in collaboration of "
        f"{percent(first.strength)} on average beyond what is associated with either alone "
        f"({span(first.low, first.high, percent)})."
    )


def together_bars(rows: Sequence[Together], width: int) -> Markup:
    """Draw strengths as dots with bands; grey where zero cannot be excluded."""
    narrow = width < 500
    names = [f"{r.label} × {r.other}" for r in rows]
    top = ROWS_TOP
    bottom = top + row_height(narrow) * len(rows)
    left = 14 if narrow else min(max(7.1 * max(map(len, names)) + 14, 150), 420)
    x = scale(0, max([r.high for r in rows] + [1e-6]), left, width - 20)
    label = "Strength of the strongest interactions with bands; the table below holds the same"
    canvas = Canvas(width, bottom + 4, label, "interactions")
    for tick in ticks(0, max(r.high for r in rows), 3 if narrow else 6):
        canvas.line(x(tick), top - 6, x(tick), bottom, "grid")
        canvas.text(x(tick), top - 12, small_percent(tick), "tick", "middle")
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        tone = "g0" if row.told else "gx"
        band = span(row.low, row.high, small_percent)
        said = "" if row.told else "; not distinguishable from zero"
        tip = f"{name}: {small_percent(row.strength)} ({band}){said}"
        at = x(row.low), x(row.strength), x(row.high)
        dot_row(canvas, i, name, tip, at, left=left, tone=tone)
    return canvas.markup("interactions")


def together_table(rows: Sequence[Together]) -> Table:
    """Return the interactions as a table."""
    columns = (
        Column("factor", "Factor", numeric=False),
        Column("other", "With", numeric=False),
        Column("strength", "Change in collaboration"),
        Column("band", "Band"),
        Column("share", "Relative to total importance"),
        Column("told", "Distinguishable", numeric=False),
    )
    body = tuple(
        (
            Cell(r.label, r.label),
            Cell(r.other, r.other),
            Cell(small_percent(r.strength), r.strength),
            Cell(span(r.low, r.high, small_percent), r.high),
            Cell(small_percent(r.share), r.share),
            Cell("yes" if r.told else "no", "yes" if r.told else "no"),
        )
        for r in rows
    )
    return Table("interactions", "Interactions between factors", columns, body)
