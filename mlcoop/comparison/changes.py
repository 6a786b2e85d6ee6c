"""Changes of rank between experiments, with intervals that hold for all names together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mlcoop.comparison.common import Common
from mlcoop.comparison.differences import explains_alike, shares_draws


def changes_of_rank(common: Common, level: float) -> pd.DataFrame:
    """Return the change of rank of every name from the first experiment to each other one.

    Returns
    -------
    DataFrame
        `changes` of `mlcoop.comparison.Comparison`.
    """
    size, (first, *others), tables = len(common.names), common.experiments, common.tables
    turned = [
        np.ones(size, dtype=bool)
        if explains_alike(first, e)
        else _turned(first.orders, e.orders, common.kind, common.names)
        for e in others
    ]
    points = np.array([rankdata(table["rank"].to_numpy(float)) for table in tables])
    change = (points[1:] - points[0]).ravel()
    halves = [half_widths(common.draws[0], d, level) for d in common.draws[1:]]
    half = np.concatenate([np.full(size, np.nan) if h is None else h for h in halves])
    low, high = np.maximum(change - half, 1 - size), np.minimum(change + half, size - 1)
    may = zip(tables[1:], turned, strict=True)
    known = np.concatenate([_may_differ(tables[0], t) & over for t, over in may])
    return pd.DataFrame(
        {
            **common.columns(len(others)),
            "reference": first.name,
            "experiment": np.repeat([e.name for e in others], size),
            "change": change,
            "low": low,
            "high": high,
            "told": np.where(np.isnan(half), None, ((low > 0) | (high < 0)) & known),
            "paired": np.repeat([shares_draws(first, e) for e in others], size),
        }
    )


def half_widths(a: pd.DataFrame | None, b: pd.DataFrame | None, level: float) -> np.ndarray | None:
    """Return half the simultaneous interval of every change of rank.

    Parameters
    ----------
    a, b : DataFrame of shape (n_replicates, n_names), or None
        Importance by replicate number; the names are the same, in the same order.

    Returns
    -------
    array of shape (n_names,), or None
        None without at least two replicates in common.
    """
    if a is None or b is None:
        return None
    numbers = a.index.intersection(b.index)
    if len(numbers) < 2:
        return None
    drawn = rankdata(-b.loc[numbers].to_numpy(), axis=-1)
    drawn -= rankdata(-a.loc[numbers].to_numpy(), axis=-1)
    spread = drawn.std(axis=0, ddof=1)
    away = np.abs(drawn - drawn.mean(axis=0))
    scaled = np.divide(away, spread, out=np.zeros_like(away), where=spread > 0)
    # The conformal quantile: with few replicates the plain one would be too narrow.
    largest = np.sort(scaled.max(axis=1))
    place = min(math.ceil(level * (len(largest) + 1)), len(largest)) - 1
    return largest[place] * spread


def _may_differ(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Say for which names a change may be claimed: distinguishable from chance in either ranking.

    A name below the null line in both has no rank of its own that could have changed.
    """
    return one["above_null"].to_numpy(bool) | other["above_null"].to_numpy(bool)


def _turned(
    one: pd.DataFrame | None, other: pd.DataFrame | None, kind: str, common: Sequence[str]
) -> np.ndarray:
    """Say for which names some order is established in both studies, and reversed.

    One of the two orders is among those right at once. Names that tie take any ranks in two
    studies, but keep to theirs in the replicates of each: of independent studies of one truth with
    seven equal drivers 30 % showed a change by replicates alone, 0 of 66 with this.
    """
    if one is None or other is None:  # a study of before orders were kept
        return np.ones(len(common), dtype=bool)
    above = []
    for table in (one, other):
        own = table[table["kind"] == kind]
        high, low = (
            pd.Index(common).get_indexer(own[end].astype(str)) for end in ("above", "below")
        )
        within = (high >= 0) & (low >= 0)
        sure = np.zeros((2, len(common), len(common)), dtype=bool)
        sure[0, high[within], low[within]] = True
        sure[1, high[within], low[within]] = own["at_once"].to_numpy(bool)[within]
        above.append(sure)
    (told, at_once), (told_other, at_once_other) = above
    over = (at_once & told_other.T) | (told & at_once_other.T)
    return np.asarray((over | over.T).any(axis=0))
