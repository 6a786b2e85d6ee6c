"""Summaries to self-contained pages: one HTML file, nothing fetched, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mlcoop.comparison import Comparison
from mlcoop.errors import counted
from mlcoop.report.comparison import comparison_content
from mlcoop.report.drawings import charts, charts_factors, charts_time, mapview
from mlcoop.report.drawings.svg import both
from mlcoop.report.drawings.worldmap import SOURCE, world
from mlcoop.report.names import country_name, listing, number, percent, plain, span
from mlcoop.report.numbers.content import Summary, Tuning
from mlcoop.report.numbers.content_forecast import SetErrors
from mlcoop.report.numbers.outlook import Outlook
from mlcoop.report.sections import outlook_tables, tables
from mlcoop.report.sections.beyond import (
    beyond_dots,
    beyond_sentences,
    beyond_table,
    farthest,
    years_of,
)
from mlcoop.report.sections.defence import defence_content
from mlcoop.report.sections.together import together_bars, together_sentence, together_table
from mlcoop.report.sentences.factors import collinear_sentences, missing_sentences
from mlcoop.report.sentences.study import skill_sentence
from mlcoop.report.summary import summarise
from mlcoop.schema import Experiment

FANS = 120  # drawn; beyond the first dozen the page shows those of the country asked for
CURVES = 12
EFFECTS = 15


def render_report(experiment: Experiment) -> str:
    """Return the report of a study as one self-contained HTML file.

    Parameters
    ----------
    experiment : Experiment
        A part that is None or empty is replaced by the reason, in its place.

    Returns
    -------
    str
        HTML; the numbers in it are those of `summarise`, raw in `data-v` beside each cell's text.
    """
    return page("report.html", study=experiment.name, **_content(summarise(experiment)))


def render_comparison(comparison: Comparison, *, title: str = "", over_time: bool = False) -> str:
    """Return the page of a comparison as one self-contained HTML file.

    Parameters
    ----------
    comparison : Comparison
    title : str
        Of a family of studies, "" for experiments that were merely named together.
    over_time : bool
        Whether the experiments are windows of years in order: a stream of shares is drawn then.
    """
    content = comparison_content(comparison, title, over_time)
    return page("comparison.html", study="comparison", **content)


def page(template: str, **content: Any) -> str:
    """Return a template of this package filled in, with style and script inside."""
    source = files("mlcoop.report").joinpath("templates")
    css = Markup(source.joinpath("page.css").read_text("utf-8"))
    js = Markup(source.joinpath("page.js").read_text("utf-8"))
    return _environment().get_template(template).render(css=css, js=js, **content)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mlcoop.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_hold_together,
    )
    environment.filters["body"] = _body
    return environment


def _body(table: tables.Table) -> Markup:
    """Return a table's rows; by hand, since a page can hold a hundred thousand cells."""
    looks = [
        "n" * column.numeric
        + " " * (column.numeric and not column.shown)
        + "off" * (not column.shown)
        for column in table.columns
    ]
    lines = []
    for row in table.rows:
        parts = ["<tr>"]
        for cell, look in zip(row, looks, strict=True):
            cls = f"{look} {cell.cls}".strip()
            raw = "" if cell.value is None else escape(str(cell.value))
            text = escape(_hold_together(cell.text))
            styled = f' class="{cls}"' if cls else ""
            parts.append(f'<td{styled} data-v="{raw}">{text}</td>')
        parts.append("</tr>")
        lines.append("".join(parts))
    return Markup("\n".join([*lines, ""]))


def _hold_together(value: Any) -> Any:
    """Keep a number and its per cent sign on one line; markup is left as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value.replace(" %", "\u00a0%")
    return value


def _content(s: Summary) -> dict[str, Any]:
    colours = charts.colour_index(s.factors, s.groups)
    values: dict[str, Any] = {
        "s": s,
        "simulated": s.simulated,
        "toc": _toc(s),
        "tiles": _tiles(s),
        "level": percent(s.rank_level),
        "fdr": percent(1 - s.rank_level),
        "tau": number(s.planted_tau, 2),
        "colours": colours,
        "has_null": any(not row.above_null for row in (*s.factors, *s.groups)),
        "roles": _roles(s),
        "tuning_words": [_tuning_words(t) for t in s.tuning],
        "country_list": ", ".join(sorted(country_name(c) for c in s.countries)),
        "left_out_table": tables.left_out(s),
        "data_table_rows": tables.factor_data(s),
        "data_drawing": _draw(
            any(f.coverage is not None for f in s.factor_data),
            lambda w: charts.data_bars(s.factor_data, w),
        ),
    }
    values |= _ranking_content(s, colours) | _factor_content(s, colours)
    values |= defence_content(s.defence) | _beyond_content(s)
    values |= _forecast_content(s) | _outlook_content(s.outlook) | _backtest_content(s)
    if s.reference:
        values["reference_table"] = tables.reference(s.reference.rows)
    return values


def _ranking_content(s: Summary, colours: dict[str, int]) -> dict[str, Any]:
    values: dict[str, Any] = {"effects_drawing": None, "effects_cut": EFFECTS}
    if s.planted:
        drivers = [p for p in s.planted if p.importance is None or p.importance > 0]
        values["planted_drawing"] = both(lambda w: charts.planted_slope(drivers, w))
        values["planted_table"] = tables.planted(s.planted, s.rank_level)
    if s.factors:
        values["ranking_drawing"] = both(
            lambda w: charts.ranking(
                s.factors, colours, w, title="Ranking of factors", name="ranking"
            )
        )
        told = [f for f in s.factors if f.effect is not None][:EFFECTS]
        if told:
            values["effects_drawing"] = both(lambda w: charts.effect_dots(told, colours, w))
        values["factor_table"] = tables.ranking(s.factors, "factor", s.rank_level)
    if s.dimensions:
        of = charts.group_colours(d.group for d in s.dimensions)
        values["dimension_drawing"] = both(
            lambda w: charts.ranking(
                s.dimensions, of, w, title="Ranking of dimensions", name="dimensions"
            )
        )
        values["dimension_table"] = tables.ranking(s.dimensions, "dimension", s.rank_level)
    if s.groups:
        values["group_drawing"] = both(
            lambda w: charts.ranking(
                s.groups, colours, w, title="Ranking of groups", name="groups", shown=99
            )
        )
        values["group_table"] = tables.ranking(s.groups, "group", s.rank_level)
    return values


def _factor_content(s: Summary, colours: dict[str, int]) -> dict[str, Any]:
    """Return what the page shows of the factors' own figures, curves and interactions."""
    values: dict[str, Any] = {}
    if s.collinear:
        found = s.collinear
        values |= {
            "collinear_words": collinear_sentences(found),
            "collinear_drawing": both(lambda w: charts_factors.correlation_map(found, colours, w)),
            "collinear_table": tables.neighbours(found),
        }
    if s.missing:
        gaps = s.missing
        values |= {
            "missing_words": missing_sentences(gaps),
            "known_drawing": both(lambda w: charts_factors.known_map(gaps, w)),
            "known_country_table": tables.known_by_country(gaps),
            "missing_table": tables.missing(gaps) if gaps.rows else None,
        }
    if s.curves:
        values["curves_drawing"] = both(lambda w: charts.effect_grid(s.curves[:CURVES], colours, w))
    if s.together:
        together = s.together
        values |= {
            "together_words": together_sentence(together),
            "together_drawing": both(lambda w: together_bars(together, w)),
            "together_table": together_table(together),
        }
    return values


def _beyond_content(s: Summary) -> dict[str, Any]:
    if not s.beyond:
        return {}
    drawn = farthest(s.beyond)
    return {
        "beyond_words": beyond_sentences(s.beyond, s.rank_level, s.neighbours),
        "beyond_years": years_of(s.beyond),
        "beyond_drawn": len(drawn),
        "beyond_drawing": both(lambda w: beyond_dots(drawn, w)),
        "beyond_table": beyond_table(s.beyond, s.rank_level),
    }


def _backtest_content(s: Summary) -> dict[str, Any]:
    values: dict[str, Any] = {"error_parts": [_error_part(part) for part in s.errors]}
    if s.calibration:
        values |= {
            "calibration_table": tables.calibration(s),
            "calibration_level": percent(s.calibration[0].level),
            "calibration_drawing": _draw(
                any(len(r.by_year) > 1 for r in s.calibration),
                lambda w: charts_time.calibration(s.calibration, w),
            ),
        }
    return values


def _draw(worth: bool, draw: Any) -> Markup | None:
    return both(draw) if worth else None


def _forecast_content(s: Summary) -> dict[str, Any]:
    if not s.forecasts:
        return {}
    ahead: dict[tuple[str, str], list] = {}
    for f in s.forecasts:
        ahead.setdefault((f.a, f.b), []).append(f)
    codes = {code for pair in ahead for code in pair} - {s.focal}
    content: dict[str, Any] = {
        "fans": [
            (a, b, charts_time.fan(s.past.get((a, b), ()), fs))
            for (a, b), fs in list(ahead.items())[:FANS]
        ],
        "pairs_ahead": len(ahead),
        "choices": sorted((country_name(code), code) for code in codes),
        "forecast_table": tables.forecasts(s),
        "forecast_level": percent(s.forecasts[0].level),
        "map_drawing": None,
    }
    map_values, words = mapview.map_values(s.forecasts, s.focal)
    if any(code in world()["points"] for code in map_values):
        drawing, legend = mapview.world_map(
            map_values, words, s.home, s.left_out, simulated=s.simulated
        )
        content |= {"map_drawing": drawing, "map_legend": legend, "map_source": _map_caption(s)}
    return content


def _outlook_content(outlook: Outlook) -> dict[str, Any]:
    farther = {r.horizon for r in outlook.horizons} > {1}
    return {
        "totals_table": outlook_tables.totals(outlook.totals) if outlook.totals else None,
        "surprises_table": outlook_tables.surprises(outlook.surprises)
        if outlook.surprises
        else None,
        "horizons_table": outlook_tables.horizons(outlook.horizons) if farther else None,
        "size_table": outlook_tables.by_size(outlook.by_size) if outlook.by_size else None,
    }


def _map_caption(s: Summary) -> str:
    year = s.forecasts[0].year
    what = "simulated works" if s.simulated else "works"
    return (
        f"{plain(what)} expected in {year} by country of the focus set. Select a country to see it "
        f"alone below. {SOURCE}"
    )


def _error_part(part: SetErrors) -> dict[str, Any]:
    won, of = tables.won_years(part)
    count = f" In {won} of {of} years the forecast had less error than that baseline." if of else ""
    drawing = _draw(len(part.by_year) > 1, lambda w: charts_time.errors_by_year(part, w))
    return {
        "label": plain(part.label),
        "sentence": skill_sentence(part) + count,
        "drawing": drawing,
        "table": tables.errors(part),
    }


def _toc(s: Summary) -> list[tuple[str, str]]:
    rows = [
        ("planted-order", "Planted order", bool(s.planted)),
        ("factors-ranking", "Factors", True),
        ("effects", "Effects", True),
        ("defence", "Robustness", s.defence is not None),
        ("alike", "Collinearity", s.collinear is not None),
        ("beyond", "Observed vs expected", bool(s.beyond)),
        ("forecasts", "Forecasts", True),
        ("backtest", "Backtest", True),
        ("intervals", "Intervals", True),
        ("published", "Published study", s.reference is not None),
        ("warnings", f"Warnings ({len(s.warnings)})", bool(s.warnings)),
        ("data", "Data", True),
        ("provenance", "Provenance", True),
    ]
    return [(ident, label) for ident, label, there in rows if there]


def _tiles(s: Summary) -> list[tuple[str, str, str]]:
    """Return the headline figures at the top of the page."""
    tiles = []
    if s.factors:
        first = s.factors[0]
        ranks = f"rank {span(first.rank_low, first.rank_high)} of {len(s.factors)}"
        note = f"{ranks} ({percent(s.rank_level)} confidence set)"
        if first.above_null is False:
            note += ", not distinguishable from chance"
        tiles.append(("Leading factor", first.label, note))
    if s.forecasts:
        rows = [f for f in s.forecasts if f.year == s.forecasts[0].year]
        total = sum(f.predicted for f in rows)
        tiles.append(
            (f"Works expected in {rows[0].year}", number(total), counted(len(rows), "pair"))
        )
    if s.errors and "model" in s.errors[0].errors:
        e = s.errors[0]
        note = {
            "won": "less than the best baseline",
            "lost": "more than the best baseline",
            "undecided": "not distinguishable from the best baseline",
        }[e.verdict]
        if e.verdict == "undecided" and e.skill_low is None:
            note = "no interval, so no verdict against the best baseline"
        error = percent(e.errors["model"], 1)
        tiles.append(("Forecast error (WAPE), one year ahead", error, note if e.best else ""))
    if s.calibration and s.calibration[0].mean is not None:
        c = s.calibration[0]
        tiles.append(("Interval coverage", percent(c.mean), f"nominal {percent(c.level)}"))
    return tiles


def _roles(s: Summary) -> str:
    shares: dict[str, float] = {}
    for f in s.factors:
        shares[f.role] = shares.get(f.role, 0.0) + f.share
    names = {
        "pair": "the pair itself",
        "partner": "the partner",
        "focal": country_name(s.focal) if s.focal else "the focal country",
        "both": "either country",
    }
    if len([r for r in shares if r]) < 2:
        return ""
    ordered: Sequence[tuple[str, float]] = sorted(shares.items(), key=lambda item: -item[1])
    return listing([f"{names.get(r, r or 'unnamed')} {percent(v)}" for r, v in ordered])


def _tuning_words(t: Tuning) -> str:
    model = f"the {t.model} model, " if t.model else ""
    text = f"{model}{t.trials} Optuna trials"
    if t.best is None or t.first is None:
        return text
    losses = f"first {number(t.first, 4)}, best {number(t.best, 4)}"
    return f"{text} (cross-validation loss: {losses})"
