"""What the cache holds by source, figure and year: a page with a heat map and its table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from mlcoop.report.drawings.svg import Canvas, both, cut
from mlcoop.report.names import plain
from mlcoop.report.render import page
from mlcoop.report.sections.tables import Cell, Column, Table

KEY = ["source", "what", "filters"]
SHADES = 5
ROW, GAP, HEAD = 17.0, 30.0, 34.0


def render_coverage(coverage: pd.DataFrame, answers: pd.DataFrame, title: str) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    coverage : DataFrame
        `status.coverage`: source, what, filters, year, countries.
    answers : DataFrame
        `status.cache_status`.
    """
    return page(
        "coverage.html",
        study="coverage",
        simulated=False,
        title=title,
        drawing=both(lambda width: heat(coverage, width)) if len(coverage) else None,
        legend=[(f"m{i}", words) for i, words in enumerate(_legend(coverage))],
        years=_table("countries-by-year", "Countries with a value, by year", _wide(coverage)),
        answers=_table("answers", "Cached answers", answers),
    )


def heat(coverage: pd.DataFrame, width: int) -> Markup:
    """Draw a row for each figure and a column for each year, shaded by countries that have it."""
    wide = width >= 500
    left, right = (250.0, 8.0) if wide else (120.0, 4.0)
    first, last = int(coverage["year"].min()), int(coverage["year"].max())
    side = (width - left - right) / (last - first + 1)
    groups = list(coverage.groupby(KEY, sort=False))
    sources = list(dict.fromkeys(str(key[0]) for key, _ in groups))
    height = HEAD + ROW * len(groups) + GAP * len(sources)
    label = (
        f"Heat map of {len(groups)} variables by year, {first} to {last}, shaded by the number of "
        "countries with a value; the table below holds the same"
    )
    canvas = Canvas(width, height, label, "coverage")
    step = 5 if side * 5 >= 34 else 10
    for year in range(first + (-first) % step, last + 1, step):
        canvas.text(left + (year - first + 0.5) * side, HEAD - 14, year, "tick", "middle")
    bounds = _bounds(coverage)
    y, source = HEAD + 12 - GAP, ""
    for key, part in groups:
        if str(key[0]) != source:
            source = str(key[0])
            y += GAP
            canvas.text(0, y - 7, source, "strong")
        canvas.text(left - 8, y + 12, cut(_name(key), left - 16), "tick", "end")
        known = dict(zip(part["year"], part["countries"], strict=True))
        for year in range(first, last + 1):
            n = int(known.get(year, 0))
            x = left + (year - first) * side
            shade = f"m{sum(n > bound for bound in bounds)}" if n else "land"
            tip = f"{_name(key)}, {year}: " + (f"{n} countries" if n else "nothing")
            canvas.rect(x, y, max(side - 1, 1), ROW - 2, f"cell {shade}", tip, 1)
        y += ROW
    return canvas.markup("coverage")


def _bounds(coverage: pd.DataFrame) -> list[int]:
    most = int(coverage["countries"].max()) if len(coverage) else 0
    return [round(most * i / SHADES) for i in range(1, SHADES)]


def _legend(coverage: pd.DataFrame) -> list[str]:
    if coverage.empty:
        return []
    bounds = [0, *_bounds(coverage), int(coverage["countries"].max())]
    return [
        f"{low + 1}–{high} countries" if high > low + 1 else f"{high} countries"
        for low, high in zip(bounds, bounds[1:], strict=False)
        if high > low
    ]


def _name(key: Sequence[object]) -> str:
    what = plain(str(key[1]))
    return f"{what}, {key[2]}" if key[2] and key[2] != "all fields" else what


def _wide(coverage: pd.DataFrame) -> pd.DataFrame:
    if coverage.empty:
        return coverage[KEY]
    wide = coverage.pivot_table(index=KEY, columns="year", values="countries", sort=False)
    return wide.sort_index(axis=1).fillna(0).astype(int).reset_index()


def _table(ident: str, caption: str, table: pd.DataFrame) -> Table:
    numeric = [pd.api.types.is_numeric_dtype(table[c]) for c in table.columns]
    columns = tuple(
        Column(str(c), plain(str(c)), numeric=n)
        for c, n in zip(table.columns, numeric, strict=True)
    )
    rows = tuple(
        tuple(
            Cell("–") if pd.isna(v) else Cell(f"{v:,}" if n else str(v), v)
            for v, n in zip(row, numeric, strict=True)
        )
        for row in table.itertuples(index=False, name=None)
    )
    return Table(ident, caption, columns, rows)
