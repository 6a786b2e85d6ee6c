"""The focus pairs on a world map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from mlcoop.report.drawings.svg import Canvas
from mlcoop.report.drawings.worldmap import HEIGHT, WIDTH, world
from mlcoop.report.names import country_name, number, percent, span
from mlcoop.report.numbers.content import Left
from mlcoop.report.numbers.content_forecast import Expected

CLASSES = 5


def map_values(
    forecasts: Sequence[Expected], focal: str | None
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the works expected next year for every country of the focus, and words for each.

    With a focal country a country's value is that of its pair with it; without, the sum over its
    pairs in the focus (no interval, since bounds do not add up).
    """
    values: dict[str, float] = {}
    words: dict[str, str] = {}
    year = forecasts[0].year if forecasts else None
    for f in (f for f in forecasts if f.year == year):
        for code in (f.a, f.b):
            if code == focal:
                continue
            values[code] = values.get(code, 0.0) + f.predicted
            if focal:
                change = "" if f.change is None else f", {percent(f.change, signed=True)}"
                words[code] = (
                    f"{country_name(code)}: {number(f.predicted)} works expected in {f.year} "
                    f"({span(f.lower, f.upper)}{change} from {f.last_year})"
                )
            else:
                total = number(values[code])
                words[code] = f"{country_name(code)}: {total} works expected in {f.year}, all pairs"
    return values, words


def classes(values: Sequence[float]) -> list[float]:
    """Return the upper bounds of at most five classes, at round numbers about the quintiles."""
    positive = np.array(sorted({v for v in values if v > 0}))
    if not len(positive):
        return []
    cuts = np.quantile(positive, np.linspace(0, 1, CLASSES + 1)[1:-1])
    rounded = sorted({_round(c) for c in cuts if c >= 1})
    return [*(c for c in rounded if positive[0] < c < positive[-1]), float("inf")]


def _round(value: float) -> float:
    power = 10 ** np.floor(np.log10(value))
    return float(min((m * power for m in (1, 1.5, 2, 3, 5, 7, 10)), key=lambda c: abs(c - value)))


def world_map(
    values: Mapping[str, float],
    words: Mapping[str, str],
    focal: str | None,
    left_out: Sequence[Left] = (),
    simulated: bool = False,
) -> tuple[Markup, list[tuple[str, str]]]:
    """Draw the map; return it with its legend as (class, words)."""
    shapes = world()
    bounds = classes(list(values.values()))
    dropped = {d.what: d.reason for d in left_out if d.kind == "country"}
    label = (
        f"World map: {len(values)} countries of the focus set shaded by works expected next year"
        f"{' (simulated)' if simulated else ''}; the table below holds the same figures"
    )
    canvas = Canvas(WIDTH, HEIGHT, label, "map")
    canvas.shape(shapes["rest"], "land")
    for code, d in shapes["outlines"].items():
        canvas.shape(d, *_look(code, values, words, focal, dropped, bounds))
    for code, (x, y) in shapes["points"].items():
        if code not in shapes["outlines"] and (code in values or code == focal):
            cls, tip, extra = _look(code, values, words, focal, dropped, bounds)
            canvas.shape(f"M{x - 9} {y}a9 9 0 1 0 18 0a9 9 0 1 0-18 0z", f"{cls} tiny", tip, extra)
    return canvas.markup("map"), _legend(bounds, focal, bool(dropped))


def _look(
    code: str,
    values: Mapping[str, float],
    words: Mapping[str, str],
    focal: str | None,
    dropped: Mapping[str, str],
    bounds: Sequence[float],
) -> tuple[str, str, str]:
    if code == focal:
        return "land focal", f"{country_name(code)}: the focal country", ""
    if code in values:
        place = next((i for i, b in enumerate(bounds) if values[code] <= b), 0)
        return f"land m{_shade(place, len(bounds))}", words[code], f' data-code="{code}"'
    if code in dropped:
        return "land dropped", f"{country_name(code)}: excluded ({dropped[code]})", ""
    return "land", "", ""


def _shade(place: int, of: int) -> int:
    return CLASSES - 1 if of <= 1 else round(place * (CLASSES - 1) / (of - 1))


def _legend(bounds: Sequence[float], focal: str | None, dropped: bool) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for i, bound in enumerate(bounds):
        low = number(bounds[i - 1]) if i else None
        if bound == float("inf"):
            text = f"more than {low}" if low else "expected works"
        else:
            text = f"{low} to {number(bound)}" if low else f"up to {number(bound)}"
        rows.append((f"m{_shade(i, len(bounds))}", text))
    if focal:
        rows.append(("focal", country_name(focal)))
    if dropped:
        rows.append(("dropped", "excluded"))
    return rows
