"""The works that pairs of a study have together: of OpenAlex, an institution, or the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mlcoop.errors import DataError, some
from mlcoop.sources.openalex import collaboration, institution, snapshot_counts
from mlcoop.sources.openalex.collaboration import Counts
from mlcoop.sources.openalex.complete_years import falls_short, name_holes
from mlcoop.sources.openalex.institution import Institution
from mlcoop.sources.own import own_counts
from mlcoop.sources.request import (
    GatherRequest,
    choose,
    earliest,
    most_active_countries,
    partners_of,
    span,
    study_years,
)
from mlcoop.sources.service.cache import Record
from mlcoop.sources.service.http import Client, Progress


class Counted(NamedTuple):
    """Counts of pairs, and what came with them.

    Attributes
    ----------
    counts : Counts
    years : (int, int)
        First and last year of the study.
    countries : list of str, ISO3
        Those that take part, most active first.
    totals : DataFrame
        `schema.INDICATORS`: every country's international works.
    home : Institution or None
    records : list of Record
    own : list of dict
        Provenance of the user's own counts; empty where OpenAlex was asked.
    warnings : list of str
    """

    counts: Counts
    years: tuple[int, int]
    countries: list[str]
    totals: pd.DataFrame
    home: Institution | None
    records: list[Record]
    own: list[dict[str, object]]
    warnings: list[str]


def count_works(request: GatherRequest, client: Client, progress: Progress | None) -> Counted:
    """Return the works of the study's pairs; what a user has counted asks nothing.

    Raises
    ------
    ConfigError
        Years that the source does not hold whole.
    SourceError, DataError
        See the sources.
    """
    if request.own_counts is None:
        return _count_in_openalex(request, client, progress)
    found = read_own(request)
    of = snapshot_counts if Path(request.own_counts).is_dir() else own_counts
    told = {**of.describe(request.own_counts), "answers": 1}
    counts = found.counts
    return Counted(
        counts=counts,
        years=found.years,
        countries=found.countries,
        totals=counts.totals,
        home=None,
        records=[],
        own=[told],
        warnings=found.warnings,
    )


def _count_in_openalex(
    request: GatherRequest, client: Client, progress: Progress | None
) -> Counted:
    records: list[Record] = []
    warnings: list[str] = []

    def kept(seen: Sequence[Record], lines: Sequence[str] = ()) -> None:
        records.extend(seen)
        warnings.extend(lines)

    home = None
    if request.institution is not None:
        home, seen, lines = institution.find(client, request.institution)
        kept(seen, lines)
    year_totals, seen = collaboration.year_totals(client, *span(request), request.filters)
    first, last = study_years(request, year_totals)
    kept(seen, name_holes(year_totals, first, last, request.max_shortfall))
    held = [y for y in year_totals if first - request.years_before <= y <= last]
    totals, seen, lines = collaboration.country_totals(
        client, held, request.filters, must=request.countries, progress=progress
    )
    kept(seen, lines)
    years = range(first, last + 1)
    if home is None:
        countries = most_active_countries(totals, request, years)
        counts = collaboration.counts(
            client, countries, years, request.filters, focal=request.focal, progress=progress
        )
        kept([], _disagreements(totals, counts.totals))
    else:
        countries = partners_of(home, totals, request, years)
        output_years = (earliest(request), last)
        counts = institution.counts(
            client, home, years, output_years, request.filters, progress=progress
        )
    kept(counts.records, counts.warnings)
    return Counted(
        counts=counts,
        years=(first, last),
        countries=countries,
        totals=totals,
        home=home,
        records=records,
        own=[],
        warnings=warnings,
    )


class OwnCounts(NamedTuple):
    """A user's own counts, their study's first and last year, its countries, most active first."""

    counts: Counts
    years: tuple[int, int]
    countries: list[str]
    warnings: list[str]


def read_own(request: GatherRequest) -> OwnCounts:
    """Return the user's own counts, with the years and countries of their study; ask nothing."""
    path = request.own_counts
    assert path is not None
    warnings: list[str] = []
    if Path(path).is_dir():
        counts = snapshot_counts.read_counts(path, request.filters, counting=request.counting)
    else:
        counts = own_counts.read(path, absent=request.absent)
    if counts.table.empty:
        raise DataError(f"{path}: no counts left under the target's filters")
    if Path(path).is_dir():
        # A snapshot's last years are as incomplete as those of the service.
        totals = _works_by_year(counts)
        first, last = study_years(request, totals)
        warnings = name_holes(totals, first, last, request.max_shortfall)
    else:
        first, last, warnings = _own_years(request, counts)
        if request.absent == "zero":
            warnings += own_counts.unknown_pairs(counts, str(path))
    within = counts.table["year"].between(first, last)
    countries = choose(_own_activity(counts.table[within]), request)
    return OwnCounts(counts, (first, last), countries, warnings)


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
            f"{request.own_counts}: {last} may be incomplete ({works[last]:,} works; "
            f"{works.get(last - 1, 0):,} in {last - 1}); if it is, set years.end to {last - 1}"
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
    return [f"OpenAlex: a country's works differ between the year's list and its own row: {named}"]
