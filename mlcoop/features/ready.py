"""A user's own ready panel, with its own factor columns, to a feature matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mlcoop.errors import ConfigError, DataError, did_you_mean, some
from mlcoop.features.build import Feature, FeatureMatrix

SAME = 0.9999  # correlation from which two columns say the same
FAR = 100  # times the span of most values, from their median


def matrix_from_ready_panel(
    table: pd.DataFrame,
    *,
    pair: Sequence[str],
    year: str,
    target: str,
    factors: Sequence[str],
    exposure: str | None = None,
    groups: Mapping[str, str] | None = None,
) -> FeatureMatrix:
    """Take a ready panel as a feature matrix; its columns are used as they are, without lags.

    Parameters
    ----------
    table : DataFrame
        One row per pair and year, or one per ordered pair and year.
    pair : two column names
        The ends of a pair: any values, compared as text. (i, j) and (j, i) are one pair; where
        both stand in a year they get half weight each and never part.
    year, target : str
        Column of the target year, and of the counts (0 or more; missing in a year to forecast).
    factors : sequence of str
        Factor columns, numbers or 0/1.
    exposure : str or None
        Column that multiplies the expectation, above 0; taken over its mean.
    groups : mapping of factor to group, or None
        None makes each factor a group of its own.

    Returns
    -------
    FeatureMatrix
        All features in role "pair" and all pairs in focus, sorted by pair, year and orientation.

    Raises
    ------
    ConfigError
        If a column is not there or a factor is named twice.
    DataError
        If a row stands twice, a value is not a number, a count is negative, or an exposure is not
        above zero.

    Examples
    --------
    >>> import pandas as pd
    >>> own = pd.DataFrame({"i": "x", "j": ["y", "z"], "t": 2001, "n": [3, 0], "f": [1.0, 2.0]})
    >>> m = matrix_from_ready_panel(own, pair=["i", "j"], year="t", target="n", factors=["f"])
    >>> m.X["f"].tolist(), m.rows["works"].tolist()
    ([1.0, 2.0], [3.0, 0.0])
    """
    pair, factors = list(pair), list(factors)
    _check_columns(table, pair, year, target, exposure, factors, groups)
    left, right = (table[c].astype(str).to_numpy(object) for c in pair)
    swapped = left > right
    rows = pd.DataFrame(
        {
            "focal": left,
            "partner": right,
            "country_a": np.where(swapped, right, left),
            "country_b": np.where(swapped, left, right),
            "year": _numbers(table, year, missing=False).astype(int),
            "works": _numbers(table, target),
            "exposure": 1.0 if exposure is None else _numbers(table, exposure, missing=False),
        }
    )
    X = pd.DataFrame({name: _numbers(table, name) for name in factors}).astype(np.float32)
    rows["in_focus"] = True
    order = rows.sort_values(["country_a", "country_b", "year", "focal"], kind="stable").index
    rows, X = rows.loc[order].reset_index(drop=True), X.loc[order].reset_index(drop=True)
    _check_values(rows, X, pair, year, target, exposure)
    # Only ratios of exposures mean something; products of outputs in dollars would pass all bounds
    # of the fits, and the penalty of PPML is one of works per exposure.
    rows["exposure"] /= rows["exposure"].mean()
    ways = rows.groupby(["country_a", "country_b", "year"])["year"].transform("size")
    rows["weight"] = 1.0 / ways
    features = tuple(
        Feature(name, name, name, (groups or {}).get(name, name), "pair", own=True)
        for name in factors
    )
    columns = ["focal", "partner", "country_a", "country_b", "year", "works"]
    return FeatureMatrix(rows[[*columns, "exposure", "weight", "in_focus"]], X, features, None)


def _check_columns(
    table: pd.DataFrame,
    pair: list[str],
    year: str,
    target: str,
    exposure: str | None,
    factors: list[str],
    groups: Mapping[str, str] | None,
) -> None:
    if len(pair) != 2 or pair[0] == pair[1]:
        raise ConfigError(f"panel.pair: {pair} must name the two columns of a pair's ends")
    named = [("pair", c) for c in pair] + [("year", year), ("target", target)]
    named += [("exposure", exposure)] if exposure is not None else []
    named += [("factors", c) for c in factors]
    problems = []
    for key, column in named:
        if column not in table.columns:
            nearest = did_you_mean(str(column), map(str, table.columns), cutoff=0.6).strip()
            hint = nearest or f"It has {some(table.columns)}."
            problems.append(f'panel.{key}: no column "{column}" in the file. {hint}')
    repeated = sorted({c for c in factors if factors.count(c) > 1})
    if repeated:
        problems.append(f"panel.factors: {some(repeated)} named twice; keep one")
    taken = {*pair, year, target, exposure}
    for column in factors:
        if column in taken:
            problems.append(
                f'panel.factors: "{column}" is already the pair, year, target or exposure; take it '
                "out of the factors"
            )
    strangers = sorted(set(groups or {}) - set(factors))
    if strangers:
        problems.append(f"panel.groups: {some(strangers)} not among the factors")
    if not factors:
        problems.append("panel.factors: name at least one factor column")
    if problems:
        raise ConfigError(" ".join(problems))


def _numbers(table: pd.DataFrame, column: str, missing: bool = True) -> np.ndarray:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(float)
    values = np.where(np.isfinite(values), values, np.nan)
    given = table[column].notna().to_numpy()
    wrong = given & np.isnan(values)
    if wrong.any():
        raise DataError(
            f"panel, {column}: not a number: {some(table.loc[wrong, column])}; recode it or leave "
            "the column out"
        )
    if not missing and np.isnan(values).any():
        where = np.flatnonzero(np.isnan(values)).tolist()
        raise DataError(f"panel, {column}: missing in rows {some(where)}; fill or drop these rows")
    return values


def _check_values(
    rows: pd.DataFrame,
    X: pd.DataFrame,
    pair: list[str],
    year: str,
    target: str,
    exposure: str | None,
) -> None:
    twice = rows[rows.duplicated(["focal", "partner", "year"])]
    if len(twice):
        keys = twice[["focal", "partner", "year"]].to_numpy().tolist()
        raise DataError(f"panel, {pair} and {year}: rows stand twice: {some(keys)}; keep one each")
    selves = rows[rows["country_a"] == rows["country_b"]]
    if len(selves):
        raise DataError(
            f"panel, {pair}: both ends are the same: {some(selves['country_a'])}; drop these rows"
        )
    if (rows["works"] < 0).any():
        bad = rows.loc[rows["works"] < 0, "works"]
        raise DataError(f"panel, {target}: below zero: {some(bad)}; counts start at 0")
    if (rows["exposure"] <= 0).any():
        bad = rows.loc[rows["exposure"] <= 0, "exposure"]
        raise DataError(f"panel, {exposure}: not above zero: {some(bad)}; drop these rows")
    empty = X.columns[X.isna().all()]
    if len(empty):
        raise DataError(f"panel, {some(empty)}: no value at all; leave the column out")


def far_out(matrix: FeatureMatrix) -> list[str]:
    """Return a warning for each factor with values so far out that they may be slips.

    One value of 1e9 among others around 1 takes all of a factor's scale, and the factor seems to do
    nothing. Named are values `FAR` times as far from the median as the span that holds 98 % of the
    known ones, which counts and sums of money reach only where they are far more skew than
    countries are.
    """
    lines = []
    for name, values in matrix.X.astype(float).items():
        low = values.quantile(0.01, interpolation="higher")
        high = values.quantile(0.99, interpolation="lower")
        far = (values - values.median()).abs() > FAR * (high - low)
        if high > low and far.any():
            places = matrix.rows[far].drop_duplicates(["country_a", "country_b", "year"])
            when = places["year"].map(lambda year: f" {year}" if year else "")
            where = places["country_a"] + "-" + places["country_b"] + when
            shown = some(f"{values[i]:.4g} ({place})" for i, place in where.items())
            lines.append(
                f"{name}: far out of the range of all other values: {shown}; if that is a slip, "
                "mend it, it hides what the factor does"
            )
    return lines


def copies(matrix: FeatureMatrix) -> list[str]:
    """Return a warning for each set of factors that are the same but for unit, start or sign.

    Such factors share what each alone would be given, and neither can be told from the other: the
    first driver of a study, given twice, falls below the null line twice.
    """
    X = matrix.X.astype(float)
    known = X.notna().to_numpy(float)
    apart = known.T @ (1 - known)  # rows where the one is known and the other is not
    alike = X.corr().abs().to_numpy() > SAME
    same = alike & (apart + apart.T == 0) | np.eye(X.shape[1], dtype=bool)
    first = same.argmax(axis=1)
    sets = [list(matrix.X.columns[first == k]) for k in np.unique(first)]
    return [
        f"{some(names)}: the same but for unit, start or sign; they share what one alone would be "
        "given, so none of them may be told from chance: keep one"
        for names in sets
        if len(names) > 1
    ]
