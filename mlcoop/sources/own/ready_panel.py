"""A user's ready panel: pairs, years, a target and factors of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mlcoop.errors import DataError, did_you_mean, lower_first, some
from mlcoop.schema import YEARS
from mlcoop.sources.own.own_table import at, load, marked, rows_twice, whole_numbers

_BLANK = ("", "na", "n/a", "nan", "null", "none", ".")


def read(
    path: str | Path,
    *,
    pair: Sequence[str],
    target: str,
    factors: Sequence[str],
    year: str | None = None,
    exposure: str | None = None,
) -> pd.DataFrame:
    """Return a ready panel, checked, with the columns named and no others.

    Parameters
    ----------
    path : path
        CSV (comma, semicolon or tab; may be gzipped) or `.parquet`.
    pair : two column names
        Ends of a pair: any text or number; ends are compared as text.
    target : str
        Column of counts, >= 0; empty is missing.
    factors : sequence of str
        Columns of numbers, or of true and false; empty is missing, and so are NA, NaN, null and a
        single dot.
    year : str or None
        Column of years; None: the panel is one cross-section.
    exposure : str or None
        Column of positive multipliers of the expected count; None: there are none.

    Returns
    -------
    DataFrame
        `[pair..., year, target, exposure, factors...]` under the file's own column names, sorted
        by pair and year. Within a row the two ends are sorted as text where every factor is then
        still the pair's own, which is what a ready panel's factors are.

    Raises
    ------
    DataError
        One line that names file, column and row; a column that is not there also with the key of
        the config that asks for it, and the nearest column that no other key asks for.
    """
    table, where = load(path)
    ends = list(pair)
    if len(ends) != 2 or ends[0] == ends[1]:
        raise DataError(f"{where}: a pair has two columns, not {some(ends)}")
    asked = [
        *(("pair", end) for end in ends),
        *([("year", year)] if year else []),
        ("target", target),
        *([("exposure", exposure)] if exposure else []),
        *(("factors", factor) for factor in factors),
    ]
    wanted = [column for _, column in asked]
    doubled = sorted({c for c in wanted if wanted.count(c) > 1})
    if doubled:
        raise DataError(f"{where}: column {some(doubled)} is given two parts; a column has one")
    _refuse_absent(asked, list(table.columns), where)
    if table.empty:
        raise DataError(f"{where}: no rows")

    out = pd.DataFrame(index=table.index)
    a, b = (_ids(table[end], where, end) for end in ends)
    same = a == b
    if same.any():
        names = [f"{a[i]} ({at(i)})" for i in table.index[same]]
        raise DataError(
            f"{where}: a pair whose two sides are the same: {some(names)}; drop these rows"
        )
    flipped = a > b
    out[ends[0]], out[ends[1]] = a.where(~flipped, b), b.where(~flipped, a)
    if year:
        out[year] = whole_numbers(table[year], where, year, *YEARS)
    out[target] = _numbers(table[target], where, target)
    _refuse(out[target] < 0, table[target], where, target, "a count below zero")
    if out[target].notna().sum() == 0:
        raise DataError(f"{where}, {target}: no value in any row; fill the column or name another")
    if not (out[target] > 0).any():
        raise DataError(f"{where}, {target}: no count above zero; there is nothing to study")
    if exposure:
        out[exposure] = _numbers(table[exposure], where, exposure)
        bad = ~(out[exposure] > 0)
        _refuse(bad, table[exposure], where, exposure, "an exposure that is not above zero")
    for factor in factors:
        out[factor] = _numbers(_yes_or_no(table[factor]), where, factor)
    empty = [factor for factor in factors if out[factor].notna().sum() == 0]
    if empty:
        raise DataError(f"{where}: no value in any row of {some(empty)}; drop them from factors")

    key = [*ends, *([year] if year else [])]
    twice = out.duplicated(key, keep=False)
    if twice.any():
        places, both_orders = rows_twice(out[twice], key, flipped)
        names = [f"{' '.join(map(str, k))} ({', '.join(rows[:2])})" for k, rows in places.items()]
        how = "twice, in both orders" if both_orders else "twice"
        hint = "keep one row" if year else "keep one row, or name the column of years"
        raise DataError(f"{where}: a pair occurs {how}: {some(names)}; {hint}")
    return out.sort_values(key, ignore_index=True)


def _refuse_absent(asked: list[tuple[str, str]], columns: list[str], where: str) -> None:
    # A column that another key asks for is there already, so it cannot be what was meant.
    spare = sorted(set(columns) - {column for _, column in asked})
    slips, unlike = [], False
    for key, column in asked:
        if column not in columns:
            nearest = lower_first(did_you_mean(column, spare).strip())
            hint = f"; {nearest}" if nearest else ""
            slips.append(f'"{column}" (panel.{key}{hint})')
            unlike |= not nearest
    if slips:
        rest = f"; the file has {some(columns, most=12)}" if unlike else ""
        raise DataError(f"{where}: no column {some(slips)}{rest}")


def _ids(values: pd.Series, where: str, column: str) -> pd.Series:
    blank = values.isna() | (values.astype(str).str.strip() == "")
    _refuse(blank, values, where, column, "an empty cell")
    return as_text(values)


def as_text(values: pd.Series) -> pd.Series:
    """Return ends of pairs as the text that they are compared by."""
    text = values.astype(str).str.strip()
    # A column of integers with a gap is stored as floats: 12.0 is the end 12.
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        text = values.astype("int64").astype(str)
    return text.astype(object)


def _yes_or_no(values: pd.Series) -> pd.Series:
    """Return a column that holds true and false alone as 1 and 0, as Parquet's booleans are."""
    text = values.astype(str).str.strip().str.lower()
    blank = values.isna() | text.isin(_BLANK)
    if blank.all() or not text[~blank].isin(["true", "false"]).all():
        return values
    return (text == "true").astype(float).mask(blank)


def _numbers(values: pd.Series, where: str, column: str) -> pd.Series:
    if pd.api.types.is_bool_dtype(values):
        return values.astype(float)
    number = pd.to_numeric(values, errors="coerce").astype(float)
    blank = values.isna() | values.astype(str).str.strip().str.lower().isin(_BLANK)
    _refuse(number.isna() & ~blank, values, where, column, "no number")
    _refuse(np.isinf(number), values, where, column, "infinite")
    return number


def _refuse(bad: pd.Series, values: pd.Series, where: str, column: str, what: str) -> None:
    if bad.any():
        shown = [f"{values[i]!r} ({at(i)})" for i in values.index[bad]]
        raise DataError(f"{where}, {column}: {what}: {some(shown)}{marked(values[bad])}")
