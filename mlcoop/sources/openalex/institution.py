"""An institution and its partner countries: what to ask OpenAlex, and its counts as a panel end.

In the panel an institution stands under its home country's code and its own number, such as
`USA:I27837315`, so that whatever is looked up by country (distance, blocs, wealth) is found under
the part before the colon. Its own output takes the place of its country's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from mlcoop.countries import SEPARATOR, iso2_of, iso3_of
from mlcoop.errors import ConfigError, some
from mlcoop.schema import COUNTS, INDICATORS, PAIR, PAIR_YEAR, check
from mlcoop.sources.frames import count_frame, covered_frame, indicator_frame
from mlcoop.sources.openalex import api
from mlcoop.sources.openalex.api import Filters
from mlcoop.sources.openalex.collaboration import TOTALS, Counts, Unknown, whole_lists
from mlcoop.sources.service.asking import Asks, NotFound, Progress, Request
from mlcoop.sources.service.cache import Record

WHERE = "OpenAlex"
ARTICLES = "articles"
# What is the institution's own in place of its country's; see `as_home`.
OWN_VARIABLES = (TOTALS, ARTICLES)
_OPENALEX_ID = re.compile(
    r"(?:https?://(?:api\.)?openalex\.org/(?:institutions/)?)?(I\d{3,12})", re.I
)
_ROR = re.compile(r"(?:https?://)?(?:ror\.org/|ror:)?(0[0-9a-hj-km-np-tv-z]{6}\d{2})", re.I)
# Crockford's alphabet of 32, without i, l, o and u.
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True)
class Institution:
    """An institution as OpenAlex knows it.

    Attributes
    ----------
    id : str
        OpenAlex's number, such as I27837315.
    country : str, ISO3
        Where it has its seat; its own country is no partner.
    """

    id: str
    name: str
    country: str
    ror: str = ""

    @property
    def code(self) -> str:
        """Its code as an end of a pair in the panel."""
        return f"{self.country}{SEPARATOR}{self.id}"


def parse_id(text: str) -> str:
    """Return an institution's number of OpenAlex or ROR in its short form.

    Raises
    ------
    ConfigError
        When it is neither, or the check digits of the ROR number do not fit.

    References
    ----------
    ROR, "ROR identifier pattern": base 32 number with check digits after ISO/IEC 7064 (97-10).

    Examples
    --------
    >>> parse_id("https://openalex.org/i27837315"), parse_id("https://ror.org/0130frc33")
    ('I27837315', 'ror:0130frc33')
    """
    text = text.strip().rstrip("/")
    found = _OPENALEX_ID.fullmatch(text)
    if found:
        return found[1].upper()
    found = _ROR.fullmatch(text)
    if not found:
        raise ConfigError(
            f"\"{text}\" is no number of an institution; give OpenAlex's (I27837315) or ROR's "
            "(https://ror.org/0130frc33); both stand at https://openalex.org/institutions"
        )
    number = found[1].lower()
    value = 0
    for sign in number[:7]:
        value = value * 32 + _BASE32.index(sign)
    if 98 - value * 100 % 97 != int(number[7:]):
        raise ConfigError(f'"{text}": the check digits of this ROR number do not fit; correct it')
    return f"ror:{number}"


def goes_by(text: str, own: Mapping[str, str]) -> bool:
    """Tell whether a text names an institution: by code, number of OpenAlex or ROR, or name.

    Parameters
    ----------
    own : mapping
        The institution as a study's `coverage.json` holds it.

    Examples
    --------
    >>> goes_by("https://ror.org/0130frc33", {"name": "UNC", "ror": "ror:0130frc33"})
    True
    """
    known = {str(own[k]).casefold() for k in ("code", "id", "name", "ror") if own.get(k)}
    if text.strip().casefold() in known:
        return True
    try:
        return parse_id(text).casefold() in known
    except ConfigError:
        return False


def called(own: Mapping[str, str]) -> str:
    """Return how a user's file may call the institution, for a line that says it did not."""
    return f'the institution is "{own["name"]}" or {own["code"]}'


def find(client: Asks, number: str) -> tuple[Institution, list[Record], list[str]]:
    """Return the institution with a number, the record of the one request, and what was odd.

    Raises
    ------
    ConfigError
        OpenAlex has no such institution, or knows no country of it.
    """
    number = parse_id(number)
    try:
        answer = client.get(entity_request(number))
    except NotFound:
        raise ConfigError(
            f"focus.institution: OpenAlex has no institution {number}; look its number up at "
            "https://openalex.org/institutions"
        ) from None
    institution = read_entity(answer.content)
    if institution is None:
        raise ConfigError(
            f"focus.institution: OpenAlex knows no country of {number}, so its pairs have no "
            "distance; choose another institution"
        )
    warnings = []
    if number.startswith("I") and institution.id != number:
        warnings.append(f"{WHERE}: {number} was merged into {institution.id}, {institution.name}")
    return institution, [answer.record], warnings


def entity_request(number: str) -> Request:
    """Return the request for what OpenAlex knows of an institution."""

    def that_one(content: bytes) -> None:
        found = read_entity(content)
        if found and number.startswith("ror:") and found.ror != number:
            raise ValueError(f"the institution {found.ror or found.id} in place of {number}")

    return Request(
        "openalex",
        f"institutions/{number}",
        (("select", "id,ror,display_name,country_code"),),
        check=that_one,
        about={"kind": "institution", "variable": f"institution {number}"},
    )


def read_entity(content: bytes) -> Institution | None:
    """Return the institution in an answer, or None where it has no country.

    Raises
    ------
    ValueError
        When it is not what OpenAlex answers.
    """
    body = json.loads(content)
    if not isinstance(body, dict):
        raise ValueError("no institution")
    id_, name, ror = body.get("id"), body.get("display_name"), body.get("ror")
    found = _OPENALEX_ID.fullmatch(id_) if isinstance(id_, str) else None
    if not found:
        raise ValueError(f"an institution without number ({str(id_)[:40]!r})")
    if not isinstance(name, str) or not name.strip():
        raise ValueError("an institution without name")
    country = body.get("country_code")
    if country is not None and not isinstance(country, str):
        raise ValueError(f"the country {str(country)[:40]!r}")
    iso3 = iso3_of(country) if country else None
    if iso3 is None:
        return None
    known = _ROR.fullmatch(ror) if isinstance(ror, str) else None
    # On one line and without control characters, wherever it is printed.
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return Institution(
        found[1].upper(), name[:200], iso3, f"ror:{known[1].lower()}" if known else ""
    )


def row_request(
    institution: Institution, year: int, filters: Filters, cursor: str | None = None
) -> Request:
    """Return the request for an institution's works in a year by country of the authors."""
    request = api.group_request(
        [_part_of(institution), f"publication_year:{year}"],
        "authorships.countries",
        filters,
        cursor,
        kind="institution row",
        year=str(year),
        country=institution.code,
    )
    own = api.its_own_row(iso2_of(institution.country))
    return replace(request, check=own) if cursor is None else request


def output_request(
    institution: Institution, lo: int, hi: int, filters: Filters, *, international: bool
) -> Request:
    """Return the request for an institution's works by year, international or all of them."""
    return api.by_year_request(
        [_part_of(institution)],
        lo,
        hi,
        filters,
        countries=">1" if international else None,
        kind="institution output",
        country=institution.code,
    )


def counts(
    client: Asks,
    institution: Institution,
    years: Sequence[int],
    span: tuple[int, int],
    filters: Filters,
    *,
    progress: Progress | None = None,
) -> Counts:
    """Return an institution's works with every partner country, by year, and its output.

    Parameters
    ----------
    years : sequence of int
        Years of counts, which the source is known to hold.
    span : (int, int)
        First and last year for which its output is wanted.

    Returns
    -------
    Counts
        `totals` holds its international works, and under `articles` all its works, by year. The
        works of its parts count as its own; a part abroad makes works with that country.
    """
    lo, hi = span
    kinds = ((TOTALS, True), (ARTICLES, False))
    plan = [output_request(institution, lo, hi, filters, international=i) for _, i in kinds]
    plan += [row_request(institution, year, filters) for year in years]
    answers = client.get_many(plan, progress=progress, what="the institution's works")
    records = [answer.record for answer in answers]
    output = {}
    for (variable, _), answer in zip(kinds, answers, strict=False):
        output[variable] = api.read_groups(answer.content).counts
    lists = {
        year: api.read_groups(answer.content)
        for year, answer in zip(years, answers[len(kinds) :], strict=True)
    }
    whole, more = whole_lists(
        client,
        {y: row_request(institution, y, filters, "*") for y, groups in lists.items() if groups.cut},
        progress,
    )
    rows: list[tuple[str, str, int, float]] = []
    unknown = Unknown()
    for year, groups in lists.items():
        known, odd = api.by_country(whole.get(year, groups.counts))
        unknown.add(year, odd)
        for country, works in known.items():
            if country != institution.country:
                a, b = sorted((country, institution.code))
                rows.append((a, b, year, works))
    # OpenAlex leaves a year out in which there was nothing; it holds all years of the study.
    totals = indicator_frame(
        (institution.code, year, variable, series.get(str(year), 0))
        for variable, series in output.items()
        for year in range(min(lo, *years), max(years) + 1)
    )
    return Counts(
        table=check(count_frame(rows), COUNTS, WHERE),
        covered=covered_frame((institution.code, year) for year in years),
        totals=check(totals, INDICATORS, WHERE),
        records=records + more,
        warnings=unknown.lines() + _misfits(institution, lists, output),
    )


def as_home(institution: Institution, indicators: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Add an institution's indicators: its home country's, but for its own output.

    Parameters
    ----------
    own : DataFrame
        `schema.INDICATORS` of the institution; they take the place of its country's. Only
        variables that `indicators` holds are added.
    """
    home = indicators[indicators["iso3"] == institution.country]
    home = home[~home["variable"].isin(OWN_VARIABLES)].assign(iso3=institution.code)
    own = own[own["variable"].isin(indicators["variable"].unique())]
    return pd.concat([indicators, home, own], ignore_index=True)


def with_home_pairs(institution: Institution, table: pd.DataFrame) -> pd.DataFrame:
    """Add to a table of pairs those of the institution: what its country has with each partner."""
    if table.empty:
        return table
    mine = table[(table[PAIR] == institution.country).any(axis=1)]
    partner = mine["country_a"].where(mine["country_a"] != institution.country, mine["country_b"])
    ends = pd.DataFrame({"partner": partner, "own": institution.code})
    mine = mine.assign(country_a=ends.min(axis=1), country_b=ends.max(axis=1))
    key = [c for c in PAIR_YEAR if c in table.columns]
    return pd.concat([table, mine], ignore_index=True).sort_values(key, ignore_index=True)


def _part_of(institution: Institution) -> str:
    return f"authorships.institutions.lineage:{institution.id}"


def _misfits(
    institution: Institution,
    lists: Mapping[int, api.Groups],
    output: Mapping[str, Mapping[str, int]],
) -> list[str]:
    """Name years in which the rows and the series of output do not fit together."""
    odd = []
    for year, groups in lists.items():
        stated, every = output[TOTALS].get(str(year), 0), output[ARTICLES].get(str(year), 0)
        if abs(stated - groups.works) > 0.01 * max(stated, groups.works):
            odd.append(f"{year} ({stated} and {groups.works} international works)")
        elif every < stated:
            odd.append(f"{year} ({stated} international of {every} works)")
        elif max(groups.counts.values(), default=0) > groups.works:
            odd.append(
                f"{year} ({max(groups.counts.values())} works with a country of all its "
                f"{groups.works})"
            )
    return (
        [f"{WHERE}: the counts of {institution.name} are inconsistent: {some(odd)}"] if odd else []
    )
