"""CEPII GeoDist: distances and ties, from ordered pairs and old codes to unordered ISO3 pairs."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from mlcoop.countries import is_iso3
from mlcoop.errors import SourceError, some
from mlcoop.schema import PAIR, TIE_VARIABLES, TIES, check
from mlcoop.sources import geography
from mlcoop.sources.corrections import (
    FORMER_UNIONS,
    MOVED_BORDERS,
    SUPPLEMENTS,
    note,
    recodes,
)
from mlcoop.sources.service.asking import Answer, NotFound, Request
from mlcoop.sources.service.http import Client

WHERE = "CEPII GeoDist"
NAMES = {
    "dist": "dist_km",
    "distcap": "distcap_km",
    "distw": "distw_km",
    "contig": "contiguous",
    "comlang_off": "common_official_language",
    "comlang_ethno": "common_ethnic_language",
    "colony": "colony",
    "comcol": "common_coloniser",
    "col45": "colony_after_1945",
    "smctry": "same_country",
}
_SUPPLEMENTED = (
    "dist_km",
    "distcap_km",
    "distw_km",
    "contiguous",
    "common_official_language",
)
_DISTANCES = ("dist", "distcap", "distw")
# The two directions of distw differ by up to this in the published file, from rounding.
_ROUNDING_KM = 0.02
_FARTHEST_KM = 20_100.0


def request(client: Client) -> Request:
    """Return the request for the table that is cached, or else the one to send first.

    CEPII serves the table as a Stata file, and an archive with an Excel file of the same rows; a
    mirror may hold an archive with a CSV or Stata file alone.
    """
    archive = _request("distance/dist_cepii.zip")
    return archive if client.cached(archive) else _request("distance/dist_cepii.dta")


def fetch(client: Client) -> Answer:
    """Return the table's file, from the cache, from CEPII or from a mirror.

    Raises
    ------
    SourceError
        See `Client.get`.
    """
    try:
        return client.get(request(client))
    except NotFound:
        return client.get(_request("distance/dist_cepii.zip"))


def read(content: bytes) -> pd.DataFrame:
    """Return the file's ordered pairs under CEPII's own names.

    Raises
    ------
    ValueError
        When it is no Stata file and no archive with the table inside, or the table is not whole.
    """
    try:
        raw = _unpacked(content) if content[:2] == b"PK" else pd.read_stata(io.BytesIO(content))
    except ValueError:
        raise
    except Exception as error:
        # Damaged archives and Stata files fail in too many ways to list.
        raise ValueError(f"not readable ({type(error).__name__})") from error
    missing = [c for c in ("iso_o", "iso_d", *NAMES) if c not in raw.columns]
    if missing:
        raise ValueError(f"no column {some(missing)}")
    codes = raw["iso_o"].nunique()
    if codes < 200 or len(raw) != codes**2 or raw.duplicated(["iso_o", "iso_d"]).any():
        raise ValueError(f"{len(raw)} rows of {codes} countries are not all ordered pairs")
    for column in NAMES:
        number = pd.to_numeric(raw[column], errors="coerce")
        top = _FARTHEST_KM if column in _DISTANCES else 1
        if (number < 0).any() or (number > top).any() or number.isna().all():
            raise ValueError(f"column {column} is out of its range 0 to {top}")
        raw[column] = number
    return raw


def tidy(content: bytes) -> tuple[pd.DataFrame, list[str]]:
    """Return the ties of every unordered pair, and what was put right.

    Returns
    -------
    table : DataFrame
        `schema.TIES`. Distances in km: `dist_km` between the most populous cities, `distcap_km`
        between capitals, `distw_km` weighted by the population of cities. The other columns are 1
        where the tie exists and 0 where not.
    warnings : list of str

    Raises
    ------
    SourceError
        When a code or border that has to be put right is no longer wrong, or a tie differs by
        direction beyond rounding.

    References
    ----------
    Mayer and Zignago (2011), CEPII Working Paper 2011-25.
    """
    raw = read(content)
    recoded = recodes("cepii", raw["iso_o"].unique())
    ends = {
        end: raw[end]
        .map(lambda code: recoded[code].iso3 if code in recoded else code)
        .astype(object)
        for end in ("iso_o", "iso_d")
    }
    known = {c for c in pd.unique(ends["iso_o"]) if isinstance(c, str)}
    strange = sorted(c for c in known if not is_iso3(c))
    keep = ends["iso_o"].isin(known - set(strange)) & ends["iso_d"].isin(known - set(strange))
    keep &= ends["iso_o"] != ends["iso_d"]
    first = ends["iso_o"] < ends["iso_d"]
    table = raw[list(NAMES)].rename(columns=NAMES).astype(float)
    table.insert(0, "country_a", ends["iso_o"].where(first, ends["iso_d"]))
    table.insert(1, "country_b", ends["iso_d"].where(first, ends["iso_o"]))
    table = table[keep]

    by_pair = table.groupby(PAIR, sort=True)
    low, high = by_pair.min(), by_pair.max()
    warnings = _settle(low, high)
    # The larger of the two: for distances a matter of the last digit, for ties "in either file".
    ties = high.reset_index()[[*PAIR, *TIE_VARIABLES]]
    warnings.append(note(WHERE, recoded))
    if strange:
        warnings.append(f"{WHERE}: left out, no country has this code: {some(strange)}")
    ties = _move_borders(ties)
    warnings.append(f"{WHERE}: borders taken away: {'; '.join(MOVED_BORDERS.values())}")
    ties = pd.concat([ties, _supplement(set(known) - set(strange))], ignore_index=True)
    warnings.append(
        f"{WHERE}: has no {', '.join(SUPPLEMENTS)}; their distances, borders and official "
        f"languages are from GeoNames and CLDR, their other ties are missing; the parts of "
        f"{' and of '.join(FORMER_UNIONS)}, count as once one country"
    )
    return check(ties.sort_values(PAIR, ignore_index=True), TIES, WHERE), warnings


def _request(path: str) -> Request:
    return Request("cepii", path, check=read, about={"kind": "ties", "variable": "all"})


def _unpacked(content: bytes) -> pd.DataFrame:
    blank: dict[Any, list[str]] = {c: ["", "."] for c in _DISTANCES}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = {name.rsplit("/", 1)[-1].lower(): name for name in archive.namelist()}
        if "dist_cepii.csv" in names:
            file = archive.open(names["dist_cepii.csv"])
            return pd.read_csv(file, keep_default_na=False, na_values=blank)
        if "dist_cepii.dta" in names:
            return pd.read_stata(io.BytesIO(archive.read(names["dist_cepii.dta"])))
        if "dist_cepii.xls" in names:
            table = io.BytesIO(archive.read(names["dist_cepii.xls"]))
            try:
                return pd.read_excel(table, keep_default_na=False, na_values=blank)
            except ImportError as error:
                raise ValueError("the archive holds an Excel file: pip install xlrd") from error
        raise ValueError(f"no dist_cepii table in the archive, but {some(names)}")


def _move_borders(ties: pd.DataFrame) -> pd.DataFrame:
    """Return the ties without the borders that a country of `SUPPLEMENTS` has now."""
    border = ties.set_index(PAIR)["contiguous"]
    for pair in MOVED_BORDERS:
        if border.get(pair) != 1:
            raise SourceError(
                f"{WHERE}: no longer says that {'-'.join(pair)} touch; the source has changed, so "
                "MOVED_BORDERS in mlcoop/sources/corrections.py must be looked at again"
            )
        border[pair] = 0.0
    return ties.assign(contiguous=border.to_numpy())


def _supplement(countries: set[str]) -> pd.DataFrame:
    """Return the ties of the countries that CEPII does not have with those that it has."""
    there = sorted(set(SUPPLEMENTS) & countries)
    if there:
        raise SourceError(
            f"{WHERE}: has {there[0]} now; the source has changed, so SUPPLEMENTS in "
            "mlcoop/sources/corrections.py must be looked at again"
        )
    # GeoNames has no town of 15,000 on Tokelau.
    placed = [c for c in countries if c != "TKL"]
    ties = geography.ties([*placed, *SUPPLEMENTS], only=SUPPLEMENTS)
    ties = ties.assign(**{v: np.nan for v in TIE_VARIABLES if v not in _SUPPLEMENTED})
    for parts in FORMER_UNIONS.values():
        both = ties["country_a"].isin(parts) & ties["country_b"].isin(parts)
        ties.loc[both, "same_country"] = 1.0
    return ties


def _settle(low: pd.DataFrame, high: pd.DataFrame) -> list[str]:
    """Name ties that the two directions give differently; refuse distances that do."""
    notes = []
    for column in TIE_VARIABLES:
        apart = high[column] - low[column]
        if column.endswith("_km"):
            odd = apart[apart > _ROUNDING_KM]
            if len(odd):
                a, b = odd.index[0]
                raise SourceError(
                    f"{WHERE}: {column} of {a}-{b} differs by {odd.iloc[0]:.1f} km between the "
                    f"two directions ({len(odd)} pairs do); the file is not what it was"
                )
        elif np.any(apart > 0):
            odd = apart[apart > 0]
            pairs = some([f"{a}-{b}" for a, b in odd.index], most=3)
            notes.append(
                f"{WHERE}: {column} stands in one direction only for {pairs}; taken as true"
            )
    return notes
