"""How a factor is spread over the pairs of a study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlcoop.errors import DataError
from mlcoop.features.build import build_features, explain_rows
from mlcoop.features.catalogue import usable_factors
from mlcoop.features.factor import Factor
from mlcoop.schema import PAIR

BINS = 16
FEW_VALUES = 10  # up to which each value has a bar of its own


@dataclass(frozen=True)
class Distribution:
    """One feature of a factor over the focus pairs and years.

    Attributes
    ----------
    feature, label : str
    bars : DataFrame of low, high, rows
        Equal where a bar is a single value.
    quantiles : dict of float to float
        At 0, 0.1, 0.5, 0.9 and 1; empty where nothing is known.
    rows, known : int
    """

    feature: str
    label: str
    bars: pd.DataFrame
    quantiles: dict[float, float]
    rows: int
    known: int


def distributions(
    panel: pd.DataFrame, factor: Factor, *, focal: str | None, countries: list[str]
) -> list[Distribution]:
    """Return how a factor is spread over the focus pairs of a panel, for each end that it has.

    Parameters
    ----------
    panel : DataFrame
        `schema.PANEL` as an experiment keeps it, from the first year of counts on.
    factor : Factor
    focal : str or None
    countries : list of str
        Of the focus set: its pairs are those among them, with the focal country where there is one.

    Raises
    ------
    DataError
        When the panel lacks what the factor reads, or holds no focus pair.
    """
    kept, left_out = usable_factors(panel, [factor])
    if not kept:
        raise DataError(f"{factor.name}: not in this panel: {left_out[0][1]}")
    pairs = panel[PAIR].drop_duplicates()
    inside = pairs.isin(countries).all(axis=1)
    if focal is not None:
        inside &= (pairs == focal).any(axis=1)
    if not inside.any():
        raise DataError(f"{factor.name}: the panel holds no pair of the focus set")
    first, last = int(panel["year"].min()), int(panel["year"].max())
    matrix = build_features(
        panel,
        factors=[factor],
        # Before, a figure of the lag's age lies outside the panel.
        years=range(min(first + factor.lag, last), last + 1),
        focal=focal,
        focus_pairs=pairs[inside],
    )
    shown = matrix.X[explain_rows(matrix)]
    features = matrix.features if focal is not None else matrix.features[:1]
    return [_spread(f.name, f.label, shown[f.name]) for f in features]


def _spread(feature: str, label: str, column: pd.Series) -> Distribution:
    values = column.dropna().to_numpy(float)
    levels = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    found = np.quantile(values, levels) if len(values) else ()
    distinct = np.unique(values)
    if len(distinct) <= FEW_VALUES:
        counts = [int((values == v).sum()) for v in distinct]
        bars = pd.DataFrame({"low": distinct, "high": distinct, "rows": counts})
    else:
        heights, edges = np.histogram(values, bins=BINS)
        bars = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "rows": heights})
    quantiles = dict(zip(levels.tolist(), map(float, found), strict=False))
    return Distribution(feature, label, bars, quantiles, len(column), len(values))
