"""All figures of a study in one call: what to ask for, in which order, whence it came."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from mlcoop.schema import INDICATORS, PAIR_YEAR, check
from mlcoop.sources import cepii, unvotes, worldbank
from mlcoop.sources.counted import count_works
from mlcoop.sources.imported import pair_files
from mlcoop.sources.imported.tables import IMPORTS
from mlcoop.sources.openalex import institution
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.openalex.institution import Institution
from mlcoop.sources.planning import plan
from mlcoop.sources.request import (
    IDEAL_POINT,
    TOTALS,
    GatherRequest,
    span,
    world_bank_variables,
)
from mlcoop.sources.service.cache import Record
from mlcoop.sources.service.http import BudgetSpent, Client, Progress
from mlcoop.sources.service.registry import SOURCES

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
    found = count_works(request, client, progress)
    counts, home = found.counts, found.home
    records, own, warnings = list(found.records), list(found.own), list(found.warnings)
    pieces = [found.totals] if TOTALS in request.variables else []
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
        pair_figures, read, lines = pair_files.pair_figures(
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
        countries=found.countries,
        years=found.years,
        institution=home,
        records=own + summarise(records, client),
        warnings=warnings + client.warnings,
        pair_figures=pair_figures,
    )


def _imported(record: Record) -> dict[str, object]:
    entry = IMPORTS[record.source]
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
