"""A user's own ready panel, with its own factor columns, to a feature matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mlcoop.errors import some
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
        As `ready_panel.read` checks and gives it: one row per pair and year, the two ends as
        text in either order, all else numbers.
    pair : two column names
        The ends of a pair.
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
        All features in role "pair" and all pairs in focus, sorted by pair and year.

    Examples
    --------
    >>> import pandas as pd
    >>> own = pd.DataFrame({"i": "x", "j": ["y", "z"], "t": 2001, "n": [3, 0], "f": [1.0, 2.0]})
    >>> m = matrix_from_ready_panel(own, pair=["i", "j"], year="t", target="n", factors=["f"])
    >>> m.X["f"].tolist(), m.rows["works"].tolist()
    ([1.0, 2.0], [3.0, 0.0])
    """
    first, second = pair
    ends = np.sort(table[[first, second]].to_numpy(object), axis=1)
    table = table.assign(**{first: ends[:, 0], second: ends[:, 1]})
    table = table.sort_values([first, second, year], ignore_index=True)
    assert not table.duplicated([first, second, year]).any()
    a, b = (table[end].to_numpy(object) for end in (first, second))
    # Only ratios of exposures mean something; products of outputs in dollars would pass all bounds
    # of the fits, and the penalty of PPML is one of works per exposure.
    rates = 1.0 if exposure is None else table[exposure] / table[exposure].mean()
    rows = pd.DataFrame(
        {
            "focal": a,
            "partner": b,
            "country_a": a,
            "country_b": b,
            "year": table[year].astype(int),
            "works": table[target].astype(float),
            "exposure": rates,
            "weight": 1.0,
            "in_focus": True,
        }
    )
    features = tuple(
        Feature(name, name, name, (groups or {}).get(name, name), "pair", own=True)
        for name in factors
    )
    return FeatureMatrix(rows, table[list(factors)].astype(np.float32), features, None)


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
                f"{name}: far outside the range of all other values: {shown}; if this is an error, "
                "correct it, since it hides the association of the factor"
            )
    return lines


def copies(matrix: FeatureMatrix) -> list[str]:
    """Return a warning for each set of factors that are identical except for unit, origin or sign.

    Such factors share the importance that one alone would have, and cannot be separated: the
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
        f"{some(names)}: identical except for unit, origin or sign; they share the importance that "
        "one alone would have, so none of them may be distinguishable from chance: keep one"
        for names in sets
        if len(names) > 1
    ]
