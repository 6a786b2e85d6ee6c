"""How many of a country's works are highly cited, international ones beside domestic ones.

Highly cited: among the top 10 % by citations of their field, type and year, as OpenAlex counts on
the day of the request. A year costs four lists of all countries; a study has one of them already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mlcoop.errors import ConfigError
from mlcoop.sources.openalex import api, collaboration
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.openalex.snapshot_counts import highly_cited_shares
from mlcoop.sources.request import GatherRequest, most_active_countries, span, study_years
from mlcoop.sources.service.asking import Asks, Progress, Request
from mlcoop.sources.service.cache import Record
from mlcoop.sources.service.http import BudgetSpent, Client

SPANS = {"international": ">1", "domestic": "1"}
SHARES = {name: f"share_{name}" for name in SPANS}
WORLD = "world"


@dataclass(frozen=True)
class Impact:
    """Highly cited works of countries and of the world.

    Attributes
    ----------
    table : DataFrame
        `iso3` (or "world"), `year`, `international`, `domestic` (works), `share_international`
        and `share_domestic` (of them highly cited; NaN where there are no works). A country with
        authors in a work has the whole work; the world has each once.
    records : list of Record
    warnings : list of str
    """

    table: pd.DataFrame
    records: list[Record] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def requests_for(years: Sequence[int], filters: Filters) -> list[Request]:
    """Return the requests that `fetch` sends; a country below a list's cut costs one more."""
    lo, hi = min(years), max(years)
    kinds = [(f, c) for f in _both(filters) for c in SPANS.values()]
    lists = [api.totals_request(year, f, countries=c) for f, c in kinds for year in years]
    return [*(api.years_request(lo, hi, f, countries=c) for f, c in kinds), *lists]


def fetch(
    client: Asks,
    years: Sequence[int],
    filters: Filters,
    countries: Sequence[str],
    *,
    progress: Progress | None = None,
) -> Impact:
    """Return the highly cited works of countries and of the world, by year.

    Parameters
    ----------
    filters : Filters
        Which works are looked at; its `highly_cited` does not matter.
    countries : sequence of str, ISO3

    Raises
    ------
    BudgetSpent, SourceError
        See `Client.get_many`; what was answered stays cached.
    """
    counted: dict[str, pd.Series] = {}
    records: list[Record] = []
    warnings: list[str] = []
    for name, countries_of in SPANS.items():
        for kind, chosen in zip(("", "top_"), _both(filters), strict=True):
            answer = client.get(
                api.years_request(min(years), max(years), chosen, countries=countries_of)
            )
            world = api.read_groups(answer.content).counts
            totals, seen, lines = collaboration.country_totals(
                client, years, chosen, must=countries, countries=countries_of, progress=progress
            )
            records += [answer.record, *seen]
            warnings += lines
            totals = totals[totals["iso3"].isin(countries)]
            series = totals.set_index(["iso3", "year"])["value"]
            of_world = {(WORLD, y): float(world.get(str(y), 0)) for y in years}
            counted[kind + name] = pd.concat([series, pd.Series(of_world)])
    table = pd.DataFrame(counted).rename_axis(["iso3", "year"]).fillna(0).reset_index()
    return Impact(_shares(table, "year"), records, list(dict.fromkeys(warnings)))


def of_study(request: GatherRequest, client: Client, progress: Progress | None = None) -> Impact:
    """Return the highly cited works of a study's own countries, in its years of counts.

    Those that the study names, or else the most active ones. An aggregated snapshot is counted
    where it lies; a user's own table of counts knows no citations.

    Raises
    ------
    BudgetSpent
        With the requests done and left of all.
    """
    if request.own_counts is not None:
        return _of_snapshot(request)
    try:
        return _asked(request, client, progress)
    except BudgetSpent as error:
        steps = plan(request, client)
        raise error.counted(steps["cached"], steps["left"]) from None


def _asked(request: GatherRequest, client: Client, progress: Progress | None) -> Impact:
    totals, records = collaboration.year_totals(client, *span(request), request.filters)
    first, last = study_years(request, totals)
    years = range(first, last + 1)
    countries: Sequence[str] = request.countries
    warnings: list[str] = []
    if not countries:
        active, seen, warnings = collaboration.country_totals(client, years, request.filters)
        records += seen
        countries = most_active_countries(active, request, years)
    found = fetch(client, years, request.filters, countries, progress=progress)
    return Impact(found.table, records + found.records, [*warnings, *found.warnings])


def plan(request: GatherRequest, client: Client) -> dict[str, Any]:
    """Return how many requests `of_study` needs, how many are cached and how many are left.

    Without a last year in the config, as if the years ran to the current one; `exact` says whether.
    """
    if request.own_counts is not None:
        _refuse_a_table(request)
        return {"needed": 0, "cached": 0, "left": 0, "exact": True}
    years = range(request.first, (request.last or request.this_year) + 1)
    wanted = requests_for(years, request.filters)
    wanted.append(api.years_request(*span(request), request.filters))
    if not request.countries:
        wanted += [api.totals_request(year, request.filters) for year in years]
    addresses = {client.address(r): client.cached(r) for r in wanted}
    cached = sum(addresses.values())
    return {
        "needed": len(addresses),
        "cached": cached,
        "left": len(addresses) - cached,
        "exact": request.last is not None,
        "allowance": client.allowances.left("openalex"),
        "allowance_a_day": client.allowances.a_day("openalex"),
    }


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Return the shares over all years of a table such as `Impact.table`, most works first."""
    tops = {f"top_{n}": (table[SHARES[n]] * table[n]).fillna(0) for n in SPANS}
    sums = table.assign(**tops).groupby("iso3")[[*SPANS, *tops]].sum().reset_index()
    order = ["international", "iso3"]
    return _shares(sums).sort_values(order, ascending=[False, True], ignore_index=True)


def claim(table: pd.DataFrame) -> list[str]:
    """Say in sentences how often international works are highly cited, compared with domestic."""
    both = pooled(table).dropna()
    lines = [
        f"Worldwide {w.share_international:.1%} of international works and "
        f"{w.share_domestic:.1%} of domestic works are highly cited."
        for w in both[both["iso3"] == WORLD].itertuples()
    ]
    both = both[both["iso3"] != WORLD]
    if len(both):
        abroad, home = (both[column] for column in SHARES.values())
        lines.append(
            f"In {(abroad > home).sum()} of {len(both)} countries international works are highly "
            f"cited more often than domestic works (medians {abroad.median():.1%} and "
            f"{home.median():.1%}). This does not show that international collaboration brings "
            "citations: numbers of authors, funding and fields differ too."
        )
    return lines


def _refuse_a_table(request: GatherRequest) -> None:
    if not Path(str(request.own_counts)).is_dir():
        raise ConfigError(
            f"{request.own_counts}: a table of counts knows no citations; give an aggregated "
            "snapshot, or source: openalex"
        )


def _of_snapshot(request: GatherRequest) -> Impact:
    _refuse_a_table(request)
    table = highly_cited_shares(str(request.own_counts), request.filters)
    works = table.groupby("year")["international"].sum().astype(int).to_dict()
    table = table[table["year"].between(*study_years(request, works))]
    if request.countries:
        table = table[table["iso3"].isin(request.countries)]
    return Impact(table.reset_index(drop=True))


def _both(filters: Filters) -> tuple[Filters, Filters]:
    return replace(filters, highly_cited=False), replace(filters, highly_cited=True)


def _shares(table: pd.DataFrame, *keys: str) -> pd.DataFrame:
    for name in SPANS:
        works = table[name].where(table[name] > 0)
        table = table.assign(**{SHARES[name]: table[f"top_{name}"] / works})
    return table[["iso3", *keys, *SPANS, *SHARES.values()]]
