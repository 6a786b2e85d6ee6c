"""How many requests a study needs, how many are cached, and what today's allowance covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlcoop.sources import cepii, unvotes, worldbank
from mlcoop.sources.openalex import api, collaboration, institution
from mlcoop.sources.request import (
    IDEAL_POINT,
    GatherRequest,
    earliest,
    most_active_countries,
    span,
    study_years,
    world_bank_variables,
)
from mlcoop.sources.service.asking import Answer, Progress, Request
from mlcoop.sources.service.http import Client


def plan(request: GatherRequest, client: Client) -> dict[str, Any]:
    """Return how many requests a study needs, how many are cached and how many are left.

    Sends nothing. What is not known before the first answers (the last complete year, the most
    active countries, lists that need a second page) is counted as if the years ran to `this_year`
    and no list were cut; `exact` says that nothing was guessed so.

    Returns
    -------
    dict
        `needed`, `cached`, `left`, `exact`, and `by_source`: needed, cached and left by source.
        `allowance`: requests that OpenAlex allows until its next reset as it last said, or None;
        `allowance_a_day`: what it documents for this user, with or without a key;
        `days`: on how many days the fetch must be called, by these two; 0 when nothing is left.
    """
    wanted: list[Request] = []
    guessed, exact = 0, True
    if request.own_counts is None:
        wanted, guessed, exact = _openalex(request, client)
    lo, hi = span(request)
    for variable in world_bank_variables(request):
        codes = worldbank.CODES.get(variable, ())
        options = [worldbank.requests_for(code, variable, lo, hi) for code in codes]
        wanted += [next((r for r in options if client.cached(r)), r) for r in options[:1]]
    if request.ties:
        wanted.append(cepii.request(client))
    if IDEAL_POINT in request.variables:
        mirror = unvotes.file_request(unvotes.MIRROR_FILE)
        wanted.append(mirror if client.cached(mirror) else unvotes.listing_request())
    by_source: dict[str, dict[str, int]] = {}
    for r in {client.address(r): r for r in wanted}.values():
        row = by_source.setdefault(r.source, {"needed": 0, "cached": 0, "left": 0})
        row["needed"] += 1
        row["cached" if client.cached(r) else "left"] += 1
    if guessed:
        by_source["openalex"]["needed"] += guessed
        by_source["openalex"]["left"] += guessed
    allowance, usual = client.allowances.left("openalex"), client.allowances.a_day("openalex")
    return {
        "needed": sum(row["needed"] for row in by_source.values()),
        "cached": sum(row["cached"] for row in by_source.values()),
        "left": sum(row["left"] for row in by_source.values()),
        "exact": exact,
        "allowance": allowance,
        "allowance_a_day": usual,
        "days": _days(by_source.get("openalex", {}).get("left", 0), allowance, usual),
        "by_source": by_source,
    }


def _days(left: int, allowance: int | None, usual: int | None) -> int:
    """Return on how many days requests must be sent.

    >>> _days(0, None, 1000), _days(2500, None, 1000), _days(2500, 400, 1000), _days(300, 400, None)
    (0, 3, 4, 1)
    """
    if left <= 0 or usual is None:
        return int(left > 0)
    today = usual if allowance is None else allowance
    return 1 + max(0, -(-(left - today) // usual))


def _openalex(request: GatherRequest, client: Client) -> tuple[list[Request], int, bool]:
    """Return the requests known to be needed, how many more are guessed, and whether none is."""
    filters, reader = request.filters, _CacheReader(client)
    home = None
    # Only a study of an institution asks for its OpenAlex number and the two series of its output.
    output = 0 if request.institution is None else 2
    try:
        if request.institution is not None:
            home, _, _ = institution.find(reader, request.institution)
    except _NotCached:
        # Its other requests are known only when its number is.
        pass
    try:
        totals, _ = collaboration.year_totals(reader, *span(request), filters)
    except _NotCached:
        last = request.last or request.this_year
        years = range(earliest(request), last + 1)
        wanted = [*reader.asked, *(api.totals_request(y, filters) for y in years)]
        return wanted, _rows_guessed(request, last - request.first + 1) + output, False
    first, last = study_years(request, totals)
    held = [y for y in totals if first - request.years_before <= y <= last]
    try:
        table, _, _ = collaboration.country_totals(reader, held, filters, must=request.countries)
    except _NotCached:
        return reader.asked, _rows_guessed(request, last - first + 1) + output, False
    years = range(first, last + 1)
    if request.institution is not None:
        if home is None:
            return reader.asked, len(years) + output, False
        try:
            institution.counts(reader, home, years, (earliest(request), last), filters)
        except _NotCached:
            return reader.asked, 0, False
        return reader.asked, 0, True
    countries = most_active_countries(table, request, years)
    try:
        collaboration.counts(reader, countries, years, filters, focal=request.focal)
    except _NotCached:
        # Whether long lists will need the cursor shows only when all rows are there.
        return reader.asked, 0, False
    return reader.asked, 0, True


def _rows_guessed(request: GatherRequest, years: int) -> int:
    if request.institution is not None:
        return years
    if request.focal is not None:
        return len(set(request.focal)) * years
    return max(0, max(request.most_active, len(set(request.countries))) - 1) * years


class _NotCached(Exception):
    """An answer that later steps build on is not there."""


class _CacheReader:
    """A client that only reads the cache, and remembers all that it was asked for."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.asked: list[Request] = []

    def get(self, request: Request) -> Answer:
        """Return the cached answer."""
        return self.get_many([request])[0]

    def get_many(
        self,
        requests_: Sequence[Request],
        *,
        progress: Progress | None = None,
        what: str = "",
    ) -> list[Answer]:
        """Return cached answers, or raise when any is not there."""
        self.asked += requests_
        if not all(self.client.cached(r) for r in requests_):
            raise _NotCached
        return [self.client.get(r) for r in requests_]
