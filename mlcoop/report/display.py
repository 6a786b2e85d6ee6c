"""Short forms of results for a notebook: a card of sentences, a drawing and a table.

The drawings are the report's; their style is the page's, held inside the card so that nothing else
of a notebook changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from markupsafe import Markup, escape

from mlcoop.comparison import Comparison
from mlcoop.report.comparison import answer
from mlcoop.report.drawings import charts, charts_compare, charts_time
from mlcoop.report.drawings.svg import WIDE
from mlcoop.report.names import base_group, last_count_head, number, percent, small_percent, span
from mlcoop.report.numbers.content import Ranked, Summary

ROWS = 12
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
CARD = (
    "font: 14px/1.5 system-ui, sans-serif; color: #1c2430; background: #fbfaf7; "
    "padding: 14px 18px; border: 1px solid #dcd9d0; border-radius: 8px; max-width: 800px"
)
LAYOUT = (
    ".mlcoop .fans { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px } "
    ".mlcoop table { font: inherit; font-size: 13px; border-collapse: collapse; margin-top: 8px } "
    ".mlcoop td, .mlcoop th { text-align: left; padding: 3px 16px 3px 0 }"
)


def study_card(s: Summary) -> str:
    """Return a study as HTML: its question, the answer, and how far to trust it."""
    return _card(
        f"{s.title}{' (simulated)' if s.simulated else ''}",
        [s.asked],
        _list(s.answer),
        Markup("<b>How far to trust it</b>"),
        _list(s.trust),
    )


def ranking_card(s: Summary) -> str:
    """Return a ranking of factors as HTML: the first ones with their intervals, and groups."""
    if not s.factors:
        return _card("Ranking", [s.absent["factors"]])
    colours = charts.colour_index(s.factors, s.groups)
    shown = s.factors[:ROWS]
    drawing = charts.ranking(shown, colours, WIDE, title="Ranking of factors", name="ranking")
    heads = [
        "rank",
        "factor",
        f"ranks ({percent(s.rank_level)})",
        "tier",
        "share",
        "low to high",
        "",
    ]
    table = _table(heads, (_ranked(row) for row in shown))
    note = [f"The first {len(shown)} of {len(s.factors)} factors. Association, not cause."]
    return _card(f"Ranking of factors, {s.title}", note, drawing, table)


def _ranked(row: Ranked) -> list[str]:
    return [
        str(row.rank),
        row.label,
        span(row.rank_low, row.rank_high, joint="–"),
        str(row.tier),
        small_percent(row.share),
        percent(row.effect, signed=True),
        "" if row.above_null else "not distinguishable from chance",
    ]


def forecast_card(s: Summary) -> str:
    """Return a forecast as HTML: fans of the largest pairs, and a table."""
    if not s.forecasts:
        return _card("Forecast", [s.absent["forecasts"]])
    year = s.forecasts[0].year
    first = [f for f in s.forecasts if f.year == year][:ROWS]
    fans = Markup("").join(
        charts_time.fan(
            s.past.get((f.a, f.b), ()), [g for g in s.forecasts if (g.a, g.b) == (f.a, f.b)]
        )
        for f in first[:8]
    )
    grid = Markup('<div class="fans">{}</div>').format(fans)
    heads = ["pair", last_count_head(f.last_year for f in first), f"forecast {year}"]
    heads += [f"{percent(first[0].level)} interval", "change"]
    rows = (
        [
            f.label,
            number(f.last_observed),
            number(f.predicted),
            span(f.lower, f.upper, joint="–"),
            percent(f.change, signed=True),
        ]
        for f in first
    )
    return _card(f"Forecast for {year}, {s.title}", [s.answer[-1]], grid, _table(heads, rows))


def comparison_card(c: Comparison) -> str:
    """Return a comparison as HTML: what changed, and a bump chart of the groups."""
    kind = "group" if (c.ranks["kind"] == "group").any() else "factor"
    ranks = c.ranks[c.ranks["kind"] == kind]
    colours = charts.group_colours(ranks["group"].map(base_group))
    drawing = charts_compare.bump(ranks, c.names, colours, kind, WIDE)
    return _card(f"Rankings of {len(c.names)} studies compared", answer(c), drawing, _list(c.notes))


def _card(title: str, lead: Sequence[str], *parts: Markup) -> str:
    head = Markup("<h3 style='margin: 0 0 8px'>{}</h3>").format(title)
    paragraphs = Markup("").join(Markup("<p>{}</p>").format(text) for text in lead)
    body = Markup("").join([head, paragraphs, *parts])
    text = f'<style>{_style()}</style><div class="mlcoop" style="{CARD}">{body}</div>'
    return text.replace(" %", "\u00a0%")


def _list(lines: Iterable[str]) -> Markup:
    items = Markup("").join(Markup("<li>{}</li>").format(line) for line in lines)
    return Markup("<ul>{}</ul>").format(items)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(c)}</{tag}>' for c in cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return Markup(f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>")


@cache
def _style() -> str:
    """Return the page's rules for drawings, each held inside the card, in light colours."""
    css = files("mlcoop.report").joinpath("templates", "page.css").read_text("utf-8")
    variables = re.search(r":root \{([^}]*)\}", css)
    assert variables is not None
    rules = [f".mlcoop {{{variables.group(1).replace('light dark', 'light')}}}"]
    for selectors, body in RULE.findall(css):
        named = [s.strip() for s in selectors.split(",")]
        if all(s.startswith("svg") for s in named):
            rules.append(f"{', '.join(f'.mlcoop {s}' for s in named)} {{{body}}}")
    return " ".join(re.sub(r"\s+", " ", rule) for rule in [*rules, LAYOUT])
