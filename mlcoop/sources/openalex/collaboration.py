"""From answers of OpenAlex to collaboration counts, country totals and the last complete year."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from mlcoop.countries import iso2_of
from mlcoop.errors import some
from mlcoop.schema import COUNTS, INDICATORS, PAIR_YEAR, check
from mlcoop.sources.frames import covered_frame, indicator_frame
from mlcoop.sources.openalex import api
from mlcoop.sources.openalex.api import Filters, Groups
from mlcoop.sources.service.asking import Asks, Progress, Request
from mlcoop.sources.service.cache import Record

WHERE = "OpenAlex"
TOTALS = "international_works"
Key = TypeVar("Key", bound=Hashable)
# A country's works seldom change by more than this factor from one year to the next.
PLAUSIBLE_RATIO = 3.0
ENOUGH_TO_JUDGE = 300


@dataclass(frozen=True)
class Counts:
    """Collaboration counts and how far they are known.

    Attributes
    ----------
    table : DataFrame
        `schema.COUNTS`: works of a pair in a year, full counting, only pairs that a row lists.
    covered : DataFrame of iso3, year
        Countries whose whole row was read in that year. A pair that `table` does not list is a
        known zero where either end is covered, and missing otherwise.
    totals : DataFrame
        `schema.INDICATORS`, variable `international_works`, of the countries whose row was read.
    records : list of Record
    warnings : list of str
        Surprises of the answers, one line a kind.
    """

    table: pd.DataFrame
    covered: pd.DataFrame
    totals: pd.DataFrame
    records: list[Record] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def year_totals(
    client: Asks, lo: int, hi: int, filters: Filters
) -> tuple[dict[int, int], list[Record]]:
    """Return the world's international works by year, and the record of the one request.

    A year that the source does not hold is absent from the answer, never zero.
    """
    answer = client.get(api.years_request(lo, hi, filters))
    counts = api.read_groups(answer.content).counts
    years = {int(key): works for key, works in counts.items() if key.isdigit() and works > 0}
    return {y: years[y] for y in sorted(years) if lo <= y <= hi}, [answer.record]


def country_totals(
    client: Asks,
    years: Sequence[int],
    filters: Filters,
    *,
    must: Iterable[str] = (),
    countries: str | None = ">1",
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, list[Record], list[str]]:
    """Return every country's works by year: the international ones unless `countries` says else.

    Parameters
    ----------
    must : iterable of str, ISO3
        Countries that have to be in the answer: one that a cut list does not name is asked for by
        itself.
    countries : {">1", "1", None}
        See `Filters.clauses`.

    Returns
    -------
    table : DataFrame
        `schema.INDICATORS`, variable `international_works`. In a year whose list is whole, a
        country that it does not name has 0, if it is in `must` or in the list of another year.
    records : list of Record
    warnings : list of str
    """
    must = list(dict.fromkeys(must))
    pages = client.get_many(
        [api.totals_request(year, filters, countries=countries) for year in years],
        progress=progress,
        what="country totals",
    )
    records = [page.record for page in pages]
    rows: list[tuple[str, int, str, float]] = []
    unknown = Unknown()
    unlisted: dict[str, list[int]] = {}
    whole: dict[int, set[str]] = {}
    for year, page in zip(years, pages, strict=True):
        groups = api.read_groups(page.content)
        known, odd = api.by_country(groups.counts)
        unknown.add(year, odd)
        rows.extend((country, year, TOTALS, works) for country, works in known.items())
        if known and not groups.cut:
            whole[year] = set(known)
        elif known:
            for country in must:
                if country not in known:
                    unlisted.setdefault(country, []).append(year)
    named = {country for country, *_ in rows} | set(must)
    rows.extend(
        (c, year, TOTALS, 0) for year, known in whole.items() for c in sorted(named - known)
    )

    # One request for all years of a country costs less than the rest of each year's list.
    wanted = sorted(unlisted)
    answers = client.get_many(
        [
            api.country_request(c, min(years), max(years), filters, countries=countries)
            for c in wanted
        ],
        progress=progress,
        what="small countries' totals",
    )
    for country, answer in zip(wanted, answers, strict=True):
        records.append(answer.record)
        series = api.read_groups(answer.content).counts
        rows.extend((country, y, TOTALS, series.get(str(y), 0)) for y in unlisted[country])
    table = check(indicator_frame(rows), INDICATORS, WHERE)
    return table, records, unknown.lines() + _jumps(table)


def counts(
    client: Asks,
    countries: Sequence[str],
    years: Sequence[int],
    filters: Filters,
    *,
    focal: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Return the collaboration counts of all pairs of `countries`, by year.

    Parameters
    ----------
    countries : sequence of str, ISO3, most active first
    years : sequence of int
        Years that the source is known to hold (see `complete_years.check_years`).
    focal : sequence of str or None
        Only these countries' rows are read; None reads what all pairs need.
    progress : function of (done, total, what) or None

    Raises
    ------
    BudgetSpent, SourceError
        See `Client.get_many`; what was answered stays cached.
    """
    plan = api.plan_counts(countries, years, filters, focal=focal)
    answers = client.get_many(plan, progress=progress, what="collaboration counts")
    records = [answer.record for answer in answers]
    lists: dict[tuple[str, int], Groups] = {}
    for request, answer in zip(plan, answers, strict=True):
        about = request.about
        lists[about["country"], int(about["year"])] = api.read_groups(answer.content)

    cut = _still_unknown(lists, countries)
    whole, more = whole_lists(
        client,
        {(c, y): api.row_request(c, y, filters, "*") for c, y in cut},
        progress,
    )
    rows = {key: whole.get(key, groups.counts) for key, groups in lists.items()}
    complete = {key for key, groups in lists.items() if key in whole or not groups.cut}
    return tidy(rows, complete, records + more)


def tidy(
    rows: Mapping[tuple[str, int], Mapping[str, int]],
    complete: set[tuple[str, int]],
    records: list[Record],
) -> Counts:
    """Return counts from rows of the matrix, and name what does not fit together.

    Parameters
    ----------
    rows : mapping of (iso3, year) to a mapping of ISO2 to works
        The row's own country holds the country's international works.
    complete : set of (iso3, year)
        Rows that are known to name every partner.

    Notes
    -----
    Where both ends' rows were read and differ, the larger count is kept: works are added to the
    index between two requests, seldom taken out.
    """
    ends: list[str] = []
    partners: list[str] = []
    at: list[int] = []
    works: list[int] = []
    totals: list[tuple[str, int, str, float]] = []
    unknown = Unknown()
    for (country, year), row in rows.items():
        known, odd = api.by_country(row)
        unknown.add(year, odd)
        if row:
            totals.append((country, year, TOTALS, known.pop(country, 0)))
        ends.extend([country] * len(known))
        partners.extend(known)
        at.extend([year] * len(known))
        works.extend(known.values())
    x, y = np.asarray(ends, object), np.asarray(partners, object)
    first = np.asarray(x < y, bool)
    seen = pd.DataFrame(
        {
            "country_a": pd.Series(np.where(first, x, y), dtype=str),
            "country_b": pd.Series(np.where(first, y, x), dtype=str),
            "year": np.asarray(at, int),
            "works": np.asarray(works, float),
        }
    )
    both = seen.groupby(PAIR_YEAR, as_index=False, sort=True)["works"].agg(["max", "min", "size"])
    table = both.rename(columns={"max": "works"})[[*PAIR_YEAR, "works"]]
    total_table = indicator_frame(totals)
    warnings = unknown.lines() + _asymmetries(both, complete) + _misfits(total_table, rows)
    return Counts(
        table=check(table, COUNTS, WHERE),
        covered=covered_frame(complete),
        totals=check(total_table, INDICATORS, WHERE),
        records=records,
        warnings=warnings,
    )


def _still_unknown(
    lists: Mapping[tuple[str, int], Groups],
    countries: Sequence[str],
) -> list[tuple[str, int]]:
    """Return the cut rows that do not name every country and that no partner's row makes up for."""
    cut = [key for key, groups in lists.items() if groups.cut]
    needed = []
    for country, year in cut:
        named = set(api.by_country(lists[country, year].counts)[0])
        for other in countries:
            mirror = lists.get((other, year))
            if other != country and other not in named and (mirror is None or mirror.cut):
                needed.append((country, year))
                break
    return needed


def whole_lists(
    client: Asks, starts: Mapping[Key, Request], progress: Progress | None
) -> tuple[dict[Key, dict[str, int]], list[Record]]:
    """Follow the cursor of each list to its end, all lists a page at a time."""
    whole: dict[Key, dict[str, int]] = {key: {} for key in starts}
    records: list[Record] = []
    pending: dict[Key, Request] = dict(starts)
    while pending:
        answers = client.get_many(list(pending.values()), progress=progress, what="long lists")
        following: dict[Key, Request] = {}
        for (key, request), answer in zip(pending.items(), answers, strict=True):
            groups = api.read_groups(answer.content)
            records.append(answer.record)
            for code, works in groups.counts.items():
                whole[key][code] = max(works, whole[key].get(code, 0))
            if groups.next_cursor and groups.counts:
                following[key] = _at_cursor(request, groups.next_cursor)
        pending = following
    return whole, records


def _at_cursor(request: Request, cursor: str) -> Request:
    rest = tuple(p for p in request.params if p[0] != "cursor")
    return replace(request, params=(*rest, ("cursor", cursor)))


class Unknown:
    """Group keys that are no country, with their works and years."""

    def __init__(self) -> None:
        self.works: dict[str, int] = {}
        self.years: dict[str, set[int]] = {}

    def add(self, year: int, odd: Mapping[str, int]) -> None:
        """Take up the keys of a year's answer."""
        for key, works in odd.items():
            self.works[key] = self.works.get(key, 0) + works
            self.years.setdefault(key, set()).add(year)

    def lines(self) -> list[str]:
        """Return one line that names them, or none."""
        if not self.works:
            return []
        named = some(
            f"{key} ({works:,} works in {min(self.years[key])}-{max(self.years[key])})"
            for key, works in sorted(self.works.items(), key=lambda item: -item[1])
        )
        return [f"{WHERE}: left out, since no country has this code: {named}"]


def _jumps(table: pd.DataFrame) -> list[str]:
    """Name country totals that change beyond belief from one year to the next."""
    before = table.assign(year=table["year"] + 1)
    pairs = table.merge(before, on=["iso3", "year"], suffixes=("", "_before"), validate="1:1")
    large = pairs[["value", "value_before"]].min(axis=1) >= ENOUGH_TO_JUDGE
    ratio = pairs["value"] / pairs["value_before"].where(pairs["value_before"] > 0)
    odd = pairs[large & ((ratio > PLAUSIBLE_RATIO) | (ratio < 1 / PLAUSIBLE_RATIO))]
    if odd.empty:
        return []
    named = some(
        f"{r.iso3} {r.year} ({r.value_before:,.0f} to {r.value:,.0f})"
        for r in odd.itertuples(index=False)
    )
    return [f"{WHERE}: international works change by more than {PLAUSIBLE_RATIO:g}-fold: {named}"]


def _asymmetries(both: pd.DataFrame, complete: set[tuple[str, int]]) -> list[str]:
    """Name pairs that the two ends' rows count differently."""
    differ = (both["size"] > 1) & (both["max"] != both["min"])
    one_sided = both["size"] == 1
    if complete:
        index = pd.MultiIndex.from_tuples(sorted(complete))
        for end in ("country_a", "country_b"):
            one_sided &= pd.MultiIndex.from_frame(both[[end, "year"]]).isin(index)
    odd = both[differ | one_sided] if complete else both[differ]
    if odd.empty:
        return []
    named = some(_differences(odd))
    return [f"{WHERE}: the rows of the two countries differ; the larger count is kept: {named}"]


def _differences(odd: pd.DataFrame) -> list[str]:
    columns = ["country_a", "country_b", "year", "min", "max", "size"]
    return [
        f"{a}-{b} {year} ({0 if size == 1 else low:.0f} against {high:.0f})"
        for a, b, year, low, high, size in odd[columns].itertuples(index=False, name=None)
    ]


def _misfits(
    totals: pd.DataFrame,
    rows: Mapping[tuple[str, int], Mapping[str, int]],
) -> list[str]:
    """Name rows whose total is below a pair of theirs, or above the sum of all their pairs."""
    own = {(c, y): v for c, y, v in totals[["iso3", "year", "value"]].itertuples(index=False)}
    low, high = [], []
    for (country, year), total in own.items():
        row = rows[country, year]
        iso2 = iso2_of(country)
        pairs = [works for code, works in row.items() if code != iso2]
        if pairs and total < max(pairs):
            low.append(f"{country} {year} ({total:.0f} below {max(pairs)})")
        # A work with a foreign author stands in at least one pair.
        if len(row) < api.GROUPS_PER_PAGE and total > sum(pairs):
            high.append(f"{country} {year} ({total:.0f} above {sum(pairs)})")
    lines = []
    if low:
        lines.append(f"{WHERE}: international works below those with one partner: {some(low)}")
    if high:
        lines.append(f"{WHERE}: international works above the sum over partners: {some(high)}")
    return lines
