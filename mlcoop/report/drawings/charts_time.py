"""Drawings of the page that run over years: errors, calibration, forecast fans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from mlcoop.report.drawings.svg import Canvas, Scale, cut, scale, ticks
from mlcoop.report.names import method_name, number, percent, percent_tick, span
from mlcoop.report.numbers.content_forecast import Calibration, Expected, Held, SetErrors

FAN_WIDTH, FAN_HEIGHT = 190, 124


def errors_by_year(errors: SetErrors, width: int) -> Markup:
    """Draw the error of the model and of every baseline, year by year."""
    years = sorted(errors.by_year)
    methods = errors.methods
    narrow = width < 500
    left, right, top, height = 46, 14 if narrow else 190, 14, 250 if narrow else 280
    high = max(v for y in years for v in errors.by_year[y].values())
    x = scale(years[0], years[-1], left, width - right)
    y = scale(0, high * 1.04, height - 28, top)
    label = (
        f"Error (WAPE) by year on {errors.label}: mlcoop against {len(methods) - 1} baselines; "
        "the table below holds the same"
    )
    canvas = Canvas(width, height, label, f"backtest-{errors.key}")
    for tick in ticks(0, high, 5):
        canvas.line(left, y(tick), width - right, y(tick), "grid")
        canvas.text(left - 8, y(tick) + 4, percent_tick(tick), "tick", "end")
    for year in _year_ticks(years, narrow):
        canvas.text(x(year), height - 8, year, "tick", "middle")
    ends: list[tuple[float, str, str]] = []
    for method in methods:
        known = [t for t in years if method in errors.by_year[t]]
        points = [(x(t), y(errors.by_year[t][method])) for t in known]
        strong = {"model": "ours", errors.best: "rival"}.get(method, "other")
        canvas.path(points, f"series {strong}", method_name(method))
        for t, (px, py) in zip(known, points, strict=True):
            tip = f"{method_name(method)}, {t}: {percent(errors.by_year[t][method], 1)}"
            canvas.dot(px, py, 3.5 if strong == "ours" else 5, f"mark {strong}", tip)
        if strong != "other":
            ends.append((points[-1][1], method_name(method), strong))
    if not narrow:
        for py, words, strong in _apart(ends, 17):
            canvas.text(width - right + 10, py + 4, cut(words, right - 14), f"label {strong}")
    return canvas.markup("backtest")


def _apart(ends: list[tuple[float, str, str]], least: float) -> list[tuple[float, str, str]]:
    placed: list[tuple[float, str, str]] = []
    for py, words, strong in sorted(ends):
        if placed and py - placed[-1][0] < least:
            py = placed[-1][0] + least
        placed.append((py, words, strong))
    return placed


def _year_ticks(years: Sequence[int], narrow: bool) -> list[int]:
    step = max(1, math.ceil(len(years) / (5 if narrow else 12)))
    return list(years)[::-1][::step][::-1]


def calibration(rows: Sequence[Calibration], width: int) -> Markup:
    """Draw the share of counts inside their interval by year, against the nominal level."""
    rows = [r for r in rows if r.by_year]
    years = sorted({y for r in rows for y in r.by_year})
    narrow = width < 500
    left, right, top, height = 46, 14 if narrow else 190, 14, 230
    low = min([0.5, *(v for r in rows for v in r.by_year.values())])
    x = scale(years[0], years[-1], left, width - right)
    y = scale(low, 1, height - 28, top)
    label = "Share of counts inside their interval by year; the dashed line is the nominal level"
    canvas = Canvas(width, height, label, "calibration")
    for tick in ticks(low, 1, 5):
        canvas.line(left, y(tick), width - right, y(tick), "grid")
        canvas.text(left - 8, y(tick) + 4, percent_tick(tick), "tick", "end")
    for year in _year_ticks(years, narrow):
        canvas.text(x(year), height - 8, year, "tick", "middle")
    level = rows[0].level
    canvas.line(left, y(level), width - right, y(level), "aim")
    ends = []
    for i, row in enumerate(rows):
        tone = f"g{i}"
        points = [(x(t), y(v)) for t, v in row.by_year.items()]
        canvas.path(points, f"curve {tone}")
        for (t, v), (px, py) in zip(row.by_year.items(), points, strict=True):
            canvas.dot(px, py, 4, f"dot {tone}", f"{row.label}, {t}: {percent(v, 1)} inside")
        ends.append((points[-1][1], row.label, tone))
    if not narrow:
        for py, words, tone in _apart(ends, 17):
            canvas.text(width - right + 10, py + 4, cut(words, right - 14), f"label t{tone}")
    return canvas.markup("calibration")


def spark(held: Sequence[Held], ahead: Sequence[Expected]) -> Markup:
    """Draw one pair as small as a word: what was counted, and the forecast."""
    words = f"{number(ahead[0].predicted)} ({span(ahead[0].lower, ahead[0].upper)})"
    canvas = Canvas(132, 30, f"{ahead[0].label}: counts, and {words} in {ahead[0].year}", "course")
    _fan(canvas, held, ahead, (2, 3, 128, 27), small=True)
    return canvas.markup("spark")


def fan(held: Sequence[Held], ahead: Sequence[Expected]) -> Markup:
    """Draw one pair: what was counted, and the forecast with its interval."""
    first = ahead[0]
    words = "; ".join(
        f"{number(f.predicted)} ({span(f.lower, f.upper)}) in {f.year}" for f in ahead
    )
    label = f"{first.label}: counts, and the forecast {words}"
    canvas = Canvas(FAN_WIDTH, FAN_HEIGHT, label, f"forecast-{first.a}-{first.b}")
    canvas.text(0, 14, cut(first.label, FAN_WIDTH), "label strong")
    _fan(canvas, held, ahead, (36, 28, FAN_WIDTH - 6, FAN_HEIGHT - 26))
    return canvas.markup("fan")


def _fan(
    canvas: Canvas,
    held: Sequence[Held],
    ahead: Sequence[Expected],
    frame: tuple[float, float, float, float],
    *,
    small: bool = False,
) -> None:
    left, top, right, bottom = frame
    first = ahead[0]
    seen = {h.year: h.observed for h in held if h.observed is not None}
    if first.last_observed is not None:
        seen.setdefault(first.last_year, first.last_observed)
    years = sorted({*seen, *(f.year for f in ahead)})
    start = max((t for t in seen if t < first.year), default=first.year)
    high = max([*seen.values(), *(f.upper for f in ahead)]) or 1.0
    x = scale(years[0], max(years[-1], years[0] + 1), left, right)
    y = scale(0, high * 1.03, bottom, top)
    if not small:
        for tick in ticks(0, high, 2):
            canvas.line(left, y(tick), right, y(tick), "grid")
            canvas.text(left - 6, y(tick) + 4, _thousands(tick), "tick", "end")
        for year, anchor in {years[0]: "start", years[-1]: "end"}.items():
            canvas.text(x(year), bottom + 16, year, "tick", anchor)
    origin = seen.get(start, first.predicted)
    xs = [x(start), *(x(f.year) for f in ahead)]
    lower = [y(origin), *(y(f.lower) for f in ahead)]
    upper = [y(origin), *(y(f.upper) for f in ahead)]
    canvas.area(xs, lower, upper, "cone ours")
    canvas.path([(x(t), y(v)) for t, v in sorted(seen.items())], "series seen")
    middle = [y(origin), *(y(f.predicted) for f in ahead)]
    canvas.path(zip(xs, middle, strict=True), "series ours")
    if not small:
        _fan_marks(canvas, held, seen, x, y)
    for f in ahead:
        tip = f"{f.label}, {f.year}: {number(f.predicted)} ({span(f.lower, f.upper)})"
        canvas.dot(x(f.year), y(f.predicted), 2.2 if small else 4, "dot ours", tip)


def _fan_marks(
    canvas: Canvas, held: Sequence[Held], seen: Mapping[int, float], x: Scale, y: Scale
) -> None:
    before = {h.year: h for h in held}
    for t, v in sorted(seen.items()):
        tip = f"{t}: {number(v)} counted"
        if t in before and before[t].predicted is not None:
            h = before[t]
            tip += f", {number(h.predicted)} forecast ({span(h.lower, h.upper)})"
        canvas.dot(x(t), y(v), 2.6, "mark seen", tip)


def _thousands(value: float) -> str:
    return (
        f"{number(value / 1000, 0 if value >= 10000 else 1)}k" if value >= 1000 else number(value)
    )
