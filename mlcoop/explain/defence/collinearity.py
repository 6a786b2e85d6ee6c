"""Collinearity of factors: rank correlations, the clusters they suggest, ranks not separable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mlcoop.errors import quoted, some
from mlcoop.features.build import explain_rows
from mlcoop.schema import PAIR

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

# Absolute rank correlation from which two factors are close neighbours: each explains two thirds
# of the other's ranks, and importance passes from one to the other with little loss of fit.
CLOSE = 0.8
# Mean absolute rank correlation down to which factors still form one suggested group.
TOGETHER = 0.5
FEWEST_ROWS = 20


@dataclass(frozen=True)
class Collinearity:
    """Collinearity of the factors of a study.

    Attributes
    ----------
    factors : DataFrame
        `factor, group, role, position, cluster, neighbour, spearman, close, told`, in the order
        of the tree. `cluster` numbers the suggested groups in that order; `neighbour` is the factor
        with the largest absolute rank correlation, which is `spearman`; `close` says that it
        reaches `CLOSE`; `told` whether the rank sets of the two are disjoint (missing where no
        ranking was given).
    correlations : DataFrame
        `factor, other, spearman, rows`: every two factors once, rows where both are known.
    warnings : list of str
    """

    factors: pd.DataFrame
    correlations: pd.DataFrame
    warnings: list[str]


def collinearity(matrix: FeatureMatrix, ranking: pd.DataFrame | None = None) -> Collinearity:
    """Cluster the factors of a study by their rank correlation over the explained rows.

    Average linkage on 1 - |Spearman|. Every pair of countries counts alike, however many of its
    years are known: a row's weight is one over its pair's number of rows. Factors of the focal
    country move over years only, so those that grow steadily are all but one and the same.

    Parameters
    ----------
    matrix : FeatureMatrix
        Where a factor has a column for either end, the partner's is taken for all of them.
    ranking : DataFrame or None
        `factor, rank_low, rank_high, above_null` of the same factors; None where none was made.

    Returns
    -------
    Collinearity

    Notes
    -----
    Rank correlation sees monotone relations of two factors only; three factors that add up to a
    fourth need not show. A correlation of fewer than `FEWEST_ROWS` rows is missing, and counts as 0
    in the tree.
    """
    rows = matrix.rows[explain_rows(matrix)]
    features = {f.factor: f for f in reversed(matrix.features)}  # the first column of each
    names = list(dict.fromkeys(f.factor for f in matrix.features))
    X = matrix.X.loc[rows.index, [features[n].name for n in names]].set_axis(names, axis=1)
    weight = 1 / rows.groupby(PAIR)[PAIR[0]].transform("size").to_numpy(float)
    table = _all_pairs(X, weight)
    tree_order, cluster = _tree(names, table)
    near = _neighbours(names, table)
    found = pd.DataFrame(
        {
            "factor": names,
            "group": [features[n].group for n in names],
            "role": [features[n].role for n in names],
            "cluster": cluster,
            "neighbour": [near[n][0] for n in names],
            "spearman": [near[n][1] for n in names],
        }
    ).iloc[tree_order]
    found.insert(3, "position", np.arange(1, len(names) + 1))
    found["cluster"] = pd.factorize(found["cluster"])[0] + 1
    found["close"] = found["spearman"].abs() >= CLOSE
    found["told"] = _told(found, ranking)
    found = found.reset_index(drop=True)
    labels = {n: features[n].label for n in names}
    return Collinearity(found, table, _warnings(found, table, ranking, labels))


def weighted_spearman(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Return the rank correlation of two series, rows weighted; NaN where either is constant.

    Ties share the middle of the weight that they cover, so that whole weights give the same as
    rows repeated as often.

    Examples
    --------
    >>> one = np.ones(4)
    >>> round(weighted_spearman(np.array([1.0, 2, 3, 9]), np.array([2.0, 4, 3, 8]), one), 6)
    0.8
    """
    ranks = [_weighted_ranks(v, weight) for v in (x, y)]
    total = weight.sum()
    a, b = (r - (weight * r).sum() / total for r in ranks)
    size = np.sqrt((weight * a * a).sum() * (weight * b * b).sum())
    return float((weight * a * b).sum() / size) if size > 1e-12 * total else float("nan")


def _weighted_ranks(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    _, code = np.unique(values, return_inverse=True)
    heaps = np.bincount(code, weight)
    middle = np.cumsum(heaps) - heaps / 2
    return middle[code]


def _all_pairs(X: pd.DataFrame, weight: np.ndarray) -> pd.DataFrame:
    values = X.to_numpy(float)
    seen = np.isfinite(values)
    records = []
    for i, first in enumerate(X.columns):
        for j in range(i + 1, X.shape[1]):
            both = seen[:, i] & seen[:, j]
            n = int(both.sum())
            rho = float("nan")
            if n >= FEWEST_ROWS:
                rho = weighted_spearman(values[both, i], values[both, j], weight[both])
            records.append((first, X.columns[j], rho, n))
    return pd.DataFrame(records, columns=["factor", "other", "spearman", "rows"])


def _tree(names: list[str], table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the tree's leaves, and the suggested group of each factor."""
    if len(names) < 2:
        return np.arange(len(names)), np.ones(len(names), dtype=int)
    # `_all_pairs` lists pairs as scipy's condensed form does.
    apart = 1 - table["spearman"].abs().fillna(0.0).clip(0, 1).to_numpy()
    tree = linkage(apart, method="average", optimal_ordering=True)
    order = leaves_list(tree)
    # A tree reads the same backwards: begin where the catalogue does.
    if order[0] > order[-1]:
        order = order[::-1]
    return order, fcluster(tree, t=1 - TOGETHER, criterion="distance")


def _neighbours(names: list[str], table: pd.DataFrame) -> dict[str, tuple[str, float]]:
    near = dict.fromkeys(names, ("", float("nan")))
    known = table.dropna(subset=["spearman"])
    for a, b, rho in zip(known["factor"], known["other"], known["spearman"], strict=True):
        for name, other in ((a, b), (b, a)):
            best = near[name][1]
            if np.isnan(best) or abs(rho) > abs(best):
                near[name] = (other, float(rho))
    return near


def _overlap(ranking: pd.DataFrame, pairs: Iterable[tuple[str, str]]) -> list[bool]:
    low = dict(zip(ranking["factor"], ranking["rank_low"], strict=True))
    high = dict(zip(ranking["factor"], ranking["rank_high"], strict=True))
    return [low[a] <= high[b] and low[b] <= high[a] for a, b in pairs]


def _told(found: pd.DataFrame, ranking: pd.DataFrame | None) -> list[bool | None]:
    if ranking is None:
        return [None] * len(found)
    pairs = list(zip(found["factor"], found["neighbour"], strict=True))
    ranked = set(ranking["factor"])
    return [
        not _overlap(ranking, [(a, b)])[0] if a in ranked and b in ranked else None
        for a, b in pairs
    ]


def _warnings(
    found: pd.DataFrame,
    table: pd.DataFrame,
    ranking: pd.DataFrame | None,
    labels: Mapping[str, str],
) -> list[str]:
    """Return one warning that names the collinear factors whose ranks are not distinguishable.

    Factors below the null line are left out: nothing is claimed of them anyhow.
    """
    if ranking is None:
        return []
    claimed = set(ranking.loc[ranking["above_null"].astype(bool), "factor"])
    close = table[table["spearman"].abs() >= CLOSE]
    close = close[close["factor"].isin(claimed) | close["other"].isin(claimed)]
    pairs = list(zip(close["factor"], close["other"], strict=True))
    open_ = [p for p, over in zip(pairs, _overlap(ranking, pairs), strict=True) if over]
    if not open_:
        return []
    size = close.set_index(["factor", "other"])["spearman"].abs()
    sets = _joined(open_, list(found["factor"]))
    named = "; ".join(
        f"{some(quoted(labels[m] for m in members), most=4)} "
        f"({min(size[p] for p in open_ if p[0] in members):.2f} or more)"
        for members in sets[:4]
    )
    more = f"; and {len(sets) - 4} more sets in collinearity.csv" if len(sets) > 4 else ""
    return [
        f"ranks not distinguishable from those of collinear factors (rank correlation {CLOSE} or "
        f"more, overlapping confidence sets for ranks): {named}{more}"
    ]


def _joined(pairs: Sequence[tuple[str, str]], order: Sequence[str]) -> list[list[str]]:
    """Return the sets of factors that are linked by pairs, the largest first.

    >>> _joined([("a", "c"), ("b", "d"), ("c", "e")], "abcde")
    [['a', 'c', 'e'], ['b', 'd']]
    """
    place = {name: i for i, name in enumerate(order)}
    ends = np.array([[place[a], place[b]] for a, b in pairs])
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(order),) * 2)
    label = connected_components(links, directed=False)[1]
    sets: dict[int, list[str]] = {}
    for name in order:
        sets.setdefault(label[place[name]], []).append(name)
    return sorted((s for s in sets.values() if len(s) > 1), key=lambda s: -len(s))
