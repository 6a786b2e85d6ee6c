"""A user's table, CSV or Parquet: what stands in it, and in which row."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mlcoop.errors import DataError, some

NAMELESS = "(no heading)"
_NOT_TEXT = "is not UTF-8 text; save it as CSV UTF-8"
# Excel and LibreOffice go by such a first line and show no row for it; neither do we count it.
_SEPARATOR = re.compile(r'sep=([^\w\s"]|\t)(\r\n?|\n)', re.IGNORECASE)
FIRST = -1  # of the heading, so that the row below it is 0, as in a table that pandas made


def load(path: str | Path) -> tuple[pd.DataFrame, str]:
    """Return a user's table as text (CSV, gzipped or not) or as stored (Parquet), and its name.

    The index says where a row stands (see `at`): rows without any text are left out and counted.
    """
    path = Path(path)
    where = str(path)
    content = read_bytes(path)
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        if path.suffix.lower() in (".parquet", ".pq"):
            table = pd.read_parquet(path).reset_index(drop=True)
        else:
            if b"\0" in content:  # other encodings, and sheets, which may pass for UTF-8
                raise DataError(f"{where}: {_NOT_TEXT}")
            table = _from_text(content.decode("utf-8-sig"), where)
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: {_NOT_TEXT}") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{where}: cannot be read as a table ({reason})") from error
    table.columns = [str(c).strip() for c in table.columns]
    _refuse_repeated(list(table.columns), where)
    return table, where


def _from_text(text: str, where: str) -> pd.DataFrame:
    """Return all cells as text: Namibia's NA must not become missing, nor 007 seven.

    Not by pandas, which renames a second "works" to "works.1", fills short rows, takes the first
    cells of long ones for names of rows, and leaves out blank rows without counting them.
    """
    named = _SEPARATOR.match(text)
    if named:
        text = text[named.end() :]
    lines = io.StringIO(text, newline=None)  # takes any ending of lines, an old Mac's too
    heading = next((line for line in lines if line.strip()), "")
    separator = named[1] if named else max(",;\t", key=heading.count)
    lines.seek(0)
    rows, place = dict[int, list[str]](), FIRST
    try:
        for place, row in enumerate(csv.reader(lines, delimiter=separator, strict=True), FIRST):
            if any(cell.strip() for cell in row):
                rows[place] = row
    except csv.Error as error:
        begun = at(max(rows, default=place) + 1)
        raise DataError(
            f"{where}: a quote is not closed, or not at its cell's end ({begun} or after)"
        ) from error
    if not rows:
        raise DataError(f"{where}: is empty; it needs a heading and rows")
    columns = rows.pop(min(rows))
    odd = [f"{len(row)} cells ({at(i)})" for i, row in rows.items() if len(row) != len(columns)]
    if odd:
        raise DataError(
            f"{where}: rows with other than the heading's {len(columns)} cells: {some(odd)}"
        )
    table = pd.DataFrame(rows.values(), index=list(rows), columns=columns, dtype=object)
    # Excel writes an empty column, too, where a cell beside the table was once filled.
    blank = [k for k, name in enumerate(columns) if not name.strip()]
    blank = [k for k in blank if not table.iloc[:, k].str.strip().any()]
    table = table.iloc[:, [k for k in range(len(columns)) if k not in blank]]
    _refuse_repeated(list(table.columns), where)
    return table


def _refuse_repeated(columns: list[str], where: str) -> None:
    names = [c.strip() or NAMELESS for c in columns]
    if names.count(NAMELESS) > 1:  # a title above the heading, most often
        raise DataError(
            f"{where}: {names.count(NAMELESS)} of {len(names)} columns have no heading, only "
            f"{some(c for c in names if c != NAMELESS)}; the first row must name every column"
        )
    repeated = sorted({c for c in names if names.count(c) > 1})
    if repeated:
        raise DataError(f"{where}: column {some(repeated)} stands there twice; rename one")


def read_bytes(path: Path) -> bytes:
    """Return what a user's file holds, or say why it cannot be had."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); correct path") from error


def at(index: int) -> str:
    """Return where a row stands as an editor counts: the heading is line 1.

    >>> at(0)
    'row 2'
    """
    return f"row {index + 2}"


def rows_twice(
    rows: pd.DataFrame, key: Sequence[str], flipped: pd.Series
) -> tuple[dict[tuple[Any, ...], list[str]], bool]:
    """Return where rows stand that name one thing, and whether any names its ends turned round.

    Parameters
    ----------
    rows : DataFrame
        Those that are not alone with their `key`.
    flipped : Series of bool
        Which rows had their ends the other way round in the file.
    """
    groups = {name: group.index for name, group in rows.groupby(list(key), sort=True)}
    places = {name: [at(i) for i in index] for name, index in groups.items()}
    return places, any(flipped[index].nunique() > 1 for index in groups.values())


def whole_numbers(values: pd.Series, where: str, column: str, lo: int, hi: int) -> pd.Series:
    """Return a column as integers, or name the rows that are no whole numbers in `lo` to `hi`."""
    number = pd.to_numeric(values, errors="coerce")
    bad = number.isna() | (number % 1 != 0) | (number < lo) | (number > hi) | ambiguous(values)
    if bad.any():
        offenders = [f"{values[i]!r} ({at(i)})" for i in values.index[bad]]
        raise DataError(
            f"{where}, {column}: not a whole number from {lo} to {hi}: {some(offenders)}"
            f"{marked(values[bad])}"
        )
    return number.astype(int)


def ambiguous(values: pd.Series) -> pd.Series:
    """Tell which values are true or false, or may write thousands with a point (1.000)."""
    if pd.api.types.is_bool_dtype(values):
        return pd.Series(True, index=values.index)
    texts = values.where(values.map(lambda v: isinstance(v, str)), "").astype(str)
    return texts.str.strip().str.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+")


def marked(values: pd.Series) -> str:
    """Return how to mend numbers with a comma in place of the point, or marks of thousands.

    >>> marked(pd.Series(["13,5", "7"]))
    '; write decimals with a point, thousands without a mark'
    """
    found = ambiguous(values) | values.astype(str).str.contains(r"\d[,'’\s]\d")
    return "; write decimals with a point, thousands without a mark" if found.any() else ""
