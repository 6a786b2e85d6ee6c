"""Counts of an aggregated OpenAlex snapshot: pairs of a field or type, highly cited shares."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from mlcoop.errors import ConfigError, DataError
from mlcoop.schema import COUNTS, IN_FULL, INDICATORS, PAIR_YEAR, YEARS, check
from mlcoop.sources.frames import covered_frame, indicator_frame
from mlcoop.sources.openalex.api import DOMAINS, Filters
from mlcoop.sources.openalex.collaboration import TOTALS, Counts
from mlcoop.sources.service.registry import SOURCES


def read_counts(
    folder: str | Path, filters: Filters | None = None, *, counting: str = "full"
) -> Counts:
    """Return collaboration counts of an aggregated snapshot.

    Parameters
    ----------
    folder : path
        The `out` of `aggregate`.
    filters : Filters or None
        Which works are counted; None: all.
    counting : {"full", "fractional"}

    Returns
    -------
    Counts
        Every country is covered in every year that the snapshot holds: it holds all works.
        Fractional counts have the full ones beside them (`schema.IN_FULL`).
    """
    filters = filters or Filters()
    if counting not in ("full", "fractional"):
        raise ConfigError(f'counting: "{counting}" is neither full nor fractional')
    pairs = _read(folder, filters)
    if filters.highly_cited:
        pairs = pairs[pairs["top"]]
    between = pairs[pairs["country_a"] != pairs["country_b"]]
    table = between.groupby(PAIR_YEAR, as_index=False)[["works", "fractional"]].sum()
    if counting == "full":
        table = table.drop(columns="fractional")
    else:
        table = table.rename(columns={"works": IN_FULL, "fractional": "works"})
    own = pairs[pairs["country_a"] == pairs["country_b"]]
    own = own.groupby(["country_a", "year"])["international"].sum()
    # All works are in it, so a country without any in a year has a known zero.
    own = own.reindex(pd.MultiIndex.from_product(own.index.levels), fill_value=0)
    totals = indicator_frame((c, year, TOTALS, n) for (c, year), n in own.items())
    where = f"snapshot {folder}"
    return Counts(
        table=check(table, COUNTS, where),
        covered=covered_frame((c, y) for c in own.index.levels[0] for y in own.index.levels[1]),
        totals=check(totals, INDICATORS, where),
    )


def describe(folder: str | Path) -> dict[str, object]:
    """Return the provenance of an aggregated snapshot."""
    path = Path(folder) / "pairs.parquet"
    _read(folder, Filters())
    return {
        "source": "OpenAlex snapshot",
        "address": Path(folder).name,
        "date": datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": SOURCES["openalex"].licence,
        "citation": SOURCES["openalex"].citation,
    }


def highly_cited_shares(folder: str | Path, filters: Filters | None = None) -> pd.DataFrame:
    """Return each country's share of highly cited works, international and domestic, by year.

    Returns
    -------
    DataFrame
        `iso3`, `year`, `international`, `domestic` (works), `share_international`,
        `share_domestic` (of them among the top 10 % of their field, type and year; NaN where
        there are no works). The claim that international works are cited more is
        `share_international > share_domestic`; it describes, it does not show why.
    """
    filters = filters or Filters()
    pairs = _read(folder, filters)
    own = pairs[pairs["country_a"] == pairs["country_b"]]
    own = own.assign(domestic=own["works"] - own["international"])
    key = ["country_a", "year"]
    both = own.groupby(key)[["international", "domestic"]].sum()
    top = own[own["top"]].groupby(key)[["international", "domestic"]].sum()
    top = top.reindex(both.index, fill_value=0)
    shares = (top / both.where(both > 0)).add_prefix("share_")
    return both.join(shares).reset_index(names=["iso3", "year"])


def _read(folder: str | Path, filters: Filters) -> pd.DataFrame:
    """Return the pairs of the works of a field and type."""
    path = Path(folder) / "pairs.parquet"
    if not path.is_file():
        raise DataError(f"{path}: not there; run mlcoop data aggregate first")
    pairs = pd.read_parquet(path)
    # OpenAlex dates works from the Middle Ages on, and some ahead.
    pairs = pairs[pairs["year"].between(*YEARS)]
    if filters.field != "all":
        pairs = pairs[pairs["field"] == DOMAINS[filters.field]]
    return pairs[pairs["article"]] if filters.types == "article" else pairs
