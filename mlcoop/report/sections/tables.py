"""Tables of the page: what a cell shows, and the number behind it for sorting and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mlcoop.features.catalogue import FACTORS
from mlcoop.report.drawings.charts_time import spark
from mlcoop.report.names import (
    country_name,
    first_of,
    listing,
    method_name,
    number,
    percent,
    plain,
    small_percent,
    span,
)
from mlcoop.report.numbers.content import Collinear, Missing, Planted, Ranked, Summary
from mlcoop.report.numbers.content_forecast import SetErrors

Value = str | float | int | None
MOST_ROWS = 1000  # of forecasts; a page of all pairs of the world would pass 5 MB


@dataclass(frozen=True)
class Column:
    """A column: `key` names it in the CSV ("" leaves it out), `shown` False only there."""

    key: str
    label: str
    numeric: bool = True
    shown: bool = True


@dataclass(frozen=True)
class Cell:
    """What is shown, the value behind it, and a style class."""

    text: str | Markup
    value: Value = None
    cls: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page; `ident` names element and file."""

    ident: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def words(text: str) -> Cell:
    """Return a cell that is sorted by what it says."""
    return Cell(text, text)


def hidden(*keys: str) -> list[Column]:
    """Return columns of numbers that only the downloaded table holds."""
    return [Column(key, key, shown=False) for key in keys]


def ranking(rows: Sequence[Ranked], kind: str, level: float) -> Table:
    """Return the ranking of factors or groups (`kind`) as in their CSV file."""
    at = percent(level)
    factor = kind == "factor"
    columns = [Column("rank", "Rank"), Column(kind, plain(kind), numeric=False)]
    columns += [Column("label", "label", numeric=False, shown=False)]
    if factor:
        columns += [Column("group", "Group", False), Column("role", "Role", False)]
    columns += [
        Column("tier", "Tier"),
        Column("", f"Ranks ({at})"),
        *hidden("rank_low", "rank_high"),
        Column("share", "Share"),
        Column("", f"Share ({at})"),
        *hidden("share_low", "share_high"),
    ]
    if factor:
        columns += [
            Column("direction", "Associated with", numeric=False),
            Column("effect_low_to_high", "Low to high value"),
            *hidden("effect_low", "effect_high"),
        ]
    columns.append(Column("above_null", "Above the null line", numeric=False))
    body = []
    for row in rows:
        cells = [Cell(str(row.rank), row.rank), Cell(row.label, row.key), words(row.label)]
        if factor:
            cells += [words(row.group), words(row.role)]
        cells += [
            Cell(str(row.tier), row.tier),
            Cell(span(row.rank_low, row.rank_high, joint="–"), row.rank_low),
            Cell("", row.rank_low),
            Cell("", row.rank_high),
            Cell(small_percent(row.share), row.share),
            Cell(span(row.share_low, row.share_high, small_percent, joint="–"), row.share_low),
            Cell("", row.share_low),
            Cell("", row.share_high),
        ]
        if factor:
            cells += [
                words(row.direction),
                Cell(percent(row.effect, signed=True), _times_100(row.effect)),
                Cell("", _times_100(row.effect_low)),
                Cell("", _times_100(row.effect_high)),
            ]
        cells.append(words("yes" if row.above_null else "no"))
        body.append(tuple(cells))
    return Table(f"{kind}s", f"Ranking of {kind}s", tuple(columns), tuple(body))


def _times_100(share: float | None) -> float | None:
    """Return per cent, as the folder's tables give effects."""
    return None if share is None else 100 * share


def errors(part: SetErrors) -> Table:
    """Return errors by year of the model and every baseline, the best baseline marked."""
    methods = sorted(part.errors, key=lambda m: (m != "model", part.errors[m]))
    columns = [Column("method", "Method", numeric=False), Column("all_years", "All years")]
    columns += [Column(str(year), str(year)) for year in part.by_year]
    body = []
    for method in methods:
        cls = "ours" if method == "model" else "rival" if method == part.best else ""
        cells = [Cell(method_name(method), method, cls)]
        cells.append(Cell(percent(part.errors[method], 1), part.errors[method], cls))
        for values in part.by_year.values():
            value = values.get(method)
            least = value is not None and value == min(values.values())
            cells.append(Cell(percent(value, 1), value, f"{cls} least" if least else cls))
        body.append(tuple(cells))
    caption = f"Error (WAPE) by year, {part.label}; the lowest of each year in bold"
    return Table(f"backtest-{part.key}", caption, tuple(columns), tuple(body))


def won_years(part: SetErrors) -> tuple[int, int]:
    """Return in how many years the model's error was below the best baseline's, and of how many."""
    both = [v for v in part.by_year.values() if "model" in v and part.best in v]
    return sum(v["model"] < v[str(part.best)] for v in both), len(both)


def calibration(summary: Summary) -> Table:
    """Return coverage and width of the intervals by set and year."""
    rows = summary.calibration
    years = sorted({y for r in rows for y in r.by_year})
    columns = [
        Column("set", "Pairs", numeric=False),
        Column("level", "Nominal"),
        Column("mean", "Coverage"),
        Column("width_share", "Width / count"),
        *(Column(str(y), str(y)) for y in years),
    ]
    body = tuple(
        (
            Cell(plain(r.label), r.key),
            Cell(percent(r.level), r.level),
            Cell(percent(r.mean, 1), r.mean),
            Cell(number(r.width, 2), r.width),
            *(Cell(percent(r.by_year.get(y)), r.by_year.get(y)) for y in years),
        )
        for r in rows
    )
    return Table("calibration", "Coverage of prediction intervals", tuple(columns), body)


def forecasts(summary: Summary) -> Table:
    """Return the forecasts as in `forecast.csv`, with a fan for each pair."""
    rows = summary.forecasts[:MOST_ROWS]
    level = percent(summary.forecasts[0].level) if rows else ""
    columns = [
        Column("", "Pair", numeric=False),
        *[Column(k, k, False, False) for k in ("country_a", "country_b")],
        Column("year", "Year"),
        Column("last_year", "Last year", shown=False),
        Column("last_observed", "Last count"),
        Column("predicted", "Forecast"),
        Column("", f"{level} interval"),
        *hidden("lower", "upper", "level"),
        Column("", "Change"),
        Column("", "Course", numeric=False),
    ]
    body = []
    for f in rows:
        picture = spark(summary.past.get((f.a, f.b), ()), [f])
        body.append(
            (
                Cell(f.label, f"{f.label} {f.a} {f.b}"),
                words(f.a),
                words(f.b),
                Cell(str(f.year), f.year),
                Cell("", f.last_year),
                Cell(number(f.last_observed), f.last_observed),
                Cell(number(f.predicted), f.predicted, "strong"),
                Cell(span(f.lower, f.upper, joint="–"), f.lower),
                Cell("", f.lower),
                Cell("", f.upper),
                Cell("", f.level),
                Cell(percent(f.change, signed=True), f.change),
                Cell(picture, f.change),
            )
        )
    more = len(summary.forecasts) - len(rows)
    which = first_of([f.year for f in summary.forecasts], len(rows)).capitalize()
    note = f"{which} are shown; {more:,} more are in forecast.csv." * (more > 0)
    return Table("forecast", "Forecasts", tuple(columns), tuple(body), note)


def factor_data(summary: Summary) -> Table:
    """Return source, lag and share of values available of every factor."""
    columns = [
        Column("factor", "Factor", numeric=False),
        *(Column(k, plain(k), numeric=False) for k in ("group", "role", "source")),
        Column("lag", "Lag in years"),
        Column("coverage", "Values available"),
    ]
    body = tuple(
        (
            Cell(r.label, r.key),
            words(r.group),
            words(r.role),
            words(r.source),
            words(r.lag),
            Cell(percent(r.coverage, 1), r.coverage),
        )
        for r in summary.factor_data
    )
    return Table("factor-data", "Sources and availability of the factors", tuple(columns), body)


def neighbours(found: Collinear) -> Table:
    """Return every factor's closest neighbour and suggested group, in the order of the tree."""
    columns = (
        Column("cluster", "Suggested group"),
        Column("factor", "Factor", numeric=False),
        Column("group", "Group of the catalogue", numeric=False),
        Column("neighbour", "Closest neighbour", numeric=False),
        Column("spearman", "Rank correlation"),
        Column("told", "Ranks distinguishable", numeric=False),
    )
    told = {None: "", True: "yes", False: "no"}
    body = tuple(
        (
            Cell(str(r.cluster), r.cluster),
            Cell(r.label, r.key),
            words(r.group),
            words(r.neighbour),
            Cell(number(r.spearman, 2), r.spearman, "strong" if r.close else ""),
            words(told[r.told]),
        )
        for r in found.rows
    )
    return Table("collinearity", "Collinearity: closest neighbours", columns, body)


def missing(found: Missing) -> Table:
    """Return the ranking under each treatment of missing values."""
    hows = {"own": "left missing", "impute": "imputed", "complete": "complete rows"}
    columns = (
        Column("factor", "Factor", numeric=False),
        Column("known", "Known"),
        Column("works_where_missing", "Works where missing"),
        *(Column(f"rank_{how}", f"Rank, {words}") for how, words in hows.items()),
        *hidden(*(f"share_{how}" for how in hows)),
    )
    body = tuple(
        (
            Cell(r.label, r.key),
            Cell(percent(r.known), r.known),
            Cell(percent(r.works), r.works),
            *(Cell(number(r.ranks[h]), r.ranks[h]) for h in hows),
            *(Cell(small_percent(r.shares[h]), r.shares[h]) for h in hows),
        )
        for r in found.rows
    )
    caption = (
        "The ranking under three treatments of missing values. Works where missing: mean of rows "
        "without the value, relative to rows with it"
    )
    return Table("missing", caption, columns, body)


def known_by_country(found: Missing) -> Table:
    """Return what share of the factors with missing values is known for each country."""
    columns = (
        Column("country", "Country", numeric=False),
        Column("known", "Known, of factors with missing values"),
        Column("never", "Never known", numeric=False),
    )
    rows = []
    for country, shares in found.by_country.items():
        mean = sum(shares.values()) / len(shares)
        # The folder's coverage.json names all; a cell of ten lines helps nobody.
        never = listing([label for label, share in shares.items() if share == 0], most=3)
        rows.append(
            (mean, (Cell(country_name(country), country), Cell(percent(mean), mean), words(never)))
        )
    body = tuple(row for _, row in sorted(rows, key=lambda r: (r[0], r[1][0].text)))
    return Table("known-by-country", "Values available by country", columns, body)


def left_out(summary: Summary) -> Table:
    """Return everything that was left out, with its reason."""
    columns = tuple(
        Column(k, label, numeric=k == "count")
        for k, label in (
            ("kind", "Kind"),
            ("what", "What"),
            ("reason", "Why"),
            ("count", "Rows or pairs"),
        )
    )
    body = tuple(
        (
            words(d.kind),
            Cell(_named(d.kind, d.what), d.what),
            words(d.reason),
            words("" if d.kind == "factor" else d.count),
        )
        for d in summary.left_out
    )
    return Table("left-out", "Excluded, and why", columns, body)


def _named(kind: str, what: str) -> str:
    if kind == "factor":
        return FACTORS[what].label if what in FACTORS else what
    name = country_name(what)
    return what if name == what else f"{name} ({what})"


def planted(rows: Sequence[Planted], level: float) -> Table:
    """Return the planted order beside the recovered one."""
    columns = (
        Column("factor", "Factor", numeric=False),
        Column("planted_rank", "Planted rank"),
        Column("importance", "Planted importance"),
        Column("recovered_rank", "Recovered rank"),
        Column("", f"Ranks ({percent(level)})"),
        *hidden("rank_low", "rank_high"),
    )
    body = tuple(
        (
            Cell(r.label, r.key),
            Cell(str(r.rank), r.rank),
            Cell(number(r.importance, 3), r.importance),
            Cell(number(r.recovered), r.recovered),
            Cell("–" if r.low is None else span(r.low, r.high, joint="–"), r.low),
            Cell("", r.low),
            Cell("", r.high),
        )
        for r in rows
    )
    return Table("planted", "Planted and recovered order (simulated)", columns, body)


def reference(rows: Iterable[tuple[str, int, float | None, float | None]]) -> Table:
    """Return published counts beside ours."""
    columns = (
        Column("domain", "Domain", numeric=False),
        Column("year", "Year"),
        Column("published", "Published"),
        Column("counted", "Counted here"),
        Column("", "Ratio"),
    )
    body = []
    for domain, year, published, counted in rows:
        ratio = counted / published if counted is not None and published else None
        body.append(
            (
                words(domain),
                Cell(str(year), year),
                Cell(number(published), published),
                Cell(number(counted), counted),
                Cell(number(ratio, 2), ratio),
            )
        )
    return Table("reference", "Published counts and ours", columns, tuple(body))
