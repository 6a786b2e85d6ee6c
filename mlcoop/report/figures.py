"""Figures of a study as PNG and SVG files, byte for byte the same for the same numbers."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from mlcoop.features.distribution import Distribution
from mlcoop.features.factor import Factor
from mlcoop.report.drawings.charts import colour_index
from mlcoop.report.figures_factors import correlation_map, distribution, known_map
from mlcoop.report.names import last_count_head, method_name, number, percent, percent_tick
from mlcoop.report.numbers.content import Ranked, Summary
from mlcoop.report.numbers.content_forecast import SetErrors

COLOURS = (  # as --g0 to --g9 in page.css
    *("#1f5f8b", "#b4532a", "#3b7a3d", "#7b4b94", "#a2790f"),
    *("#1b8a83", "#b8457f", "#7a35e0", "#4657b8", "#8c3b3b"),
)
GREY = "#9aa0a8"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e1d9",
    "grid.linewidth": 0.8,
    "text.parse_math": False,  # a dollar sign in a name is not mathematics
    "svg.hashsalt": "mlcoop",
    "svg.fonttype": "path",
    "figure.constrained_layout.use": True,
}
MOST_ROWS = 60


def draw_figures(s: Summary) -> dict[str, bytes]:
    """Return the study's figures, by file name.

    Returns
    -------
    dict from str to bytes
        `ranking`, `groups`, `backtest`, `forecast`, `collinearity`, `known`, `coverage` as
        `.png` and `.svg`; a figure whose stage is off is left out. No file carries a time or a
        version.
    """
    drawings: list[tuple[str, bool, Callable[[Summary], Figure]]] = [
        ("ranking", bool(s.factors), _ranking),
        ("groups", bool(s.groups), _groups),
        ("backtest", any(len(e.by_year) > 1 for e in s.errors), _backtest),
        ("forecast", bool(s.forecasts), _forecast),
        ("collinearity", s.collinear is not None, correlation_map),
        ("known", s.missing is not None, known_map),
        ("coverage", any(f.coverage is not None for f in s.factor_data), _coverage),
    ]
    files: dict[str, bytes] = {}
    for name, there, draw in drawings:
        if there:
            with rc_context(STYLE), warnings.catch_warnings():
                # told once, of names, by `names_not_drawn`
                warnings.filterwarnings("ignore", "Glyph .* missing from")
                figure = draw(s)
                # The layout is found once, for both files: it is half of the drawing's time.
                figure.draw_without_rendering()
                figure.set_layout_engine("none")
                files[f"{name}.png"] = _bytes(figure, "png", {"Software": None})
                files[f"{name}.svg"] = _bytes(figure, "svg", {"Date": None, "Creator": None})
    return files


def names_not_drawn(s: Summary) -> list[str]:
    """Return names of factors, groups and ends of pairs whose characters the font here lacks."""
    held = get_font(findfont(STYLE["font.family"])).get_charmap()
    rows = [r.label for r in (*s.factors, *s.groups)]
    names = dict.fromkeys([*rows, *s.countries, s.focal or ""])  # an institution has a name
    return [name for name in names if any(ord(sign) not in held for sign in name)]


def draw_distribution(
    factor: Factor, spread: Sequence[Distribution], study: str, form: str
) -> bytes:
    """Return a picture of a factor's distribution over a study's focus pairs, PNG or SVG."""
    with rc_context(STYLE):
        figure = distribution(factor, spread, study)
        return _bytes(figure, form, {"Software": None} if form == "png" else {"Date": None})


def _bytes(figure: Figure, form: str, metadata: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=150, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def _title(s: Summary, words: str) -> str:
    return f"{words} (simulated)" if s.simulated else words


def _dots(s: Summary, rows: Sequence[Ranked], title: str) -> Figure:
    rows = rows[:MOST_ROWS]
    colours = colour_index(s.factors, s.groups)
    figure = Figure(figsize=(7.2, 1.0 + 0.21 * len(rows)))
    axes = figure.add_subplot()
    for i, row in enumerate(rows):
        colour = COLOURS[colours.get(row.group, 0)] if row.above_null else GREY
        axes.plot([row.share_low, row.share_high], [i, i], color=colour, lw=1.6, alpha=0.6)
        axes.plot(row.share, i, "o", color=colour, ms=5)
        if i and row.tier != rows[i - 1].tier:
            axes.axhline(i - 0.5, color="#566072", lw=0.7, ls=":")
    axes.set_yticks(range(len(rows)), [f"{r.label}  {r.rank}" for r in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(percent_tick)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
    marks = []
    if len({r.tier for r in rows}) > 1:
        marks.append("dotted lines separate tiers")
    if any(not r.above_null for r in rows):
        marks.append("grey: not distinguishable from chance")
    axes.set_xlabel(
        f"share of the total importance, with {percent(s.rank_level)} intervals\n"
        + "; ".join(marks)
    )
    axes.set_title(_title(s, title))
    known = [r for r in rows if r.group in colours]
    coloured = dict.fromkeys(r.group for r in known if r.above_null)
    if coloured and 1 < len({r.group for r in known}) < len(rows):
        for group in coloured:
            axes.plot([], [], "o", color=COLOURS[colours[group]], label=group)
        axes.legend(frameon=False, loc="lower right")
    return figure


def _ranking(s: Summary) -> Figure:
    return _dots(s, s.factors, "Factors associated with collaboration")


def _groups(s: Summary) -> Figure:
    return _dots(s, s.groups, "Groups of factors")


def _backtest(s: Summary) -> Figure:
    parts = [e for e in s.errors if len(e.by_year) > 1]
    figure = Figure(figsize=(7.2, 3.0 * len(parts)))
    for i, part in enumerate(parts):
        axes = figure.add_subplot(len(parts), 1, i + 1)
        _errors(axes, part)
        axes.set_title(_title(s, f"Error one year ahead, {part.label}"))
    return figure


def _errors(axes: Any, part: SetErrors) -> None:
    for method in part.methods:
        years = [y for y in part.by_year if method in part.by_year[y]]
        values = [part.by_year[y][method] for y in years]
        look = {"model": ("#1f4e79", 2.4, 3), part.best: ("#b4532a", 1.8, 2)}
        colour, width, layer = look.get(method, (GREY, 0.9, 1))
        words = method_name(method) if layer > 1 else None
        axes.plot(years, values, color=colour, lw=width, zorder=layer, label=words)
    axes.plot([], [], color=GREY, lw=0.9, label="other baselines")
    axes.set_ylim(bottom=0)
    axes.set_xticks(list(part.by_year))
    axes.yaxis.set_major_formatter(percent_tick)
    axes.set_ylabel("WAPE")
    axes.legend(frameon=False, loc="lower left", ncols=3)


def _forecast(s: Summary) -> Figure:
    year = s.forecasts[0].year
    rows = [f for f in s.forecasts if f.year == year][:30]
    figure = Figure(figsize=(7.2, 1.0 + 0.22 * len(rows)))
    axes = figure.add_subplot()
    for i, f in enumerate(rows):
        axes.plot([f.lower, f.upper], [i, i], color="#1f4e79", lw=1.8, alpha=0.5)
        axes.plot(f.predicted, i, "o", color="#1f4e79", ms=5)
        if f.last_observed is not None:
            axes.plot(f.last_observed, i, "|", color="#1c2430", ms=9, mew=1.5)
    axes.set_yticks(range(len(rows)), [f.label for f in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if min(f.lower for f in rows) > 0:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda v, _: number(v))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    last = last_count_head(f.last_year for f in rows)
    axes.set_xlabel(f"works; bar: {last}, dot: forecast of {year}")
    level = percent(rows[0].level)
    axes.set_title(_title(s, f"Forecast for {year} with {level} intervals, largest pairs"))
    return figure


def _coverage(s: Summary) -> Figure:
    rows = [f for f in s.factor_data if f.coverage is not None][:MOST_ROWS]
    figure = Figure(figsize=(7.2, 1.0 + 0.2 * len(rows)))
    axes = figure.add_subplot()
    axes.barh(range(len(rows)), [f.coverage or 0.0 for f in rows], color="#1f5f8b", height=0.65)
    axes.set_yticks(range(len(rows)), [f.label for f in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(percent_tick)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(_title(s, "Share of values available, by factor"))
    return figure
