"""What replicates establish of factors, or of groups: null line, orders, rank sets, shares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from mlcoop.explain.inference import (
    null_p_of_parts,
    null_p_values,
    orders_at_once,
    orders_told,
    rank_sets,
    share_intervals,
)
from mlcoop.explain.replicates import Explained
from mlcoop.model.year_shocks import freedom_with_years

MISTRUSTED = 1.5
"""Where the posterior's spread is so many times the replicates', a factor is known from a few pairs
(a border, a rare tie) or held near zero by its prior, and resampling leaves it where it is: the
posterior's is then taken. Over 522 planted worlds rank sets hold in 0.975 instead of 0.958, and the
power of orders that are right at once is 0.53 instead of 0.55 (docs/tried-rankings.md)."""


class Orders(NamedTuple):
    """Established orders, row above column, shape (n_players, n_players), and their p."""

    told: np.ndarray
    at_once: np.ndarray
    p: np.ndarray


class Judged(NamedTuple):
    """What is established of players: factors, groups or dimensions.

    Attributes
    ----------
    table : DataFrame
        A row per player, in the order of `names`: `rank, rank_low, rank_high, tier, share,
        share_low, share_high, importance, importance_se, null_p, null_q, above_null`.
    names : list
    importance : array of shape (n_players,)
        Mean absolute Shapley value, log scale.
    deviations : array of shape (n_replicates, n_players)
        Of the signed importance.
    orders : Orders
    """

    table: pd.DataFrame
    names: list[Any]
    importance: np.ndarray
    deviations: np.ndarray
    orders: Orders


def judge(
    explained: Explained,
    columns: dict[Any, list[int]],
    *,
    level: float,
    seed: int,
    parts: dict[Any, list[float]] | None = None,
) -> Judged:
    """Return the ranking of players (factors, groups or dimensions), each a set of columns.

    Parameters
    ----------
    explained : Explained
    columns : dict of player to its columns of X
    level : float in (0.5, 1)
    seed : int
    parts : dict of player to p-values, optional
        Null p-values of the players that it is made of: a group's factors, a dimension's groups.
    """
    from statsmodels.stats.multitest import multipletests

    names = list(columns)
    importance, by_years = np.empty(len(names)), np.ones(len(names))
    deviations = np.empty((len(explained.replicates), len(names)))
    widening = np.ones(len(names))
    p_values = np.empty(len(names))
    for position, name in enumerate(names):
        values = explained.values[:, columns[name]].sum(axis=1)
        moves = explained.replicates[:, :, columns[name]].sum(axis=2).astype(float)
        sign = np.sign(values)
        importance[position] = np.abs(values).mean()
        # resampling few units understates the spread, a posterior trusts its model: a factor has
        # to stand out by the larger of the two before any order is claimed of it
        widening[position] = _lift(explained.draws[:, :, columns[name]], moves, sign)
        # neither knows what the pairs of a year share where years are few
        times, freedom = _by_years(explained, columns[name], sign)
        if len(explained.draws):  # priors: only fits of the first repeat are made again, with the
            # priors that they have. Where next to nothing matters these may shrink all to nothing,
            # and in other repeats not: replicates stand still beside an estimate that hangs on
            # how pairs are dealt into folds
            times = max(times, _lift(explained.by_repeat[:, :, columns[name]], moves, sign))
        spread = max(widening[position], times)
        alone = null_p_values(values, moves * spread, freedom=freedom)
        p_values[position] = null_p_of_parts(alone, parts[name] if parts else [])
        wider = _quantile(level, freedom) / _quantile(level, explained.freedom)
        by_years[position], widening[position] = times * wider, spread * wider
        deviations[:, position] = widening[position] * (moves @ sign) / len(values)
    q = stats.false_discovery_control(p_values)
    above = q <= 1 - level
    own = {"level": level, "freedom": explained.freedom}
    resampled = deviations * (by_years / widening)
    told, order_p = orders_told(importance, resampled, eligible=above, **own)
    surely = multipletests(p_values, 1 - level, method="holm")[0]
    trusted = np.where(widening / by_years > MISTRUSTED, deviations, resampled)
    at_once = told & orders_at_once(importance, trusted, eligible=surely, seed=seed, **own)
    order = np.lexsort((-importance, ~above))
    table = rank_sets(order, at_once)
    table["share"] = importance / max(importance.sum(), 1e-12)
    table["share_low"], table["share_high"] = share_intervals(
        importance, deviations, quantile=_quantile(level, explained.freedom)
    )
    table["importance"] = importance
    table["importance_se"] = deviations.std(axis=0, ddof=1)
    table["null_p"], table["null_q"], table["above_null"] = p_values, q, above
    return Judged(table, names, importance, deviations, Orders(told, at_once, order_p))


def interval_widths(
    explained: Explained, columns: dict[str, list[int]], level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return half the width of each factor's interval in standard deviations, and their widening.

    The widening lifts the replicates' spread to the posterior's, or to that with shocks of years.
    """
    half, widening = [], []
    for owned in columns.values():
        sign = np.sign(explained.values[:, owned].sum(axis=1))
        moves = explained.replicates[:, :, owned].sum(axis=2).astype(float)
        times, freedom = _by_years(explained, owned, sign)
        half.append(_quantile(level, freedom))
        widening.append(max(_lift(explained.draws[:, :, owned], moves, sign), times))
    return np.array(half), np.array(widening)


def _by_years(explained: Explained, columns: list[int], sign: np.ndarray) -> tuple[float, float]:
    """Return by what shocks of years widen a player's spread, and its degrees of freedom."""
    doubt = explained.years
    if doubt is None:
        return 1.0, explained.freedom
    own = np.array([(explained.replicates[:, :, c] @ sign).std(ddof=1) ** 2 for c in columns])
    whole = own * doubt.times[columns] ** 2
    if not whole.sum() > 0:
        return 1.0, explained.freedom
    share = float(whole @ doubt.share[columns] / whole.sum())
    freedom = freedom_with_years(share, explained.freedom, doubt.left)
    return float(np.sqrt(whole.sum() / own.sum())), float(freedom)


def _lift(others: np.ndarray, moves: np.ndarray, sign: np.ndarray) -> float:
    """Return the factor, at least 1, that lifts the replicates' spread to that of `others`."""
    if len(others) < 2:
        return 1.0
    own = float((moves @ sign).std(ddof=1))
    said = float((others.sum(axis=2).astype(float) @ sign).std(ddof=1))
    return max(1.0, said / own) if own > 0 else 1.0


def _quantile(level: float, freedom: float) -> float:
    return float(stats.t.ppf(0.5 + level / 2, freedom))
