"""What the cache holds, and whether it still is what it was."""

from __future__ import annotations

from collections import Counter, defaultdict

import pandas as pd

from mlcoop.sources import unvotes, worldbank
from mlcoop.sources.imported.tables import IMPORTS
from mlcoop.sources.openalex.api import by_country, describe, read_filter, read_groups
from mlcoop.sources.request import GatherRequest, span
from mlcoop.sources.service.cache import Cache, Record
from mlcoop.sources.service.registry import SOURCES

COLUMNS = [
    "source",
    "what",
    "filters",
    "years",
    "answers",
    "countries",
    "bytes",
    "oldest",
    "newest",
]


def cache_status(cache: Cache, seen: pd.DataFrame) -> pd.DataFrame:
    """Return what is cached, a row for each source, kind of figure and choice of works.

    Parameters
    ----------
    seen : DataFrame
        `coverage` of the whole cache.

    Returns
    -------
    DataFrame
        `source`, `what` (collaboration rows, country totals, or the variable), `filters` (which
        works are counted; empty elsewhere), `years` (as ranges), `answers`, `countries` (most with
        a figure in one year, or asked for; empty where answers are not by country), `bytes`
        (uncompressed), `oldest` and `newest` (date of request, UTC).
    """
    groups: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    most = seen.groupby(["source", "what", "filters"])["countries"].max().to_dict()
    for _, record in cache.records():
        if record is not None:
            groups[_what(record)].append(record)
    rows = []
    for (source, what, filters), records in sorted(groups.items()):
        label = _label(source)
        countries = {r.about["country"] for r in records if "country" in r.about}
        dates = [r.date for r in records]
        rows.append(
            (
                label,
                what,
                filters,
                year_ranges({y for r in records for y in _years(r)}),
                len(records),
                max(len(countries), most.get((label, what, filters), 0)) or None,
                sum(r.size for r in records),
                min(dates),
                max(dates),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS).astype({"countries": "Int64"})


def coverage(cache: Cache, request: GatherRequest | None = None) -> pd.DataFrame:
    """Return for how many countries the cached answers have data, by year.

    Parameters
    ----------
    request : GatherRequest or None
        Count only the figures, years and (where it names some) countries of this study.

    Returns
    -------
    DataFrame
        `source`, `what`, `filters` as in `cache_status`, `year`, `countries`: those whose whole
        or cut row of the collaboration matrix is there, that a list of totals names, or that have
        a value of the indicator.
        This is the picture of `mlcoop data status`.
    """
    seen: dict[tuple[str, str, str], set[tuple[int, str]]] = defaultdict(set)
    for path, record in cache.records():
        if record is None:
            continue
        kind = record.about.get("kind")
        if kind == "totals":
            hit = cache.read(record.source, path.stem)
            seen[_what(record)].update(_listed(record, hit[0]) if hit else ())
        elif kind == "row":
            seen[_what(record)].update((y, record.about["country"]) for y in _years(record))
        elif kind == "indicator":
            hit = cache.read(record.source, path.stem)
            seen[_what(record)].update(_with_value(record, hit[0]) if hit else ())
    rows = []
    for (source, what, filters), pairs in sorted(seen.items()):
        label = _label(source)
        if request is not None:
            pairs = _wanted(pairs, source, what, filters, request)
        for year, countries in sorted(Counter(year for year, _ in pairs).items()):
            rows.append((label, what, filters, year, countries))
    return pd.DataFrame(rows, columns=["source", "what", "filters", "year", "countries"])


def _wanted(
    pairs: set[tuple[int, str]], source: str, what: str, filters: str, request: GatherRequest
) -> set[tuple[int, str]]:
    """Return the years and countries of a figure that a study reads."""
    lo, hi = span(request)
    if source == "openalex":
        if request.own_counts is not None or filters != describe(request.filters):
            return set()
    elif what not in request.variables:
        return set()
    countries = {*request.countries, *(request.focal or ())}
    if countries and not request.most_active:
        pairs = {pair for pair in pairs if pair[1] in countries}
    return {pair for pair in pairs if lo <= pair[0] <= hi}


def year_ranges(years: set[int]) -> str:
    """Return years as ranges.

    >>> year_ranges({2001, 2002, 2003, 2007})
    '2001-2003, 2007'
    """
    parts: list[list[int]] = []
    for year in sorted(years):
        if parts and year == parts[-1][1] + 1:
            parts[-1][1] = year
        else:
            parts.append([year, year])
    return ", ".join(f"{lo}-{hi}" if hi > lo else str(lo) for lo, hi in parts)


def _listed(record: Record, content: bytes) -> set[tuple[int, str]]:
    known, _ = by_country(read_groups(content).counts)
    return {(year, country) for year in _years(record) for country, n in known.items() if n}


def _label(source: str) -> str:
    entry = SOURCES.get(source) or IMPORTS.get(source)
    return entry.label if entry else source


def _with_value(record: Record, content: bytes) -> set[tuple[int, str]]:
    if record.source == "worldbank":
        table, _ = worldbank.tidy([content], "any")
    else:
        table, _ = unvotes.tidy(content)
    return set(zip(table["year"], table["iso3"], strict=True))


def _what(record: Record) -> tuple[str, str, str]:
    kind = record.about.get("kind", "")
    names = {
        "row": "collaboration rows",
        "institution row": "an institution's works by partner",
        "institution output": "an institution's works",
        "totals": "country totals",
        "years": "world totals",
        "ties": "distances and ties",
        "listing": "list of files",
    }
    if kind == "years" and "country" in record.about:
        kind = "totals"
    what = names.get(kind) or record.about.get("variable", kind)
    filters = read_filter(record.address) if record.source == "openalex" else ""
    return record.source, what, filters


def _years(record: Record) -> list[int]:
    if "year" in record.about:
        return [int(record.about["year"])]
    lo, dash, hi = record.about.get("years", "").partition("-")
    return list(range(int(lo), int(hi) + 1)) if dash else []
