"""All figures of a study in one call: what to ask for, in which order, whence it came."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mlcoop.errors import DataError, some
from mlcoop.schema import INDICATORS, PAIR_YEAR, check
from mlcoop.sources import (
    cepii,
    collaboration,
    imported,
    institution,
    owncounts,
    snapshot_counts,
    unvotes,
    worldbank,
)
from mlcoop.sources.cache import Record
from mlcoop.sources.collaboration import Counts
from mlcoop.sources.complete_years import falls_short, name_holes
from mlcoop.sources.http import BudgetSpent, Client, Progress
from mlcoop.sources.institution import Institution
from mlcoop.sources.openalex import Filters
from mlcoop.sources.planning import plan
from mlcoop.sources.registry import SOURCES
from mlcoop.sources.request import (
    IDEAL_POINT,
    TOTALS,
    GatherRequest,
    choose,
    earliest,
    most_active_countries,
    partners_of,
    span,
    study_years,
    world_bank_variables,
)

__all__ = ["GatherRequest", "Gathered", "Filters", "gather", "plan", "summarise"]


@dataclass(frozen=True)
class Gathered:
    """The figures of a study.

    Attributes
    ----------
    counts : DataFrame
        `schema.COUNTS`: pairs that the source lists (partners outside `countries` too).
    covered : DataFrame of iso3, year
        Countries whose whole row is known in that year: a pair that `counts` does not list is a
        known zero where either end is covered, and missing otherwise.
    indicators : DataFrame
        `schema.INDICATORS`.
    ties : DataFrame
        `schema.TIES`; empty when not asked for.
    countries : list of str, ISO3
        Those that take part, most active first.
    years : (int, int)
        First and last year of counts, resolved.
    year_totals : dict of int to int
        The world's international works by year, which `years` was resolved with (empty for a
        user's own counts).
    institution : Institution or None
        The institution that was asked for; its code is an end of its pairs.
    records : list of dict
        One entry a source for provenance: source, address, date, sha256 (of one answer, or of the
        list of all checksums), licence, version, citation, answers.
    warnings : list of str
        Surprises and corrections, one line each.
    pair_figures : DataFrame
        `country_a, country_b, year` and the imported variables asked for; empty where there are
        none.
    """

    counts: pd.DataFrame
    covered: pd.DataFrame
    indicators: pd.DataFrame
    ties: pd.DataFrame
    countries: list[str]
    years: tuple[int, int]
    year_totals: dict[int, int] = field(default_factory=dict)
    institution: Institution | None = None
    records: list[dict[str, object]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pair_figures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PAIR_YEAR))


def gather(request: GatherRequest, client: Client, progress: Progress | None = None) -> Gathered:
    """Return all figures of a study, from the cache where they are in it.

    Raises
    ------
    BudgetSpent
        With the requests done and left of the whole study.
    ConfigError
        Years that the source does not hold whole.
    SourceError, DataError
        See the sources.
    """
    try:
        return _gather(request, client, progress)
    except BudgetSpent as error:
        steps = plan(request, client)
        raise error.counted(steps["cached"], steps["left"]) from None


def _gather(request: GatherRequest, client: Client, progress: Progress | None) -> Gathered:
    warnings: list[str] = []
    records: list[Record] = []
    own: list[dict[str, object]] = []
    pieces: list[pd.DataFrame] = []
    totals_by_year: dict[int, int] = {}
    home: Institution | None = None
    if request.own_counts is not None:
        counts, (first, last), countries, lines = _own(request)
        warnings += lines
        of = snapshot_counts if Path(request.own_counts).is_dir() else owncounts
        own.append({**of.describe(request.own_counts), "answers": 1})
        if TOTALS in request.variables:
            pieces.append(counts.totals)
    else:
        if request.institution is not None:
            home, seen, lines = institution.find(client, request.institution)
            records += seen
            warnings += lines
        totals_by_year, seen = collaboration.year_totals(client, *span(request), request.filters)
        records += seen
        first, last = study_years(request, totals_by_year)
        warnings += name_holes(totals_by_year, first, last, request.max_shortfall)
        held = [y for y in totals_by_year if first - request.years_before <= y <= last]
        totals, seen, lines = collaboration.country_totals(
            client, held, request.filters, must=request.countries, progress=progress
        )
        records += seen
        warnings += lines
        years = range(first, last + 1)
        if home is None:
            countries = most_active_countries(totals, request, years)
            counts = collaboration.counts(
                client, countries, years, request.filters, focal=request.focal, progress=progress
            )
            warnings += _disagreements(totals, counts.totals)
        else:
            countries = partners_of(home, totals, request, years)
            output_years = (earliest(request), last)
            counts = institution.counts(
                client, home, years, output_years, request.filters, progress=progress
            )
        records += counts.records
        warnings += counts.warnings
        if TOTALS in request.variables:
            pieces.append(totals)

    lo, hi = span(request)
    table, seen, lines = worldbank.indicators(
        client, world_bank_variables(request), lo, hi, progress=progress
    )
    pieces.append(table)
    records += seen
    warnings += lines
    if IDEAL_POINT in request.variables:
        answer, led = unvotes.fetch(client)
        points, lines = unvotes.tidy(answer.content)
        pieces.append(points[points["year"].between(lo, hi)])
        records += [answer.record, *(a.record for a in led)]
        warnings += lines
    ties = pd.DataFrame()
    if request.ties:
        answer = cepii.fetch(client)
        ties, lines = cepii.tidy(answer.content)
        records.append(answer.record)
        warnings += lines
    pair_figures = pd.DataFrame(columns=PAIR_YEAR)
    if request.pair_variables:
        pair_figures, read, lines = imported.pair_figures(
            client.cache, request.pair_variables, lo, hi
        )
        own += [_imported(record) for record in read]
        warnings += lines
    indicators = pd.concat(pieces, ignore_index=True)
    if home is not None:
        # Imported figures are its country's, as distances are.
        ties, pair_figures = (
            institution.with_home_pairs(home, table) for table in (ties, pair_figures)
        )
        indicators = institution.as_home(home, indicators, counts.totals)
    indicators = indicators.sort_values(["variable", "iso3", "year"], ignore_index=True)
    return Gathered(
        counts=counts.table,
        covered=counts.covered,
        indicators=check(indicators, INDICATORS, "indicators"),
        ties=ties,
        countries=countries,
        years=(first, last),
        year_totals=totals_by_year,
        institution=home,
        records=own + summarise(records, client),
        warnings=warnings + client.warnings,
        pair_figures=pair_figures,
    )


def _imported(record: Record) -> dict[str, object]:
    entry = imported.IMPORTS[record.source]
    return {
        "source": entry.label,
        "address": record.about["file"],
        "date": record.date,
        "sha256": record.about["file_sha256"],
        "licence": entry.licence,
        "version": record.version,
        "citation": entry.citation,
        "answers": 1,
    }


def summarise(records: Sequence[Record], client: Client) -> list[dict[str, object]]:
    """Return one provenance entry a source, with one checksum over all its answers."""
    entries: list[dict[str, object]] = []
    for name, source in SOURCES.items():
        mine = {(r.address, r.sha256): r for r in records if r.source == name}
        if not mine:
            continue
        ordered = [mine[key] for key in sorted(mine)]
        sums = [r.sha256 for r in ordered]
        digest = sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()
        entry: dict[str, object] = {
            "source": source.label,
            "address": ordered[0].address,
            "date": max(r.date for r in ordered),
            "sha256": digest,
            "licence": source.licence,
            "version": ordered[0].version,
            "citation": source.citation,
            "answers": len(ordered),
        }
        if client.overridden(name):
            entry["overridden"] = f"{source.url_env} is set: not the real service"
        entries.append(entry)
    return entries


class _Own(NamedTuple):
    """A user's own counts, their first and last year in the study, and its countries."""

    counts: Counts
    years: tuple[int, int]
    countries: list[str]
    warnings: list[str]


def own_countries(request: GatherRequest) -> list[str]:
    """Return the countries of a study of the user's own counts, most active first; ask nothing."""
    return _own(request).countries


def _own(request: GatherRequest) -> _Own:
    path = request.own_counts
    assert path is not None
    warnings: list[str] = []
    if Path(path).is_dir():
        counts = snapshot_counts.read_counts(path, request.filters, counting=request.counting)
    else:
        counts = owncounts.read(path, absent=request.absent)
    if counts.table.empty:
        raise DataError(f"{path}: no counts left under the target's filters")
    if Path(path).is_dir():
        # A snapshot's last years are as incomplete as those of the service.
        first, last = study_years(request, _works_by_year(counts))
    else:
        first, last, warnings = _own_years(request, counts)
        if request.absent == "zero":
            warnings += owncounts.unknown_pairs(counts, str(path))
    within = counts.table["year"].between(first, last)
    countries = choose(_own_activity(counts.table[within]), request)
    return _Own(counts, (first, last), countries, warnings)


def _own_years(request: GatherRequest, counts: Counts) -> tuple[int, int, list[str]]:
    """Return the years of a user's file, whose last year is taken at its word, with a warning."""
    works = _works_by_year(counts)
    first, last = request.first, max(works) if request.last is None else request.last
    absent = [y for y in range(first, last + 1) if y not in works]
    if absent or last < first:
        raise DataError(
            f"{request.own_counts}: holds no works of {some(absent) or first} (it has "
            f"{min(works)}-{max(works)}); change years, or add the rows"
        )
    lines = []
    if request.last is None and falls_short(works, last, request.max_shortfall):
        lines.append(
            f"{request.own_counts}: {last} may not be whole ({works[last]:,} works; "
            f"{works.get(last - 1, 0):,} in {last - 1}); if it is not, set years.end to {last - 1}"
        )
    return first, last, lines


def _works_by_year(counts: Counts) -> dict[int, int]:
    """Return the works of all pairs by year: a work of three countries counts three times."""
    return counts.table.groupby("year")["works"].sum().round().astype(int).to_dict()


def _own_activity(table: pd.DataFrame) -> pd.Series:
    ends = [table[[end, "works"]].set_axis(["iso3", "works"], axis=1) for end in table.columns[:2]]
    return pd.concat(ends).groupby("iso3")["works"].sum()


def _disagreements(totals: pd.DataFrame, own: pd.DataFrame) -> list[str]:
    """Name countries whose total in the year's list and in their own row differ."""
    both = totals.merge(own, on=["iso3", "year", "variable"], suffixes=("", "_own"))
    gap = (both["value"] - both["value_own"]).abs()
    odd = both[gap > 0.01 * both[["value", "value_own"]].max(axis=1)]
    if odd.empty:
        return []
    named = some(
        f"{iso3} {year} ({value:.0f} and {value_own:.0f})"
        for iso3, year, value, value_own in odd[["iso3", "year", "value", "value_own"]].itertuples(
            index=False
        )
    )
    return [f"OpenAlex: a country's works differ between the year's list and its row: {named}"]
