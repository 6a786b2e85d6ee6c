"""Tables of the outlook: totals, surprises, and errors by how many years ahead."""

from __future__ import annotations

from collections.abc import Sequence

from mlcoop.report.names import method_name, number, percent, plain, span
from mlcoop.report.numbers.content_forecast import Calibration
from mlcoop.report.numbers.outlook import Ahead, Surprise, Total
from mlcoop.report.sections.tables import Cell, Column, Table


def totals(rows: Sequence[Total]) -> Table:
    """Return the totals of forecasts, the focus set and all pairs first."""
    level = percent(rows[0].level)
    columns = (
        Column("total", "Total over", numeric=False),
        Column("year", "Year"),
        Column("predicted", "Forecast"),
        Column("lower", f"{level} interval"),
        Column("upper", "upper", shown=False),
    )
    body = tuple(
        (
            Cell(plain(t.label), t.key),
            Cell(str(t.year), t.year),
            Cell(number(t.predicted), t.predicted),
            Cell(span(t.lower, t.upper, joint="–"), t.lower),
            Cell("", t.upper),
        )
        for t in rows
    )
    return Table("totals", "Totals of forecasts, with joint intervals", columns, body)


def surprises(rows: Sequence[Surprise]) -> Table:
    """Return the focus pairs whose last count fell outside its interval."""
    columns = (
        Column("pair", "Pair", numeric=False),
        Column("year", "Year"),
        Column("observed", "Count"),
        Column("lower", "Forecast interval"),
        Column("upper", "upper", shown=False),
        Column("change", "Change"),
        Column("expected", "Expected"),
        Column("shared", "Shared by all"),
        Column("factors", "Associated factors", numeric=False),
    )
    body = tuple(
        (
            Cell(r.label, r.label),
            Cell(str(r.year), r.year),
            Cell(number(r.observed), r.observed),
            Cell(span(r.lower, r.upper, joint="–"), r.lower),
            Cell("", r.upper),
            Cell(percent(r.change, signed=True), r.change),
            Cell(percent(r.expected, signed=True), r.expected),
            Cell(percent(r.shared, signed=True), r.shared),
            Cell(r.factors, r.factors),
        )
        for r in rows
    )
    return Table("surprises", "Latest counts outside their interval", columns, body)


def horizons(rows: Sequence[Ahead]) -> Table:
    """Return errors, skill and coverage by how many years ahead."""
    columns = (
        Column("horizon", "Years ahead"),
        Column("set", "Pairs", numeric=False),
        Column("origins", "Origins"),
        Column("wape", "Error (WAPE)"),
        Column("best_rule", "Best baseline", numeric=False),
        Column("best_wape", "Its error"),
        Column("skill", "Less error"),
        Column("skill_low", "90 % interval"),
        Column("skill_high", "upper", shown=False),
        Column("coverage", "Interval coverage"),
    )
    body = tuple(
        (
            Cell(str(r.horizon), r.horizon),
            Cell(plain(r.label), r.key),
            Cell(str(r.origins), r.origins),
            Cell(percent(r.error, 1), r.error),
            Cell(method_name(r.best), r.best),
            Cell(percent(r.best_error, 1), r.best_error),
            Cell(percent(r.skill, 1, signed=True), r.skill),
            Cell(_span(r.skill_low, r.skill_high), r.skill_low),
            Cell("", r.skill_high),
            Cell(percent(r.coverage), r.coverage),
        )
        for r in rows
    )
    return Table("horizons", "Errors by how many years ahead", columns, body)


def _span(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else span(low, high, lambda v: percent(v, 1))


def by_size(rows: Sequence[Calibration]) -> Table:
    """Return coverage by size of pair and year."""
    years = sorted({y for r in rows for y in r.by_year})
    columns = (
        Column("size", "Pairs by last count", numeric=False),
        Column("mean", "Coverage"),
        Column("width_share", "Width / count"),
        *(Column(str(y), str(y)) for y in years),
    )
    body = tuple(
        (
            Cell(plain(r.label), r.key),
            Cell(percent(r.mean, 1), r.mean),
            Cell(number(r.width, 2), r.width),
            *(Cell(percent(r.by_year.get(y)), r.by_year.get(y)) for y in years),
        )
        for r in rows
    )
    caption = "Coverage of prediction intervals by size of the pair"
    return Table("coverage-by-size", caption, columns, body)
