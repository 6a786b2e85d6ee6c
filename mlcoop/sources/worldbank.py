"""World Bank indicators: all pages, countries only, missing values left missing."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from mlcoop.countries import is_iso3, iso3_of
from mlcoop.errors import ConfigError, SourceError, some
from mlcoop.schema import INDICATORS, check
from mlcoop.sources.corrections import (
    NO_COUNTRY,
    WORLDBANK_AGGREGATES,
    WORLDBANK_AGGREGATES_ISO2,
    WORLDBANK_ALIASES,
)
from mlcoop.sources.frames import indicator_frame
from mlcoop.sources.service.asking import Answer, NotFound, Progress, Request
from mlcoop.sources.service.cache import Record
from mlcoop.sources.service.http import Client

WHERE = "World Bank"
# Every country and group over 40 years in one answer; more pages are asked for when there are.
PER_PAGE = 15_000

# Our variable to the provider's codes, best first. The Worldwide Governance Indicators moved to
# source 3 under GOV_WGI_ codes in 2025; mirrors and archives know the short ones.
CODES: dict[str, tuple[str, ...]] = {
    "gdp_usd2015": ("NY.GDP.MKTP.KD",),
    "gdp_per_head_usd2015": ("NY.GDP.PCAP.KD",),
    "population": ("SP.POP.TOTL",),
    "rd_pct_gdp": ("GB.XPD.RSDV.GD.ZS",),
    "researchers_per_million": ("SP.POP.SCIE.RD.P6",),
    "articles": ("IP.JRN.ARTC.SC",),
    "patents_resident": ("IP.PAT.RESD",),
    "hightech_exports_pct": ("TX.VAL.TECH.MF.ZS",),
    "merchandise_trade_pct_gdp": ("TG.VAL.TOTL.GD.ZS",),
    "exports_pct_gdp": ("NE.EXP.GNFS.ZS",),
    "fdi_pct_gdp": ("BX.KLT.DINV.WD.GD.ZS",),
    "urban_pct": ("SP.URB.TOTL.IN.ZS",),
    "internet_pct": ("IT.NET.USER.ZS",),
    "control_of_corruption": ("GOV_WGI_CC.EST", "CC.EST"),
    "government_effectiveness": ("GOV_WGI_GE.EST", "GE.EST"),
    "political_stability": ("GOV_WGI_PV.EST", "PV.EST"),
    "rule_of_law": ("GOV_WGI_RL.EST", "RL.EST"),
    "regulatory_quality": ("GOV_WGI_RQ.EST", "RQ.EST"),
    "voice_accountability": ("GOV_WGI_VA.EST", "VA.EST"),
    "royalties_received_usd": ("BX.GSR.ROYL.CD",),
    "royalties_paid_usd": ("BM.GSR.ROYL.CD",),
    "renewable_electricity_pct": ("EG.ELC.RNWX.ZS",),
    "tertiary_enrolment_pct": ("SE.TER.ENRR",),
    "migrants_pct": ("SM.POP.TOTL.ZS",),
    "tourist_arrivals": ("ST.INT.ARVL",),
}


class UnknownIndicator(SourceError):
    """The service says that it has no such indicator."""


@dataclass(frozen=True)
class Page:
    """One page of an indicator."""

    page: int
    pages: int
    total: int
    rows: tuple[tuple[str, str, int, float | None], ...]  # iso3, iso2, year, value
    indicator: str | None
    unknown: bool = False


def requests_for(code: str, variable: str, lo: int, hi: int, page: int = 1) -> Request:
    """Return the request for a page of an indicator's values, years `lo` to `hi`."""
    params = [("format", "json"), ("date", f"{lo}:{hi}"), ("per_page", str(PER_PAGE))]
    params.append(("page", str(page)))
    if code.startswith("GOV_WGI_"):
        params.append(("source", "3"))

    def good(content: bytes) -> None:
        answer = read_page(content)
        if answer.unknown:
            return
        # Of years without a single value it says page 0 of 0.
        if answer.page != page and answer.total:
            raise ValueError(f"page {answer.page} in place of {page}")
        if answer.indicator not in (None, code):
            raise ValueError(f"indicator {answer.indicator} in place of {code}")
        odd = {row[2] for row in answer.rows if not lo <= row[2] <= hi}
        if odd:
            raise ValueError(f"values of {min(odd)} where {lo} to {hi} was asked for")
        expected = min(PER_PAGE, answer.total - PER_PAGE * (page - 1))
        if len(answer.rows) != max(0, expected):
            raise ValueError(f"{len(answer.rows)} rows in place of {expected}")

    about = {"kind": "indicator", "variable": variable, "code": code, "years": f"{lo}-{hi}"}
    return Request(
        "worldbank",
        f"country/all/indicator/{code}",
        tuple(params),
        check=good,
        about=about,
        release=_release,
    )


# Checked when fetched, read again when tidied: the second time it is here.
@lru_cache(maxsize=2)
def read_page(content: bytes) -> Page:
    """Return the values on a page.

    Raises
    ------
    ValueError
        When it is not what the service answers.
    """
    body = json.loads(content)
    if not isinstance(body, list) or not body or not isinstance(body[0], dict):
        raise ValueError("no list with a heading")
    head = body[0]
    if "message" in head:
        messages = head["message"] if isinstance(head["message"], list) else []
        ids = {str(m.get("id")) for m in messages if isinstance(m, dict)}
        if ids & {"120", "175"}:
            return Page(1, 0, 0, (), None, unknown=True)
        raise ValueError(f"the service says {json.dumps(head['message'])[:120]}")
    page, pages, total = (_number(head.get(name), name) for name in ("page", "pages", "total"))
    values = body[1] if len(body) > 1 else None
    if values is None and total == 0:
        values = []
    if not isinstance(values, list):
        raise ValueError("no list of values")
    rows, codes = [], set()
    for value in values:
        rows.append(_row(value))
        codes.add(value["indicator"]["id"])
    if len(codes) > 1:
        raise ValueError(f"several indicators in one answer: {some(sorted(map(str, codes)))}")
    return Page(page, pages, total, tuple(rows), next(iter(codes), None))


def tidy(pages: Sequence[bytes], variable: str) -> tuple[pd.DataFrame, list[str]]:
    """Return one indicator's known values of countries, and what was left out for no known reason.

    Parameters
    ----------
    pages : sequence of bytes
        All pages of one indicator.

    Returns
    -------
    table : DataFrame
        `schema.INDICATORS` under our variable name. Groups of countries (World, regions, income
        groups) are removed; a value that the source does not have is no row.
    warnings : list of str
    """
    values: dict[tuple[str, int], float] = {}
    strange: dict[str, None] = {}
    clashes: dict[str, None] = {}
    for content in pages:
        for iso3, iso2, year, value in read_page(content).rows:
            country = _country(iso3, iso2)
            if country is None:
                strange[iso3 or iso2] = None
            if not country or value is None:
                continue
            if values.setdefault((country, year), value) != value:
                clashes[f"{country} {year}"] = None
    table = indicator_frame((c, year, variable, value) for (c, year), value in values.items())
    warnings = []
    if strange:
        warnings.append(f"{WHERE}, {variable}: left out, no country: {some(strange)}")
    if clashes:
        warnings.append(f"{WHERE}, {variable}: two values, the first is kept: {some(clashes)}")
    return check(table, INDICATORS, f"{WHERE}, {variable}"), warnings


def fetch(
    client: Client, variable: str, lo: int, hi: int, progress: Progress | None = None
) -> list[Answer]:
    """Return all pages of a variable's values.

    Raises
    ------
    ConfigError
        `variable` is none of `CODES`.
    UnknownIndicator
        The service has none of the variable's codes.
    SourceError
        It fails.
    """
    if variable not in CODES:
        raise ConfigError(f'{WHERE} has no variable "{variable}"; it has {", ".join(CODES)}')
    codes = CODES[variable]
    # A code that the service was found not to have is not asked for again while another is cached.
    codes = tuple(sorted(codes, key=lambda c: not client.cached(requests_for(c, variable, lo, hi))))
    for code in codes:
        try:
            first = client.get(requests_for(code, variable, lo, hi))
        except NotFound:
            continue
        head = read_page(first.content)
        if head.unknown:
            continue
        rest = client.get_many(
            [requests_for(code, variable, lo, hi, page) for page in range(2, head.pages + 1)],
            progress=progress,
            what=f"pages of {variable}",
        )
        return [first, *rest]
    raise UnknownIndicator(
        f"{WHERE}: none of the codes of {variable} is known there ({', '.join(codes)}); the "
        "factors that read it are left out"
    )


def indicators(
    client: Client,
    variables: Sequence[str],
    lo: int,
    hi: int,
    *,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, list[Record], list[str]]:
    """Return the values of several variables in one long table, with records and warnings.

    A variable that the service no longer has is named in a warning and has no values.
    """
    tables: list[pd.DataFrame] = []
    records: list[Record] = []
    warnings: list[str] = []
    for i, variable in enumerate(variables):
        if progress:
            progress(i, len(variables), "indicators")
        try:
            answers = fetch(client, variable, lo, hi)
        except UnknownIndicator as error:
            # The Bank drops indicators now and then; a study need not stop for one.
            warnings.append(str(error))
            continue
        table, lines = tidy([a.content for a in answers], variable)
        if table.empty:
            lines.append(f"{WHERE}, {variable}: no values in {lo}-{hi}")
        tables.append(table)
        records.extend(a.record for a in answers)
        warnings.extend(lines)
    if progress and variables:
        progress(len(variables), len(variables), "indicators")
    joined = pd.concat([indicator_frame([]), *tables], ignore_index=True)
    return check(joined, INDICATORS, WHERE), records, warnings


def _release(content: bytes) -> str:
    """Return the date at which the World Bank last changed the indicator's collection."""
    heading = json.loads(content)[0]
    return f"updated {heading.get('lastupdated') or 'at an unknown date'}"


def _number(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**9:
        raise ValueError(f"{name} is {value!r}")
    return value


def _row(value: object) -> tuple[str, str, int, float | None]:
    if not isinstance(value, dict) or not isinstance(value.get("indicator"), dict):
        raise ValueError("a value without indicator")
    country, iso3 = value.get("country"), value.get("countryiso3code")
    if not isinstance(country, dict) or not isinstance(country.get("id"), str):
        raise ValueError("a value without country")
    if not isinstance(value["indicator"].get("id"), str) or "value" not in value:
        raise ValueError("a value without its fields")
    date, number = value.get("date"), value["value"]
    if not isinstance(date, str) or not date.isdigit() or len(date) != 4:
        raise ValueError(f"a value of the year {date!r}")
    if number is not None and (
        not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number)
    ):
        raise ValueError(f"a value {number!r}")
    iso3 = iso3 if isinstance(iso3, str) else ""
    by_iso2 = iso3_of(country["id"])
    if is_iso3(iso3) and by_iso2 not in (None, iso3):
        raise ValueError(f"a value of both {iso3} and {country['id']}")
    return (
        iso3,
        country["id"],
        int(date),
        None if number is None else float(number),
    )


@lru_cache(maxsize=1024)
def _country(iso3: str, iso2: str) -> str | None:
    """Return ISO3, "" for a known group of countries, or None for what we do not know."""
    iso3 = WORLDBANK_ALIASES.get(iso3, iso3)
    if is_iso3(iso3):
        return iso3
    if iso3 in WORLDBANK_AGGREGATES or iso3 in NO_COUNTRY["worldbank"]:
        return ""
    if iso3:
        return None
    return "" if iso2 in WORLDBANK_AGGREGATES_ISO2 else iso3_of(iso2)
