"""Permutation importance on pairs that the model has not seen, plain and within the group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from mlcoop.explain.crossfit import pair_ends, pair_names
from mlcoop.explain.defence.clusters import clustered, shared_country
from mlcoop.model.deviance import poisson_deviances
from mlcoop.model.learners import as_seen

if TYPE_CHECKING:
    from mlcoop.explain.replicates import Explained
    from mlcoop.features.build import FeatureMatrix

REPEATS = 4
STRATA = 10


def permutation_importance(
    matrix: FeatureMatrix,
    explained: Explained,
    columns: dict[str, list[int]],
    groups: dict[str, str],
    *,
    level: float,
    seed: int,
    repeats: int = REPEATS,
) -> pd.DataFrame:
    """Return how much deviance the learner loses when a factor's values change places.

    Parameters
    ----------
    matrix, explained
        The focus rows and, for each, the model that was not trained on its pair.
    columns : dict
        Columns of each factor; they move together.
    groups : dict
        Group of each factor.
    level : float
        1 - level is the false discovery rate at which a factor is distinguishable from zero.
    seed, repeats : int

    Returns
    -------
    DataFrame indexed by factor
        `permutation`: share of the null deviance of the rows that is lost when the factor's
        values are dealt out anew over all rows, mean over repeats; `permutation_sd` over repeats;
        `permutation_p, permutation_q, permutation_stands_out`: against no loss, by the spread
        between pairs (clustered as the ranking resamples). The same with `conditional_`: dealt
        out only among rows in which the other factors of its group predict the same value (ten
        strata of a linear prediction), so that what the group knows stays known.

    Notes
    -----
    Values that trade places make rows that do not exist where factors are collinear; conditional
    permutation makes fewer of them, and a factor that its group can replace loses nothing by it.

    References
    ----------
    Breiman 2001, doi:10.1023/A:1010933404324; Strobl et al. 2008, doi:10.1186/1471-2105-9-307
    (conditional permutation; there strata come from a tree's cuts).
    """
    rows = matrix.rows.iloc[explained.rows]
    x = matrix.X.iloc[explained.rows]
    y, exposure = rows["works"].to_numpy(float), rows["exposure"].to_numpy(float)
    weight = rows["weight"].to_numpy(float)
    members = [np.flatnonzero(explained.fold_of_row == k) for k in range(len(explained.estimators))]
    seen = [as_seen(estimator, x).to_numpy(float) for estimator in explained.estimators]

    def losses(orders: list[np.ndarray], owned: list[int]) -> np.ndarray:
        """Return the deviance of rows by their own fold's model, for each order of the values."""
        loss = np.empty((len(orders), len(x)))
        for estimator, known, inside in zip(explained.estimators, seen, members, strict=True):
            if len(inside):
                stacked = np.tile(known[inside], (len(orders), 1))
                stacked[:, owned] = np.concatenate([known[o[inside]][:, owned] for o in orders])
                mean = estimator.predict(
                    pd.DataFrame(stacked, columns=x.columns),
                    exposure=np.tile(exposure[inside], len(orders)),
                ).reshape(len(orders), -1)
                loss[:, inside] = poisson_deviances(y[inside], mean) * weight[inside]
        return loss

    values = x.to_numpy(float)
    base = losses([np.arange(len(x))], [])[0]
    rate = (weight * y).sum() / (weight * exposure).sum()
    scale = max(float((poisson_deviances(y, rate * exposure) * weight).sum()), 1e-12)
    names, pair = np.unique(pair_names(rows), return_inverse=True)
    # a country in every pair is held fixed: by it alone all pairs would be one cluster
    fixed = shared_country(names)
    ends = set(pair_ends(names).ravel()) - {fixed}
    freedom = max((len(ends) if explained.unit == "country" else len(names)) - 1, 1)

    def tested(change: np.ndarray) -> tuple[float, float, float]:
        """Return loss, its spread over repeats, and the one-sided p-value over pairs."""
        by_row = change.mean(axis=0)
        total = float(by_row.sum())
        spread = float(change.sum(axis=1).std(ddof=1)) / scale if len(change) > 1 else 0.0
        by_pair = np.bincount(pair, by_row, len(names))
        around = (by_pair - by_pair.mean())[:, None]
        error = float(np.sqrt(clustered(around, names, explained.unit, fixed)[0, 0]))
        if error <= 1e-12 * scale:
            return total / scale, spread, 1.0 if total <= 1e-12 * scale else 0.0
        return total / scale, spread, float(stats.t.sf(total / error, freedom))

    found = {}
    for position, (factor, owned) in enumerate(columns.items()):
        others = [
            c for name, cols in columns.items() if name != factor and groups[name] == groups[factor]
            for c in cols
        ]  # fmt: skip
        strata = _strata(values, owned, others)
        row: list[float] = []
        for code in (np.zeros(len(values), dtype=int), strata):
            orders = [
                _within(code, np.random.default_rng([seed, 17, position, r]))
                for r in range(repeats)
            ]
            change = losses(orders, owned) - base
            row += tested(change)
        found[factor] = row
    kinds = ("permutation", "conditional")
    table = pd.DataFrame.from_dict(
        found, orient="index", columns=[f"{k}{end}" for k in kinds for end in ("", "_sd", "_p")]
    )
    for kind in kinds:
        table[f"{kind}_q"] = stats.false_discovery_control(table[f"{kind}_p"].to_numpy())
        table[f"{kind}_stands_out"] = table[f"{kind}_q"] <= 1 - level
    return table


def _within(code: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a permutation of rows that stays inside each stratum."""
    order = np.argsort(code, kind="stable")
    mixed = np.lexsort((rng.random(len(code)), code))
    result = np.empty(len(code), dtype=int)
    result[order] = mixed
    return result


def _strata(values: np.ndarray, owned: list[int], others: list[int]) -> np.ndarray:
    """Cut rows into strata of what the other factors of the group predict for this one's columns.

    A factor with two ends is predicted as the sum of its standardised columns.
    """
    if not others:
        return np.zeros(len(values), dtype=int)
    target = _filled(values[:, owned]).sum(axis=1)
    design = np.column_stack([np.ones(len(values)), _filled(values[:, others])])
    coef, *_ = np.linalg.lstsq(design, target, rcond=None)
    predicted = np.round(design @ coef, 9)
    cuts = np.unique(np.quantile(predicted, np.linspace(0, 1, STRATA + 1)[1:-1]))
    return np.searchsorted(cuts, predicted, side="right")


def _filled(values: np.ndarray) -> np.ndarray:
    """Standardise columns; a missing value is the mean."""
    seen = ~np.isnan(values)
    n = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, values, 0.0).sum(axis=0) / n
    centred = np.where(seen, values - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / n)
    return centred / np.where(spread > 1e-12, spread, 1.0)
