"""A drawing as inline SVG: classes instead of colours, text always escaped, tips for the mouse."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

Scale = Callable[[float], float]

WIDE, NARROW = 760, 350


class Canvas:
    """Collect shapes of one drawing; `markup` returns them as an accessible `<svg>`."""

    def __init__(self, width: float, height: float, label: str, name: str) -> None:
        self.width, self.height, self.label, self.name = width, height, label, name
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, cls: str = "grid") -> None:
        """Draw a straight line."""
        self._add(f'<line class="{cls}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>')

    def rect(
        self, x: float, y: float, width: float, height: float, cls: str, tip: str = "", r: float = 0
    ) -> None:
        """Draw a box."""
        round_ = f' rx="{_n(r)}"' if r else ""
        self._add(
            f'<rect class="{cls}" x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" '
            f'height="{_n(max(height, 0))}"{round_}{self._tip(tip)}/>'
        )

    def dot(self, x: float, y: float, r: float, cls: str, tip: str = "") -> None:
        """Draw a dot."""
        self._add(f'<circle class="{cls}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}"{self._tip(tip)}/>')

    def text(self, x: float, y: float, words: object, cls: str = "", anchor: str = "start") -> None:
        """Write text; `anchor` is start, middle or end."""
        self._add(
            f'<text class="{cls}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(words)}'
            "</text>"
        )

    def turned(self, x: float, y: float, words: object, cls: str = "") -> None:
        """Write text that rises to the right."""
        self._add(
            f'<text class="{cls}" transform="translate({_n(x)} {_n(y)}) rotate(-38)">'
            f"{escape(words)}</text>"
        )

    def path(self, points: Iterable[tuple[float, float]], cls: str, tip: str = "") -> None:
        """Draw a line through points."""
        self.shape("M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points), cls, tip)

    def area(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], cls: str
    ) -> None:
        """Fill between two lines."""
        forth = [f"{_n(x)} {_n(y)}" for x, y in zip(xs, low, strict=True)]
        back = [f"{_n(x)} {_n(y)}" for x, y in zip(xs, high, strict=True)][::-1]
        self.shape("M" + "L".join(forth + back) + "z", cls)

    def shape(self, d: str, cls: str, tip: str = "", extra: str = "") -> None:
        """Draw an SVG path; `d` and `extra` come from us, never from data."""
        self._add(f'<path class="{cls}" d="{d}"{self._tip(tip)}{extra}/>')

    def open(self, cls: str, tip: str = "") -> None:
        """Begin a group."""
        self._add(f'<g class="{cls}"{self._tip(tip)}>')

    def close(self) -> None:
        """End a group."""
        self._add("</g>")

    def markup(self, cls: str = "") -> Markup:
        """Return the drawing."""
        head = (
            f'<svg class="chart {cls}" viewBox="0 0 {_n(self.width)} {_n(self.height)}" '
            f'role="img" aria-label="{escape(self.label)}" data-name="{escape(self.name)}">'
        )
        # Every part was escaped where it was made; joining plain text is ten times as fast.
        return Markup("".join([head, *self._parts, "</svg>"]))

    def _tip(self, tip: str) -> str:
        return f' data-tip="{escape(tip)}"' if tip else ""

    def _add(self, part: str) -> None:
        self._parts.append(part)


ROWS_TOP = 30  # of a dot plot, for its ticks


def row_height(narrow: bool) -> int:
    """Return the pixels of a row of a dot plot; on narrow screens its label stands above it."""
    return 38 if narrow else 24


def dot_row(
    canvas: Canvas,
    i: int,
    label: str,
    tip: str,
    at: tuple[float, float, float],
    *,
    left: float,
    tone: str,
) -> None:
    """Draw row `i` of a dot plot: label, interval and dot.

    `at` are the places of low end, dot and high end, `left` where the plot begins; rows of the
    tone "gx" are grey.
    """
    narrow = canvas.width < 500
    y0 = ROWS_TOP + i * row_height(narrow)
    y = y0 + (26 if narrow else row_height(narrow) / 2)
    canvas.open(f"row{' null' if tone == 'gx' else ''}", tip)
    canvas.rect(0, y0, canvas.width, row_height(narrow), "hit")
    if narrow:
        canvas.text(left, y0 + 14, cut(label, canvas.width - 30), "label")
    else:
        canvas.text(left - 14, y + 4.5, cut(label, left - 14), "label", "end")
    canvas.line(at[0], y, at[2], y, f"whisker {tone}")
    canvas.dot(at[1], y, 5, f"dot {tone}")
    canvas.close()


TICK_ROOM = 44  # pixels from one tick to the next, so that their words do not touch


def spread_ticks(values: Sequence[float], at: Scale) -> list[float]:
    """Keep zero, and of the other ticks those that leave room for their words."""
    kept = [v for v in values if v == 0]
    for value in sorted(values, key=abs):
        if all(abs(at(value) - at(k)) >= TICK_ROOM for k in kept):
            kept.append(value)
    return sorted(kept)


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """Return the linear map of [low, high] to [start, end]."""
    width = (high - low) or 1.0
    return lambda value: start + (value - low) / width * (end - start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers inside [low, high], some `about` of them.

    >>> ticks(0, 0.43)
    [0.0, 0.1, 0.2, 0.3, 0.4]
    """
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def both(draw: Callable[[int], Markup]) -> Markup:
    """Return a drawing twice, for wide and for narrow screens; the style shows one of them."""
    wide = Markup('<div class="wide">') + draw(WIDE) + Markup("</div>")
    return wide + Markup('<div class="narrow">') + draw(NARROW) + Markup("</div>")


def cut(text: str, room: float, size: float = 13) -> str:
    """Shorten text that would not fit into `room` pixels at a font of `size`.

    What tells it from its like, a last part after a comma or in brackets, stays if there is room.

    >>> cut("a short one", 200), cut("a much longer label than that", 60)
    ('a short one', 'a much…')
    >>> cut("Works with third countries, partner", 160)
    'Works with th…, partner'
    """
    most = _characters(room, size)
    if len(text) <= most:
        return text
    last = re.search(r"(, [^,]+| \([^()]+\))$", text)
    tail = last.group() if last and 2 * len(last.group()) <= most else ""
    return text[: max(most - 1 - len(tail), 1)].rstrip() + "…" + tail


def cut_apart(texts: Iterable[str], room: float) -> dict[str, str]:
    """Shorten texts as `cut` does; of those that would then be alike the end is kept.

    >>> alike = ["Works with third countries", "Works with third countries per capita"]
    >>> list(cut_apart(alike, 122).values())
    ['Works…d countries', 'Works…per capita']
    """
    shown = {text: cut(text, room) for text in texts}
    times = Counter(shown.values())
    most = _characters(room)
    head = most // 3
    for text, short in shown.items():
        if times[short] > 1:
            shown[text] = text[:head].rstrip() + "…" + text[head + 1 - most :].lstrip()
    return shown


def _characters(room: float, size: float = 13) -> int:
    return int(room / (size * 0.52))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
