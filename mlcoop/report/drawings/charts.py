"""Drawings of the page about factors: rankings, effects, the planted order, coverage of data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

from markupsafe import Markup

from mlcoop.features.factor import GROUPS
from mlcoop.report.drawings.svg import (
    ROWS_TOP,
    Canvas,
    Scale,
    cut,
    dot_row,
    row_height,
    scale,
    spread_ticks,
    ticks,
)
from mlcoop.report.names import percent, percent_tick, small_percent, span
from mlcoop.report.numbers.content import Curve, FactorData, Planted, Ranked
from mlcoop.report.units import in_words, natural, short

SHOWN = 20  # rows of the ranking before "show all"
CATALOGUE_COLOURS = {name: i for i, name in enumerate(reversed(GROUPS.values()))}
# The user's own groups take first what no group of the catalogue has, then what colour-blind
# readers tell best from those before and from grey: most ready panels have own groups alone.
OWN_COLOURS = (7, 9, 8, 4, 5, 3, 2, 1, 0, 6)
EFFECT_TICKS = (-0.9, -0.8, -0.5, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 9.0, 19.0)


def colour_index(factors: Sequence[Ranked], groups: Sequence[Ranked]) -> dict[str, int]:
    """Return the colour number of every group, in the groups' rank order; see `group_colours`."""
    return group_colours([g.group for g in groups] + [f.group for f in factors])


def group_colours(names: Iterable[str]) -> dict[str, int]:
    """Return the colour number of every group: a catalogue's group has the same on every page.

    >>> group_colours(["Own group", "Research strength"])
    {'Own group': 7, 'Research strength': 0}
    """
    shown = list(dict.fromkeys(names))
    taken = {CATALOGUE_COLOURS[name] for name in shown if name in CATALOGUE_COLOURS}
    own = cycle([colour for colour in OWN_COLOURS if colour not in taken])
    return {
        name: CATALOGUE_COLOURS[name] if name in CATALOGUE_COLOURS else next(own) for name in shown
    }


def ranking(
    rows: Sequence[Ranked],
    colours: Mapping[str, int],
    width: int,
    *,
    title: str,
    name: str,
    shown: int = SHOWN,
) -> Markup:
    """Draw shares as dots with their intervals, in tiers; factors below the null line are grey."""
    narrow = width < 500
    tall = row_height(narrow)
    longest = max(len(r.label) for r in rows)
    left, right, top = (14, 14, 30) if narrow else (_room(longest) + 34, 62, 30)
    high = max([r.share_high for r in rows] + [1e-9])
    x = scale(0, high, left, width - right)
    many = len(rows) > shown + 2
    heights = [top + tall * n + 2 for n in (len(rows), shown if many else len(rows))]
    lead = rows[0]
    label = (
        f"{title}. {len(rows)} rows; first is {lead.label} with {small_percent(lead.share)} "
        f"({span(lead.share_low, lead.share_high, small_percent)}). The table below holds the same."
    )
    canvas = Canvas(width, heights[0], label, name)
    y = _tier_bands(canvas, rows, top, tall, width)
    for tick in ticks(0, high, 3 if narrow else 6):
        canvas.line(x(tick), top - 6, x(tick), y, "grid")
        canvas.text(x(tick), top - 12, percent_tick(tick), "tick", "middle")
    for i, row in enumerate(rows):
        _ranking_row(canvas, row, i, colours, x, (top, tall, left, width), i >= shown and many)
    extra = f' data-full="{heights[0]}" data-short="{heights[1]}"' if many else ""
    markup = canvas.markup("ranking")
    return Markup(str(markup).replace("<svg ", f"<svg{extra} ", 1)) if extra else markup


def _room(longest: int) -> float:
    """Return the pixels that labels of so many letters take, within reason."""
    return min(max(7.1 * longest + 14, 150), 330)


def _tier_bands(
    canvas: Canvas, rows: Sequence[Ranked], top: float, tall: float, width: float
) -> float:
    start = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i].tier != rows[start].tier:
            y0, y1 = top + start * tall, top + i * tall
            tier = rows[start].tier
            canvas.rect(0, y0, width, y1 - y0, "band odd" if tier % 2 else "band")
            canvas.text(width - 8, y0 + 15, f"tier {tier}", "tick", "end")
            start = i
    return top + len(rows) * tall


def _ranking_row(
    canvas: Canvas,
    row: Ranked,
    i: int,
    colours: Mapping[str, int],
    x: Scale,
    frame: tuple[float, float, float, float],
    hidden: bool,
) -> None:
    top, tall, left, width = frame
    narrow = width < 500
    grey = not row.above_null
    tone = "gx" if grey else f"g{colours.get(row.group, 0)}"
    note = "; not distinguishable from chance" if grey else ""
    tip = (
        f"{row.label}: {small_percent(row.share)} "
        f"({span(row.share_low, row.share_high, small_percent)}), rank {row.rank} "
        f"({span(row.rank_low, row.rank_high)}), tier {row.tier}, {row.group}{note}"
    )
    canvas.open(f"row{' extra' if hidden else ''}{' null' if grey else ''}", tip)
    y0 = top + i * tall
    y = y0 + (24 if narrow else tall / 2)
    canvas.rect(0, y0, width, tall, "hit")
    if narrow:
        canvas.text(left, y0 + 14, cut(f"{row.rank}  {row.label}", width - 70), "label")
    else:
        canvas.text(left - 34, y + 4.5, cut(row.label, left - 48), "label", "end")
        canvas.text(left - 12, y + 4.5, row.rank, "tick num", "end")
    canvas.line(x(row.share_low), y, x(row.share_high), y, f"whisker {tone}")
    canvas.dot(x(row.share), y, 4.5 if narrow else 5, f"dot {tone}")
    canvas.close()


def effect_dots(rows: Sequence[Ranked], colours: Mapping[str, int], width: int) -> Markup:
    """Draw the change of collaboration from a low to a high value of every factor."""
    narrow = width < 500
    top = ROWS_TOP
    left = 14 if narrow else _room(max(len(r.label) for r in rows))
    bounds = [b for r in rows for b in (r.effect_low, r.effect, r.effect_high) if b is not None]
    logs = [math.log1p(max(v, -0.99)) for v in (*bounds, 0.0)]
    span_ = max(max(logs) - min(logs), 0.02)
    x = scale(min(logs) - 0.02 * span_, max(logs) + 0.02 * span_, left, width - 20)
    height = top + row_height(narrow) * len(rows) + 4
    label = (
        "Change in collaboration from the 10th to the 90th percentile of each factor, with "
        "intervals; the table of factors holds the same"
    )
    canvas = Canvas(width, height, label, "effects")

    def at(value: float) -> float:
        return x(math.log1p(max(value, -0.99)))

    for step in spread_ticks(
        [t for t in EFFECT_TICKS if min(logs) <= math.log1p(t) <= max(logs)], at
    ):
        canvas.line(at(step), top - 6, at(step), height, "zero" if step == 0 else "grid")
        canvas.text(at(step), top - 12, percent(step, signed=True), "tick", "middle")
    for i, row in enumerate(rows):
        if row.effect is None:
            continue
        low = row.effect if row.effect_low is None else row.effect_low
        high = row.effect if row.effect_high is None else row.effect_high
        tone = f"g{colours.get(row.group, 0)}" if row.above_null else "gx"
        bounds_ = span(low, high, lambda v: percent(v, signed=True))
        tip = f"{row.label}: {percent(row.effect, signed=True)} ({bounds_})"
        dot_row(
            canvas, i, row.label, tip, (at(low), at(row.effect), at(high)), left=left, tone=tone
        )
    return canvas.markup("effects")


def effect_grid(curves: Sequence[Curve], colours: Mapping[str, int], width: int) -> Markup:
    """Draw what each factor does as small curves: change of collaboration over its values."""
    columns = 1 if width < 500 else 3
    gap, cell_h = 24, 178
    cell_w = (width - gap * (columns - 1)) / columns
    height = math.ceil(len(curves) / columns) * cell_h
    names = ", ".join(c.label for c in curves)
    canvas = Canvas(width, height, f"Effect curves with bands for {names}", "effects")
    for i, curve in enumerate(curves):
        x0, y0 = (i % columns) * (cell_w + gap), (i // columns) * cell_h
        _effect(canvas, curve, f"g{colours.get(curve.group, 0)}", x0, y0, cell_w, cell_h)
    return canvas.markup("effects")


def _effect(
    canvas: Canvas, curve: Curve, tone: str, x0: float, y0: float, width: float, height: float
) -> None:
    logs = [math.log1p(max(v, -0.999)) for v in (*curve.low, *curve.high, *curve.effect, 0.0)]
    reach = max(abs(min(logs)), abs(max(logs)), 0.02)
    left, top, bottom = x0 + 50, y0 + 30, y0 + height - 38
    right = x0 + width - 4
    x = scale(curve.value[0], curve.value[-1], left, right)
    y = scale(-reach * 1.05, reach * 1.05, bottom, top)

    def height_of(value: float) -> float:
        return y(math.log1p(max(value, -0.999)))

    # Bold letters are wider: at their nominal 13 a long name runs into the next curve.
    canvas.text(x0, y0 + 16, cut(curve.label, width, 15), "label strong")
    for step in _ratio_ticks(reach):
        cls = "zero" if step == 0 else "grid"
        canvas.line(left, height_of(step), right, height_of(step), cls)
        text = "0" if step == 0 else percent(step, 0 if abs(step) > 0.02 else 1, signed=True)
        canvas.text(left - 6, height_of(step) + 4, text, "tick", "end")
    peak = max(curve.density) or 1.0
    xs = [x(v) for v in curve.value]
    rug = [bottom + 14 - 14 * d / peak for d in curve.density]
    canvas.area(xs, [bottom + 14.0] * len(xs), rug, "density")
    canvas.area(
        xs, [height_of(v) for v in curve.low], [height_of(v) for v in curve.high], f"cone {tone}"
    )
    canvas.path(zip(xs, (height_of(v) for v in curve.effect), strict=True), f"curve {tone}")
    for j, (value, effect) in enumerate(zip(curve.value, curve.effect, strict=True)):
        band = span(curve.low[j], curve.high[j], lambda v: percent(v, 1, signed=True))
        at = in_words(value, curve.unit)
        tip = f"{curve.label} at {at}: {percent(effect, 1, signed=True)} ({band})"
        canvas.dot(xs[j], height_of(effect), 6, "ghost", tip)
    ends = [short(natural(v, curve.unit)[0]) for v in (curve.value[0], curve.value[-1])]
    words = natural(curve.value[0], curve.unit)[1].replace("0 or 1", "no or yes")
    canvas.text(left, bottom + 29, ends[0], "tick")
    canvas.text(right, bottom + 29, ends[1], "tick", "end")
    room = right - left - 7.5 * (len(ends[0]) + len(ends[1]))
    canvas.text((left + right) / 2, bottom + 29, cut(words, room, 12), "tick", "middle")


def _ratio_ticks(reach: float) -> list[float]:
    """Return round relative changes for a log axis that reaches `reach` to both sides."""
    ladder = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 9.0, 99.0]
    up = [s for s in ladder if 0.45 * reach < math.log1p(s) <= reach * 1.05]
    down = [-s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.67, 0.8, 0.9, 0.99)]
    below = [s for s in down if 0.45 * reach < -math.log1p(s) <= reach * 1.05]
    return [*below[-1:], 0, *up[-1:]]


def planted_slope(rows: Sequence[Planted], width: int) -> Markup:
    """Draw planted ranks against recovered ones, with the intervals of the latter."""
    height = 40 + 26 * len(rows) + 12
    most = max([r.high or 0 for r in rows] + [r.rank for r in rows])
    label = "Planted rank (ring) and recovered rank (dot) with its confidence set, simulated counts"
    canvas = Canvas(width, height, label, "planted")
    left = 150 if width < 500 else _room(max(len(r.label) for r in rows))
    x = scale(1, max(most, 2), left + 10, width - 20)
    for tick in sorted({1, *(round(t) for t in ticks(1, most, 5) if t >= 1)}):
        canvas.line(x(tick), 30, x(tick), height - 8, "grid")
        canvas.text(x(tick), 22, tick, "tick", "middle")
    for i, row in enumerate(rows):
        y = 48 + 26 * i
        canvas.text(left - 6, y + 4, cut(row.label, left - 10), "label", "end")
        if row.recovered is not None and row.low is not None and row.high is not None:
            tip = f"{row.label}: planted {row.rank}, recovered {row.recovered} "
            tip += f"({span(row.low, row.high)})"
            canvas.line(x(row.low), y, x(row.high), y, "whisker g0")
            canvas.dot(x(row.recovered), y, 5, "dot g0", tip)
        canvas.dot(x(row.rank), y, 8, "ring", f"{row.label}: planted rank {row.rank}")
    return canvas.markup("planted")


def data_bars(rows: Sequence[FactorData], width: int) -> Markup:
    """Draw the share of values available for every factor, gappiest first."""
    known = [r for r in rows if r.coverage is not None]
    height = 26 + 20 * len(known)
    left = 160 if width < 500 else _room(max(len(r.label) for r in known))
    label = "Share of values available for every factor; the table below holds the same"
    canvas = Canvas(width, height, label, "coverage")
    x = scale(0, 1, left, width - 46)
    for tick in (0, 0.5, 1):
        canvas.line(x(tick), 20, x(tick), height, "grid")
        canvas.text(x(tick), 14, percent(tick), "tick", "middle")
    for i, row in enumerate(known):
        y = 24 + 20 * i
        tip = f"{row.label}: {percent(row.coverage, 1)} ({row.source})"
        canvas.text(left - 8, y + 12, cut(row.label, left - 12), "label", "end")
        canvas.rect(left, y + 3, x(row.coverage or 0) - left, 11, "bar g0", tip, 2)
        canvas.text(width - 4, y + 12, percent(row.coverage), "tick", "end")
    return canvas.markup("coverage")
