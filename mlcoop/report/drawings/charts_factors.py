"""Drawings about the factors' own figures: which move together, and which are missing."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from mlcoop.report.drawings.svg import Canvas, cut
from mlcoop.report.names import number, percent
from mlcoop.report.numbers.content import Collinear, Missing

SHADES = (0.3, 0.5, 0.65, 0.8, 0.95)  # absolute rank correlations at which a cell darkens


def correlation_map(found: Collinear, colours: Mapping[str, int], width: int) -> Markup:
    """Draw rank correlations of all factors in the tree's order, suggested groups framed.

    Only the lower half: the upper one holds the same. Labels stand at the diagonal, so they name
    row and column; weak correlations are left blank.
    """
    narrow = width < 500
    rows = found.drawn
    n = len(rows)
    row_height = 14 if narrow else 16
    room = 150 if narrow else 250
    left, top = 18, 8
    cell = (width - room - left) / n
    height = top + row_height * n + 6
    label = (
        f"Rank correlations of {n} factors, ordered so that factors that move together are "
        "neighbours; the table below names each factor's closest neighbour"
    )
    canvas = Canvas(width, height, label, "collinearity")
    for i, row in enumerate(rows):
        y = top + row_height * i
        canvas.dot(8, y + row_height / 2, 3.5, f"dot g{colours.get(row.group, 0)}", row.group)
        for j in range(i):
            other = rows[j]
            rho = found.correlations.get((row.key, other.key))
            rho = found.correlations.get((other.key, row.key)) if rho is None else rho
            if rho is None or abs(rho) < SHADES[0]:
                continue
            shade = sum(abs(rho) >= step for step in SHADES) - 1
            tone = f"{'n' if rho < 0 else 'h'}{shade}"
            tip = f"{row.label} and {other.label}: {number(rho, 2)}"
            canvas.rect(
                left + cell * j, y + 0.5, max(cell - 0.6, 1), row_height - 1, f"cell {tone}", tip
            )
        words = cut(row.label, width - left - cell * i - 14, 12)
        canvas.text(left + cell * i + 6, y + row_height - 4, words, "tick")
    start = 0
    for i in range(1, n + 1):
        if i == n or rows[i].cluster != rows[start].cluster:
            if i - start > 1:
                _frame(canvas, start, i, (left, top, cell, row_height))
            start = i
    return canvas.markup("collinearity")


def _frame(canvas: Canvas, start: int, end: int, frame: tuple[float, float, float, float]) -> None:
    """Draw the staircase around a suggested group's cells."""
    left, top, cell, row_height = frame
    x, y = left + cell * start, top + row_height * (start + 1)
    bottom = top + row_height * end
    points = [(x, y), (x, bottom), (left + cell * (end - 1), bottom)]
    for i in range(end - 1, start, -1):
        points += [(left + cell * i, top + row_height * i)]
        points += [(left + cell * (i - 1), top + row_height * i)]
    canvas.path([*points, (x, y)], "frame")


def known_map(found: Missing, width: int) -> Markup:
    """Draw the share of focus rows in which each factor with gaps is known, by year."""
    narrow = width < 500
    rows = found.by_year
    years = sorted({year for _, shares in rows for year in shares})
    row_height, top = 16, 24
    left = 150 if narrow else 300
    cell = (width - left - 6) / len(years)
    label = (
        f"Share of values available for {len(rows)} factors with missing values, {years[0]} to "
        f"{years[-1]}; the darker, the more"
    )
    canvas = Canvas(width, top + row_height * len(rows) + 6, label, "known")
    step = max(1, round(len(years) / (3 if narrow else 7)))
    for k, year in enumerate(years):
        if k % step == 0:
            canvas.text(left + cell * (k + 0.5), top - 8, str(year), "tick", "middle")
    for i, (name, shares) in enumerate(rows):
        y = top + row_height * i
        canvas.text(left - 8, y + row_height - 4, cut(name, left - 12), "tick", "end")
        for k, year in enumerate(years):
            share = shares.get(year, 0.0)
            shade = "hs" if share == 0 else f"h{min(int(share * 5), 4)}"
            tip = f"{name}, {year}: {percent(share)}"
            canvas.rect(left + cell * k, y + 0.5, cell - 0.6, row_height - 1, f"cell {shade}", tip)
    return canvas.markup("known")
