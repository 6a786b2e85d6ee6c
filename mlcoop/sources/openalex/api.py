"""OpenAlex: what to ask, and what a good answer is.

One request with `group_by=authorships.countries` gives one country's whole row of the
collaboration matrix in one year. Every request asks for works with authors in at least two
countries, so the group of the country itself holds its international works, and the pairs are
what they are without that filter. A list ends at 200 groups; longer ones need the cursor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlcoop.countries import iso2_of, iso3_of
from mlcoop.errors import ConfigError
from mlcoop.sources.service.asking import Request

GROUPS_PER_PAGE = 200
# https://api.openalex.org/domains
DOMAINS = {"life": "1", "social": "2", "physical": "3", "health": "4"}
# Counts of a country and year: a larger one is a broken answer.
_LARGEST = 10**9
FEW_WORKS = 10
_COUNTRY = re.compile(r"(?:https://openalex\.org/countries/)?([A-Z]{2})")


@dataclass(frozen=True)
class Filters:
    """Which works are counted. Paratext and retracted works never are.

    Attributes
    ----------
    field : {"all", "physical", "life", "social", "health"}
        OpenAlex domain of the work's primary topic.
    types : {"all", "article"}
    highly_cited : bool
        Only works among the top 10 % by citations of their field, type and year.
    """

    field: str = "all"
    types: str = "all"
    highly_cited: bool = False

    def __post_init__(self) -> None:
        if self.field not in ("all", *DOMAINS):
            raise ConfigError(
                f'target.field: unknown field "{self.field}"; use all, {", ".join(DOMAINS)}'
            )
        if self.types not in ("all", "article"):
            raise ConfigError(f'target.types: unknown type "{self.types}"; use all or article')

    def clauses(self, countries: str | None = ">1") -> list[str]:
        """Return the filter's parts in OpenAlex's syntax.

        Parameters
        ----------
        countries : {">1", "1", None}
            Countries of a work's authors: international works, domestic ones, or any.
        """
        parts = [f"countries_distinct_count:{countries}"] if countries else []
        parts += ["is_paratext:false", "is_retracted:false"]
        if self.field != "all":
            parts.append(f"primary_topic.domain.id:{DOMAINS[self.field]}")
        if self.types == "article":
            parts.append("type:article")
        if self.highly_cited:
            parts.append("citation_normalized_percentile.is_in_top_10_percent:true")
        return parts


@dataclass(frozen=True)
class Groups:
    """One answered page of groups.

    Attributes
    ----------
    works : int
        Works that the filter holds, over all groups (a work stands in several).
    counts : dict of str to int
        Works by group: ISO2 code, or the year as text.
    next_cursor : str or None
        Where the list goes on, in an answer to a request with a cursor.
    page_size : int or None
        Groups that the answer says a page may hold.
    """

    works: int
    counts: Mapping[str, int]
    next_cursor: str | None
    page_size: int | None = None

    @property
    def cut(self) -> bool:
        """Whether the list may go on beyond this page."""
        # The smaller of what is documented and what the answer says: at worst a needless request.
        return len(self.counts) >= min(GROUPS_PER_PAGE, self.page_size or GROUPS_PER_PAGE)


def describe(filters: Filters) -> str:
    """Return which works are counted, in words.

    >>> describe(Filters(field="life", highly_cited=True))
    'life sciences, highly cited'
    """
    fields = {"all": "all fields", "health": "health sciences"}
    parts = [fields.get(filters.field, f"{filters.field} sciences")]
    if filters.types == "article":
        parts.append("articles only")
    if filters.highly_cited:
        parts.append("highly cited")
    return ", ".join(parts)


def read_filter(address: str) -> str:
    """Return which works a request counted, in words, from its address.

    >>> read_filter("https://x/works?filter=publication_year:2019,type:article&group_by=y")
    'all fields, articles only'
    """
    field = next(
        (
            name
            for name, number in DOMAINS.items()
            if f"primary_topic.domain.id:{number}" in address
        ),
        "all",
    )
    return describe(
        Filters(
            field=field,
            types="article" if "type:article" in address else "all",
            highly_cited="is_in_top_10_percent:true" in address,
        )
    )


def years_request(lo: int, hi: int, filters: Filters, *, countries: str | None = ">1") -> Request:
    """Return the request for the world's works by year, `lo` to `hi`; see `Filters.clauses`."""
    return by_year_request([], lo, hi, filters, countries=countries)


def country_request(
    iso3: str, lo: int, hi: int, filters: Filters, *, countries: str | None = ">1"
) -> Request:
    """Return the request for a country's works by year, `lo` to `hi`; see `Filters.clauses`."""
    of = [f"authorships.countries:{iso2_of(iso3)}"]
    return by_year_request(of, lo, hi, filters, countries=countries, country=iso3)


def by_year_request(
    clauses: Sequence[str],
    lo: int,
    hi: int,
    filters: Filters,
    *,
    countries: str | None = ">1",
    **about: str,
) -> Request:
    """Return the request for works that clauses choose, by year; see `Filters.clauses`."""

    def of_those_years(content: bytes) -> None:
        groups = read_groups(content)
        odd = [k for k in groups.counts if not (k.isdigit() and lo <= int(k) <= hi)]
        if odd:
            raise ValueError(f"groups that are no years from {lo} to {hi}: {odd[:3]}")

    about = {"kind": "years", "years": f"{lo}-{hi}", **about}
    clauses = [*clauses, f"publication_year:{lo}-{hi}"]
    request = group_request(clauses, "publication_year", filters, countries=countries, **about)
    return replace(request, check=of_those_years)


def totals_request(year: int, filters: Filters, *, countries: str | None = ">1") -> Request:
    """Return the request for every country's works in a year; see `Filters.clauses`."""
    return group_request(
        [f"publication_year:{year}"],
        "authorships.countries",
        filters,
        countries=countries,
        kind="totals",
        year=str(year),
    )


def its_own_row(iso2: str) -> Callable[[bytes], None]:
    """Return a check that a row's first answer counts its own country, which is in all its works.

    Groups come largest first, so that no later answer need hold it.
    """

    def check(content: bytes) -> None:
        groups = read_groups(content)
        if groups.works >= FEW_WORKS and iso2 not in groups.counts:
            raise ValueError(f"a row of {groups.works} works without its own country {iso2}")

    return check


def row_request(iso3: str, year: int, filters: Filters, cursor: str | None = None) -> Request:
    """Return the request for a country's row of the matrix in a year."""
    iso2 = iso2_of(iso3)
    clauses = [f"authorships.countries:{iso2}", f"publication_year:{year}"]
    request = group_request(
        clauses, "authorships.countries", filters, cursor, kind="row", year=str(year), country=iso3
    )
    return replace(request, check=its_own_row(iso2)) if cursor is None else request


def plan_counts(
    countries: Sequence[str],
    years: Sequence[int],
    filters: Filters,
    *,
    focal: Sequence[str] | None = None,
) -> list[Request]:
    """Return the fewest row requests that tell the counts of all pairs wanted.

    Parameters
    ----------
    countries : sequence of str, ISO3, most active first
    years : sequence of int
    focal : sequence of str or None
        Only pairs with one of these are wanted; None wants all pairs of `countries`.

    Notes
    -----
    The matrix is symmetric, so of all pairs of n countries n - 1 rows tell everything. The row
    left out is the most active country's: its list is the longest and the likeliest to be cut.

    Examples
    --------
    >>> len(plan_counts(["USA", "CHN", "NAM"], [2019, 2020], Filters()))
    4
    >>> len(plan_counts(["USA", "CHN", "NAM"], [2019, 2020], Filters(), focal=["CHN"]))
    2
    """
    ends = list(dict.fromkeys(focal)) if focal is not None else list(dict.fromkeys(countries))[1:]
    return [row_request(end, year, filters) for year in years for end in ends]


def read_groups(content: bytes) -> Groups:
    """Return the groups of an answer.

    Raises
    ------
    ValueError
        When it is not what OpenAlex answers: not JSON, a field missing or of another kind, a
        group twice, a negative count, or no group though there are works.
    """
    body = json.loads(content)
    if not isinstance(body, dict) or not isinstance(body.get("meta"), dict):
        raise ValueError("no meta object")
    meta, groups = body["meta"], body.get("group_by")
    if not isinstance(groups, list):
        raise ValueError("no list of groups")
    works = _count(meta.get("count"), "meta.count")
    counts: dict[str, int] = {}
    for group in groups:
        if not isinstance(group, dict) or not isinstance(group.get("key"), str | int):
            raise ValueError("a group without key")
        key = str(group["key"])
        found = _COUNTRY.fullmatch(key)
        key = found[1] if found else key
        if key in counts:
            raise ValueError(f"group {key} stands there twice")
        counts[key] = _count(group.get("count"), f"the count of {key}")
    stated = meta.get("groups_count")
    full = len(counts) >= GROUPS_PER_PAGE  # the rest stands on the next page
    if isinstance(stated, int) and (stated < len(counts) or (stated > len(counts) and not full)):
        raise ValueError(f"{len(counts)} groups where {stated} are stated")
    # Behind a cursor (page is null there) an empty page may end the list.
    if works and not counts and meta.get("page") is not None:
        raise ValueError(f"no groups though there are {works} works")
    cursor = meta.get("next_cursor")
    if cursor is not None and not isinstance(cursor, str):
        raise ValueError("a next_cursor that is no text")
    size = meta.get("per_page")
    whole = isinstance(size, int) and not isinstance(size, bool) and size > 0
    return Groups(works, counts, cursor or None, size if whole else None)


def by_country(counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Return works by ISO3, and works by group key of what is no country of ISO 3166 or Kosovo.

    >>> by_country({"NA": 3, "XK": 1, "AN": 7})
    ({'NAM': 3, 'XKX': 1}, {'AN': 7})
    """
    known: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for key, works in counts.items():
        iso3 = iso3_of(key)
        if iso3 is None:
            unknown[key] = works
        else:
            known[iso3] = works
    return known, unknown


def group_request(
    clauses: Sequence[str],
    group_by: str,
    filters: Filters,
    cursor: str | None = None,
    *,
    countries: str | None = ">1",
    **about: str,
) -> Request:
    """Return the request for works in groups; `about` says what the answer will hold."""
    clauses = [*clauses, *filters.clauses(countries)]
    params = [("filter", ",".join(clauses)), ("group_by", group_by)]
    if cursor is not None:
        params.append(("cursor", cursor))
    return Request("openalex", "works", tuple(params), check=read_groups, about=about)


def _count(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{what} is {value!r}, not a count")
    return value
