"""A user's own collaboration counts: CSV or Parquet, long or as a matrix."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from mlcoop.countries import name_of, resolve
from mlcoop.errors import DataError, some
from mlcoop.schema import COUNTS, PAIR_YEAR, YEARS, check
from mlcoop.sources.frames import covered_frame, indicator_frame
from mlcoop.sources.openalex.collaboration import Counts
from mlcoop.sources.own.own_table import (
    NAMELESS,
    ambiguous,
    at,
    load,
    marked,
    read_bytes,
    rows_twice,
    whole_numbers,
)

COLUMNS = ("year", "country_a", "country_b", "works")
MOST_WORKS = 10**9
# Other countries for each of those that every row has one of: that fewer never met may be true.
OTHERS = 2
# From names in a column, and where it stands, to the codes of the ends of pairs.
Resolve = Callable[[pd.Series, str], pd.Series]


def read(path: str | Path, *, absent: str = "zero") -> Counts:
    """Return the counts of a user's file.

    Parameters
    ----------
    path : path
        `.parquet`, or CSV (comma, semicolon or tab). Either the columns `year`, `country_a`,
        `country_b`, `works`, one row a pair and year in either order of the two; or a matrix for
        each year: `year`, `country`, and a column for each partner, with the same figure on both
        sides of the diagonal or one side empty. Countries as ISO2, ISO3 or English names.
    absent : {"zero", "missing"}
        What a pair means that the file does not list in a year for which it has figures. Where one
        or a few countries are in every row, pairs of two others are missing in any case.

    Raises
    ------
    DataError
        One line that names file, column and row: unknown columns, counts that are negative or no
        whole numbers, a pair twice or in both orders, a country paired with itself, a year out of
        range, names that are not understood (with the nearest match), no count above zero.
    """
    table, where = load(path)
    counts = tidy(table, where, absent=absent)
    if not (counts.table["works"] > 0).any():
        raise DataError(f"{where}, works: no count above zero; there is nothing to study")
    return counts


def tidy(
    table: pd.DataFrame,
    where: str,
    *,
    absent: str = "zero",
    columns: Sequence[str] = COLUMNS,
    resolve: Resolve = resolve,
) -> Counts:
    """Return the counts of a table as `load` returns it; see `read`.

    Parameters
    ----------
    columns : four column names
        Of year, the two ends and works; there are no others.
    resolve : callable
        What the ends are called; countries where nothing else is said.
    """
    if "country" in table.columns and columns[1] not in table.columns:
        table = _from_matrix(table, where, resolve)
        columns = COLUMNS
    _check_columns(table, columns, where)
    if table.empty:
        raise DataError(f"{where}: no rows; it needs {', '.join(columns)}")
    of_year, *ends, of_works = columns
    year = whole_numbers(table[of_year], where, of_year, *YEARS)
    works = whole_numbers(table[of_works], where, of_works, 0, MOST_WORKS)
    a, b = _ends(table, ends, where, resolve)
    same = a == b
    if same.any():
        names = [f"{a[i]} ({at(i)})" for i in table.index[same]]
        raise DataError(f"{where}: a country paired with itself: {some(names)}; drop these rows")
    flipped = a > b
    counts = pd.DataFrame(
        {
            "country_a": a.where(~flipped, b),
            "country_b": b.where(~flipped, a),
            "year": year,
            "works": works.astype(float),
        }
    )
    twice = counts.duplicated(PAIR_YEAR, keep=False)
    if twice.any():
        _refuse_duplicates(counts[twice], flipped, where)
    counts = counts.sort_values(PAIR_YEAR, ignore_index=True)
    known = _whole_rows(counts) if absent == "zero" else set()
    covered = covered_frame(product(known, counts["year"].unique()))
    return Counts(check(counts, COUNTS, where), covered, indicator_frame([]))


def _whole_rows(counts: pd.DataFrame) -> set[str]:
    """Return the countries whose pairs the file means to hold all.

    A file of one or a few countries' pairs says nothing of their partners' pairs with one another:
    taken for zeros they would be most of what the models learn from. So where a few countries
    stand in every row, only theirs are whole; of a file between two sets of countries, none.
    """
    pairs = counts[["country_a", "country_b"]].drop_duplicates()
    ends = set(pairs["country_a"]) | set(pairs["country_b"])
    few, left = set[str](), pairs
    while len(left):
        few.add(pd.concat([left["country_a"], left["country_b"]]).value_counts().index[0])
        left = left[~left["country_a"].isin(few) & ~left["country_b"].isin(few)]
    if OTHERS * len(few) > len(ends) - len(few):
        return ends
    among = pairs["country_a"].isin(few) & pairs["country_b"].isin(few)
    return few if len(few) == 1 or among.any() else set()


def unknown_pairs(counts: Counts, where: str) -> list[str]:
    """Return a line that says which pairs a file is taken to know nothing of, if any."""
    ends = pd.concat([counts.table["country_a"], counts.table["country_b"]])
    whole = sorted(set(counts.covered["iso3"]))
    if len(whole) == ends.nunique():
        return []
    if not whole:
        return [f"{where}: lists pairs between two sets of countries; others count as missing"]
    names = some(map(name_of, whole))
    one_of = "one of " if len(whole) > 1 else ""
    return [f"{where}: every row names {one_of}{names}; pairs of two others count as missing"]


def describe(path: str | Path) -> dict[str, str]:
    """Return the provenance of a user's file: name, checksum, no licence of ours."""
    checksum = hashlib.sha256(read_bytes(Path(path))).hexdigest()
    return {
        "source": "own counts",
        "address": Path(path).name,
        "date": "",
        "version": f"{Path(path).name}, SHA-256 {checksum[:12]}…",
        "sha256": checksum,
        "licence": "owner's terms",
    }


def _check_columns(table: pd.DataFrame, wanted: Sequence[str], where: str) -> None:
    missing = [c for c in wanted if c not in table.columns]
    unknown = [c or NAMELESS for c in table.columns if c not in wanted]
    if missing or unknown:
        parts = [f"missing {some(missing)}"] if missing else []
        parts += [f"unknown {some(unknown)}"] if unknown else []
        raise DataError(f"{where}: columns {'; '.join(parts)}; they must be {', '.join(wanted)}")


def _ends(
    table: pd.DataFrame, columns: Sequence[str], where: str, resolve: Resolve
) -> tuple[pd.Series, pd.Series]:
    """Return the codes of both ends, or name what is not understood in either column."""
    found: list[pd.Series] = []
    slips: list[str] = []
    for column in columns:
        try:
            found.append(_countries(table[column], where, column, resolve))
        except DataError as error:
            slips.append(str(error) if not slips else str(error).removeprefix(f"{where}, "))
    if slips:
        raise DataError("; ".join(slips))
    return found[0], found[1]


def _countries(values: pd.Series, where: str, column: str, resolve: Resolve) -> pd.Series:
    try:
        return resolve(values, f"{where}, {column}")
    except DataError:
        blank = [i for i, v in values.items() if pd.isna(v) or not str(v).strip()]
        if blank:
            raise DataError(
                f"{where}, {column}: empty in {some([at(i) for i in blank])}; write its code or "
                "name (Namibia's NA must be text)"
            ) from None
        raise


def _refuse_duplicates(rows: pd.DataFrame, flipped: pd.Series, where: str) -> None:
    places, both_orders = rows_twice(rows, PAIR_YEAR, flipped)
    shown = [
        f"{a}-{b} {year} ({' and '.join(found[:3])})" for (a, b, year), found in places.items()
    ]
    how = "a pair named twice, in both orders" if both_orders else "a pair named twice"
    raise DataError(f"{where}: {how}: {some(shown)}; keep one row for a pair and year")


def _from_matrix(table: pd.DataFrame, where: str, resolve: Resolve) -> pd.DataFrame:
    """Return the long form of one matrix for each year."""
    if "year" not in table.columns:
        raise DataError(f"{where}: a matrix needs the column year beside country")
    # Before cells without a figure go: a heading above an empty column is a name as well.
    partners = [c for c in table.columns if c not in ("year", "country")]
    heads = resolve(pd.Series(partners, dtype=object), f"{where}, heading")
    ends = _countries(table["country"], where, "country", resolve)
    years = whole_numbers(table["year"], where, "year", *YEARS)
    twice = [f"{partners[i]}" for i in heads.index[heads.duplicated(keep=False)]]
    if twice:
        raise DataError(f"{where}: columns of one and the same country: {some(twice)}; keep one")
    again = pd.DataFrame({"country": ends, "year": years}).duplicated(keep=False)
    if again.any():
        names = [f"{ends[i]} {years[i]} ({at(i)})" for i in table.index[again]]
        raise DataError(f"{where}: a country has two rows in a year: {some(names)}; keep one")
    long = table.reset_index(names="row").melt(
        id_vars=["row", "year", "country"], var_name="partner", value_name="works"
    )
    text = long["works"].astype(str).str.strip()
    long = long[~text.isin(["", "nan", "None", "<NA>"])]
    a = resolve(long["country"], f"{where}, country")
    b = resolve(long["partner"], f"{where}, heading")
    long = long.assign(low=a.where(a < b, b), high=b.where(a < b, a))[a != b]
    numbers = pd.to_numeric(long["works"], errors="coerce")
    sides = long.assign(number=numbers).groupby(["low", "high", "year"])["number"]
    odd = sides.nunique()
    odd = odd[odd > 1]
    if len(odd):
        names = [f"{x}-{y} {year}" for x, y, year in odd.index]
        raise DataError(f"{where}: the two sides of the matrix differ for {some(names)}")
    numbers = numbers[a != b]
    good = numbers.between(0, MOST_WORKS) & (numbers % 1 == 0) & ~ambiguous(long["works"])
    bad = long[~good]
    if len(bad):
        shown = [
            f"{value!r} under {partner} ({at(row)})"
            for row, partner, value in bad[["row", "partner", "works"]].itertuples(index=False)
        ]
        raise DataError(
            f"{where}, works: not a whole number from 0 to {MOST_WORKS}: {some(shown)}"
            f"{marked(bad['works'])}"
        )
    long = long.drop_duplicates(["low", "high", "year"])
    long = long.rename(columns={"low": "country_a", "high": "country_b"})
    return long[list(COLUMNS)].reset_index(drop=True)
