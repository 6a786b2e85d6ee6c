"""Drawings of a comparison: a bump chart of ranks, and a heat map of agreements."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd
from markupsafe import Markup

from mlcoop.report.drawings.svg import Canvas, cut, cut_apart, scale
from mlcoop.report.names import base_group, number

WHOLE = 20  # experiments up to which a heat map shows both halves


def lines_shown(experiments: int) -> int:
    """Return how many lines of a bump chart the eye can follow over that many experiments."""
    return 30 if experiments <= 4 else 16 if experiments <= 8 else 12


def ranks_shown(ranks: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the ranks that a bump chart draws, a row a name, a column an experiment."""
    wide = ranks.pivot(index="name", columns="experiment", values="rank")[list(names)]
    # Over many experiments nearly every name is on top once: then the first ones of the mean.
    reached = wide.min(axis=1) if len(names) <= 8 else wide.mean(axis=1).rank()
    return wide[reached <= lines_shown(len(names))].sort_values(names[0], kind="stable")


def bump(
    ranks: pd.DataFrame, names: Sequence[str], colours: Mapping[str, int], kind: str, width: int
) -> Markup:
    """Draw the rank of every factor or group across experiments, one line each.

    Parameters
    ----------
    ranks : DataFrame
        `Comparison.ranks` of one kind.
    names : sequence of str
        Experiments from left to right.
    colours : mapping
        Colour number by group.
    """
    about = ranks.drop_duplicates("name").set_index("name")
    kept = ranks_shown(ranks, names)
    deepest = float(kept.to_numpy().max())
    narrow = width < 500
    step = 22 if deepest <= 40 else 15
    # Few experiments leave more room for the names of the lines than the lines need.
    side = 265 if len(names) <= 4 else 230
    left, right, top = (110, 26, 44) if narrow else (side, side, 44)
    height = top + step * deepest + 10
    x = scale(0, max(len(names) - 1, 1), left, width - right)
    y = scale(1, max(deepest, 2), top, height - 16)
    label = (
        f"Bump chart: rank of {len(kept)} {kind}s in {len(names)} experiments; "
        "the table below holds the same"
    )
    canvas = Canvas(width, height, label, f"bump-{kind}")
    room = (width - left - right) / max(len(names) - 1, 1)
    last = len(names) - 1
    # The first name begins at its line and the last one ends there, the others lie across theirs.
    reach = [6.3 * len(name) / (1 if i in (0, last) else 2) for i, name in enumerate(names)]
    need = 8 + max((a + b for a, b in pairwise(reach)), default=0)
    every = math.ceil(min(need, 115) / room)
    for i, name in enumerate(names):
        canvas.line(x(i), top - 12, x(i), height - 10, "grid")
        if i == last or (i % every == 0 and last - i >= every):
            anchor = "start" if i == 0 else "end" if i == last else "middle"
            canvas.text(x(i), top - 20, cut(name, max(room, 84), 12), "tick", anchor)
    labels = about.loc[kept.index, "label"].astype(str)
    on_left, on_right = cut_apart(labels, left - 16), cut_apart(labels, right - 16)
    for key, row in kept.iterrows():
        words, group = str(about.loc[key, "label"]), str(about.loc[key, "group"])
        tone = f"g{colours.get(base_group(group), 0)}"
        places = [(x(i), y(float(row[name]))) for i, name in enumerate(names)]
        canvas.open("line", f"{words}: {_courses(row, names)}")
        canvas.path(places, f"bumpline {tone}")
        if len(names) <= 20:  # beyond that dots would run together, and double the page
            for name, (px, py) in zip(names, places, strict=True):
                tip = f"{words}, {name}: rank {number(row[name])}"
                canvas.dot(px, py, 4, f"dot {tone}", tip)
        canvas.text(left - 12, places[0][1] + 4, on_left[words], "label", "end")
        if not narrow:
            canvas.text(places[-1][0] + 12, places[-1][1] + 4, on_right[words], "label")
        canvas.close()
    return canvas.markup("bump")


def _courses(row: pd.Series, names: Sequence[str]) -> str:
    shown = [number(row[n]) for n in names]
    return "rank " + " → ".join(shown if len(shown) <= 10 else [*shown[:5], "…", *shown[-4:]])


def heat(agreement: pd.DataFrame, names: Sequence[str], measure: str, width: int) -> Markup:
    """Draw one measure of agreement between all experiments as shaded squares.

    Parameters
    ----------
    agreement : DataFrame
        `Comparison.agreement` of one kind.
    """
    part = agreement[agreement["measure"] == measure]
    known = {
        (a, b): (value, low, high)
        for a, b, value, low, high in zip(
            part["experiment_a"],
            part["experiment_b"],
            part["value"],
            part["low"],
            part["high"],
            strict=True,
        )
    }
    n = len(names)
    left, top = (96, 64) if width < 500 else (150, 70)
    side = min((width - left - 8) / n, 64)
    label = f"Heat map of {measure} between {n} experiments; the table below holds the same"
    canvas = Canvas(width, top + side * n + 8, label, f"agreement-{measure}")
    whole = n <= WHOLE
    for i, name in enumerate(names):
        if side >= 11:
            canvas.text(left - 8, top + side * (i + 0.5) + 4, cut(name, left - 12), "tick", "end")
            canvas.turned(left + side * (i + 0.5) + 4, top - 8, cut(name, 84), "tick")
        # Both halves are the same; of many experiments the lower one is drawn alone.
        for j, other in enumerate(names if whole else names[: i + 1]):
            value, low, high = known.get((name, other)) or known.get((other, name)) or (1, 1, 1)
            bounds = "" if math.isnan(low) else f" ({number(low, 2)} to {number(high, 2)})"
            tip = f"{name} and {other}: {number(value, 2)}{bounds}" if i != j else ""
            x, y = left + side * j, top + side * i
            shade = "hs" if i == j else f"h{_shade(value)}"
            canvas.rect(x, y, side - 1, side - 1, f"cell {shade}", tip, 2)
            if i != j and side >= 30:
                tone = "tick on" if _shade(value) >= 3 else "tick in"
                canvas.text(x + side / 2, y + side / 2 + 4, number(value, 2), tone, "middle")
    return canvas.markup("heat")


def _shade(value: float) -> int:
    """Return one of five shades; agreement at or below zero is the lightest.

    >>> [_shade(v) for v in (-1, 0.1, 0.5, 0.99)]
    [0, 0, 2, 4]
    """
    return 0 if not value > 0 else min(int(value * 5), 4)
