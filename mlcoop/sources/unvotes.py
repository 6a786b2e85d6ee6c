"""Ideal points of countries in United Nations General Assembly votes."""

from __future__ import annotations

import io
import json
import re

import pandas as pd

from mlcoop.countries import is_iso3
from mlcoop.errors import SourceError, some
from mlcoop.schema import INDICATORS, check
from mlcoop.sources.corrections import NO_COUNTRY, note, recodes
from mlcoop.sources.service.asking import Answer, NotFound, Request
from mlcoop.sources.service.http import Client

WHERE = "UN ideal points"
DATASET = "doi:10.7910/DVN/LEJUQZ"
# Dataverse gives each release of the file a new number, so the number is read from the data set's
# own listing. A mirror without that listing serves the file under this name.
MIRROR_FILE = "idealpoints"
_IDEAL_POINTS = re.compile(r"ideal_?points?(estimates)?.*\.(tab|csv)$", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Over all votes, or where a file does not have that (as those of 2026), over final votes alone; the
# two have scales of their own and are never mixed.
_SERIES = ("idealpointall", "idealpointfp")
# General Assembly session 1 met in 1946; releases before July 2025 count sessions, not years.
_YEAR_BEFORE_SESSION_1 = 1945


def listing_request() -> Request:
    """Return the request for the data set's list of files."""
    return Request(
        "unvotes",
        "api/datasets/:persistentId/",
        (("persistentId", DATASET),),
        check=pick_file,
        about={"kind": "listing", "variable": "un_ideal_point"},
    )


def file_request(file_id: str) -> Request:
    """Return the request for a file of the data set."""
    return Request(
        "unvotes",
        f"api/access/datafile/{file_id}",
        check=read,
        about={"kind": "indicator", "variable": "un_ideal_point"},
    )


def pick_file(content: bytes) -> str:
    """Return the number of the newest country-year file of ideal points in a data set's listing.

    Raises
    ------
    ValueError
        When it is no listing, or none of its files looks like the one.
    """
    body = json.loads(content)
    try:
        files = [entry["dataFile"] for entry in body["data"]["latestVersion"]["files"]]
        named = {str(f["filename"]): str(f["id"]) for f in files}
    except (KeyError, TypeError) as error:
        raise ValueError("no list of files") from error
    fitting = [n for n in named if _IDEAL_POINTS.search(n) and "dyad" not in n.lower()]
    if not fitting:
        raise ValueError(f"no file of ideal points among {some(sorted(named))}")
    # A file over final votes alone (FP) only where there is no other.
    return named[max(fitting, key=lambda n: ("fp" not in n.lower(), _release(n)))]


def fetch(client: Client) -> tuple[Answer, list[Answer]]:
    """Return the file of ideal points, and the answers that led to it.

    Raises
    ------
    SourceError
        See `Client.get`.
    """
    mirror = file_request(MIRROR_FILE)
    if client.cached(mirror) and not client.cached(listing_request()):
        return client.get(mirror), []
    try:
        listing = client.get(listing_request())
    except NotFound:
        if not client.overridden("unvotes"):
            raise
        return client.get(mirror), []
    return client.get(file_request(pick_file(listing.content))), [listing]


def read(content: bytes) -> pd.DataFrame:
    """Return `iso3c`, `year`, `ideal_point` and its `series` of a tab- or comma-separated file.

    Raises
    ------
    ValueError
        When it is no such table, or its values are none of ideal points.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    heading = text.partition("\n")[0]
    try:
        raw = pd.read_csv(
            io.StringIO(text),
            sep="\t" if "\t" in heading else ",",
            dtype=str,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"no table ({type(error).__name__})") from error
    raw.columns = [str(c).strip().strip('"').lower() for c in raw.columns]
    series = next((c for c in _SERIES if c in raw), None)
    if "iso3c" not in raw or series is None or not {"year", "session"} & set(raw):
        raise ValueError(f"no iso3c, year and {' or '.join(_SERIES)} among {some(raw.columns)}")
    if "year" in raw:
        year = pd.to_numeric(raw["year"], errors="coerce")
    else:
        year = pd.to_numeric(raw["session"], errors="coerce") + _YEAR_BEFORE_SESSION_1
    blank = raw[series].str.strip().isin(["", "NA", ".", "NaN"])
    value = pd.to_numeric(raw[series], errors="coerce")
    if (value.isna() & ~blank).any() or year.isna().any():
        raise ValueError("a year or ideal point that is no number")
    if value.abs().max() > 10 or not year.between(1946, 2100).all() or len(raw) < 1000:
        raise ValueError(f"{len(raw)} rows with values of no ideal points")
    code = raw["iso3c"].str.strip().str.strip('"')
    return pd.DataFrame(
        {"iso3c": code, "year": year.astype(int), "ideal_point": value, "series": series}
    )


def tidy(content: bytes) -> tuple[pd.DataFrame, list[str]]:
    """Return ideal points under the variable `un_ideal_point`, and what was left out.

    Notes
    -----
    The series over all votes (`idealpointall`) is used; where it has no value there is no row.
    The series over final votes has another scale and does not fill in for it; it is used, with a
    warning, where the whole file has no other.

    References
    ----------
    Bailey, Strezhnev and Voeten (2017), doi:10.1177/0022002715595700.
    """
    raw = read(content)
    raw = raw[raw["ideal_point"].notna()]
    recoded = recodes("unvotes", raw["iso3c"].unique())
    since = raw["iso3c"].map({c: r.since for c, r in recoded.items() if r.since}).fillna(0)
    raw = raw[raw["year"] >= since]
    iso3 = raw["iso3c"].map(lambda code: recoded[code].iso3 if code in recoded else code)
    codes = set(raw["iso3c"]) - set(recoded)
    strange = sorted(
        c for c in codes if not is_iso3(c) and c not in NO_COUNTRY["unvotes"] and c != ""
    )
    table = pd.DataFrame(
        {
            "iso3": iso3,
            "year": raw["year"],
            "variable": "un_ideal_point",
            "value": raw["ideal_point"],
        }
    )
    table = table[iso3.map(is_iso3)].sort_values(["iso3", "year"], ignore_index=True)
    doubled = table[table.duplicated(["iso3", "year"])]
    if len(doubled):
        r = doubled.iloc[0]
        raise SourceError(f"{WHERE}: two ideal points of {r.iso3} in {r.year}; the file changed")
    warnings = [note(WHERE, recoded)]
    if (raw["series"] != _SERIES[0]).any():
        warnings.append(f"{WHERE}: from final votes alone, since the file has no other series")
    if strange:
        warnings.append(f"{WHERE}: left out, no country has this code: {some(strange)}")
    return check(table, INDICATORS, WHERE), warnings


def _release(filename: str) -> tuple[int, int]:
    """Return year and month in a file's name, such as IdealpointsJuly2025.tab.

    >>> _release("IdealpointsJuly2025.tab"), _release("IdealpointestimatesAll_Jun2024.csv")
    ((2025, 7), (2024, 6))
    """
    pattern = rf"({'|'.join(_MONTHS)})[a-z]*_?((?:19|20)\d\d)"
    found = re.search(pattern, filename.lower())
    return (int(found[2]), _MONTHS.index(found[1]) + 1) if found else (0, 0)
