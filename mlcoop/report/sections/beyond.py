"""Observed over expected works on the page: pairs with more or fewer than their factors suggest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from mlcoop.errors import counted
from mlcoop.model.deviance import lead_astray
from mlcoop.report.drawings.svg import ROWS_TOP, Canvas, dot_row, row_height, scale, spread_ticks
from mlcoop.report.names import listing, number, pair_name, percent, span
from mlcoop.report.numbers.content import Beyond
from mlcoop.report.sections.tables import MOST_ROWS, Cell, Column, Table
from mlcoop.schema import Experiment

DRAWN = 10  # of either kind, where there are more pairs than both
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def gather_beyond(experiment: Experiment, focal: str | None) -> tuple[Beyond, ...]:
    """Return the rows of `observed_expected.csv`, the largest ratio first."""
    table = experiment.observed_expected
    if table is None:
        return ()
    return tuple(
        Beyond(
            label=pair_name(str(row["country_a"]), str(row["country_b"]), focal),
            years=tuple(int(row[k]) for k in ("first_year", "last_year") if pd.notna(row[k])),
            works=float(row["works"]),
            expected=float(row["expected"]),
            ratio=float(row["ratio"]),
            low=float(row["ratio_low"]),
            high=float(row["ratio_high"]),
            told=str(row["told"]) if row["told"] in ("more", "less") else "",
        )
        for row in table.to_dict("records")
    )


def years_of(rows: Sequence[Beyond]) -> str:
    """Return the years that pairs are compared over, "" of a cross-section."""
    years = [year for row in rows for year in row.years]
    return span(min(years), max(years), str, "–") if years else ""


def times(ratio: float) -> str:
    """Return a ratio in two digits, in three where two would not tell it from one.

    >>> times(4.268), times(2), times(0.0372), times(131.2), times(0), times(1.043)
    ('4.3', '2.0', '0.037', '131', '0', '1.04')
    """
    if ratio >= 9.95 or ratio == 0:
        return number(ratio)
    short = f"{ratio:#.2g}"
    return f"{ratio:#.3g}" if short == "1.0" else short


def beyond_sentences(
    rows: Sequence[Beyond], level: float, neighbours: Mapping[str, float] | None = None
) -> list[str]:
    """Say how far pairs lie from their expectation, which clearly do, and whether neighbours agree.

    `neighbours` as `neighbours_alike` returns it, and whether the model has `spatial` effects.
    """
    low, high = np.quantile([r.ratio for r in rows], [0.25, 0.75])
    spread = f"Half of the pairs have {span(low, high, times)} times their expected works."
    if lead_astray(*np.array([(r.works, r.expected) for r in rows]).T):
        return [
            spread,
            "Expected works are farther from observed ones than one number for all pairs would be. "
            "The factor model does not hold for held-out pairs, so no pair is singled out.",
            *_alike(neighbours, level),
        ]
    told = _both(
        [r for r in rows if r.told], "more works than expected for", "fewer works than expected for"
    )
    rate = f"at a false discovery rate of {percent(1 - level)}"
    said = f"None of {counted(len(rows), 'pair')} is distinguishable from its expectation ({rate})."
    if told:
        said = f"Distinguishable from their expectation {rate}: {told}."
    return [spread, said, *_alone(rows, level, bool(told)), *_alike(neighbours, level)]


def _alone(rows: Sequence[Beyond], level: float, others: bool) -> list[str]:
    """Name the pairs whose own interval excludes one, though not after the test of all pairs."""
    alone = [r for r in rows if not r.told and not r.low <= 1 <= r.high]
    if not alone:
        return []
    which = f"{'Of the others' if others else 'Still'}, {counted(len(alone), 'pair')}"
    by_chance = (1 - level) * len(rows)
    some = f"about {number(by_chance)}" if by_chance >= 1 else "fewer than one"
    return [
        f"{which} {'has' if len(alone) == 1 else 'have'} an interval that excludes 1 ({some} of "
        f"{number(len(rows))} would by chance): {_both(alone, 'above 1 for', 'below 1 for')}."
    ]


def _alike(neighbours: Mapping[str, float] | None, level: float) -> list[str]:
    """Return whether neighbouring partners lie alike, which resampling takes them not to do."""
    if not neighbours:
        return []
    size = f"Moran’s I {number(neighbours['moran'], 2)}, p = {neighbours['p']:.2g}"
    if neighbours["p"] > 1 - level:
        return [
            "There is no evidence that neighbouring partners have more similar ratios than others "
            f"({size})."
        ]
    causes = f"Neighbouring partners have similar ratios ({size}). They share causes that the panel"
    if neighbours.get("spatial"):
        return [
            f"{causes} lacks. The ranking allows for effects that near countries share; the "
            "intervals here treat them as independent noise."
        ]
    return [
        f"{causes} lacks, which the intervals here and in the ranking treat as independent noise."
    ]


def _both(rows: Sequence[Beyond], above: str, below: str) -> str:
    """Return pairs above their expectation, then those below it, the farthest first."""
    found = [
        (above, [_with_interval(r) for r in rows if r.ratio > 1]),
        # of pairs without any works the one that most were expected of
        (below, [_with_interval(r) for r in sorted(rows, key=_from_below) if r.ratio <= 1]),
    ]
    return "; ".join(f"{words} {listing(pairs)}" for words, pairs in found if pairs)


def _from_below(row: Beyond) -> tuple[float, float]:
    return row.ratio, row.high


def _with_interval(row: Beyond) -> str:
    return f"{row.label} ({times(row.ratio)} times, {span(row.low, row.high, times)})"


def farthest(rows: Sequence[Beyond]) -> list[Beyond]:
    """Return the pairs to draw: those whose interval's near end lies farthest from one."""
    if len(rows) <= 2 * DRAWN + 4:
        return list(rows)
    above = sorted(rows, key=lambda r: -r.low)[:DRAWN]
    below = sorted((r for r in rows if r not in above), key=lambda r: r.high)[:DRAWN]
    return [r for r in rows if r in above or r in below]


def beyond_dots(rows: Sequence[Beyond], width: int) -> Markup:
    """Draw ratios with their intervals on a log scale; grey where they may well be one."""
    narrow = width < 500
    top = ROWS_TOP
    longest = max(len(r.label) for r in rows)
    left = 14 if narrow else min(max(7.8 * longest + 14, 150), 330)
    floor = min([r.ratio for r in rows if r.ratio > 0] + [r.high for r in rows]) / 3
    ends = [math.log(max(v, floor)) for r in rows for v in (r.low, r.high)] + [0.0]
    x = scale(min(ends), max(max(ends), min(ends) + 0.1), left, width - 20)
    height = top + row_height(narrow) * len(rows) + 4
    label = "Observed over expected works, with intervals; the table below holds the same"
    canvas = Canvas(width, height, label, "observed-expected")

    def at(value: float) -> float:
        return x(math.log(max(value, floor)))

    logs = [math.log(t) for t in TICKS if min(ends) <= math.log(t) <= max(ends)]
    for tick in spread_ticks(logs, x):
        canvas.line(x(tick), top - 6, x(tick), height, "zero" if tick == 0 else "grid")
        canvas.text(x(tick), top - 12, f"{math.exp(tick):g}", "tick", "middle")
    for i, row in enumerate(rows):
        tone = {"more": "g0", "less": "g3"}.get(row.told, "gx")
        note = "" if row.told else "; not distinguishable from its expectation"
        tip = (
            f"{_with_interval(row)}: {number(row.works)} observed, {number(row.expected)} "
            f"expected{note}"
        )
        places = at(row.low), at(row.ratio), at(row.high)
        dot_row(canvas, i, row.label, tip, places, left=left, tone=tone)
    return canvas.markup("observed-expected")


def beyond_table(rows: Sequence[Beyond], level: float) -> Table:
    """Return works beside expected works; of very many pairs those farthest from one."""
    columns = (
        Column("pair", "Pair", numeric=False),
        Column("years", "Years", numeric=False),
        Column("works", "Observed works"),
        Column("expected", "Expected works"),
        Column("ratio", "Observed / expected"),
        Column("ratio_low", f"{percent(level)} interval"),
        Column("ratio_high", "upper", shown=False),
        Column("told", "Distinguishable", numeric=False),
    )
    order = sorted(rows, key=lambda r: max(r.low, 1 / max(r.high, 1e-9)), reverse=True)
    kept = set(map(id, order[:MOST_ROWS]))
    body = tuple(
        (
            Cell(r.label, r.label),
            Cell(years_of([r]) or "–", r.years[-1] if r.years else None),
            Cell(number(r.works), r.works),
            Cell(number(r.expected), r.expected),
            Cell(times(r.ratio), r.ratio),
            Cell(span(r.low, r.high, times, "–"), r.low),
            Cell("", r.high),
            Cell(r.told or "no", r.told),
        )
        for r in rows
        if id(r) in kept
    )
    note = (
        f"The {MOST_ROWS:,} pairs farthest from 1, of {len(rows):,}."
        if len(rows) > MOST_ROWS
        else ""
    )
    return Table("observed-expected", "Observed and expected works", columns, body, note)
