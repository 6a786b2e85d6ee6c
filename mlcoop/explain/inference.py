"""What the replicates allow one to claim: rank sets, tiers and a null line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

DRAWS = 8_000
MOST_DIRECTIONS = 4  # of a factor's replicates that its null test goes along


class Told(NamedTuple):
    """Established orders: `claims[j, k]` where j is above k, and their p; NaN elsewhere."""

    claims: np.ndarray
    p: np.ndarray


def orders_at_once(
    importance: np.ndarray,
    deviations: np.ndarray,
    *,
    level: float,
    freedom: float,
    eligible: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Decide which factors are above which, all claims being right at once with `level`.

    Parameters
    ----------
    importance : array of shape (n_factors,)
        Mean absolute Shapley value.
    deviations : array of shape (n_replicates, n_factors)
        Deviation of the *signed* importance from its estimate: the mean of the replicate's
        Shapley values times the sign of the estimate's. Unlike the importance itself it is not
        folded at zero, so its spread is right for weak factors too.
    level : float in (0, 1)
    freedom : float
        Degrees of freedom of the spread (clusters less fitted terms).
    eligible : bool array of shape (n_factors,)
        Factors that may be claimed to be above another.
    seed : int

    Returns
    -------
    claims : bool array of shape (n_factors, n_factors)
        `claims[j, k]`: j is above k.

    Notes
    -----
    A pair is claimed when both the difference and the sum of its signed importances are
    significant.
    Each possible claim is one hypothesis, "j is not above k", for every eligible j and any k. The
    critical value is the quantile of the largest studentised difference over the hypotheses still
    open (step-down), from draws of a multivariate t; a claim closes its own and the opposite one.
    With effects that are all equal, where every claim is wrong, one in twenty sets of claims holds
    any at level 0.95, which is what the level says.

    References
    ----------
    Mogstad, Romano, Shaikh and Wilhelm 2024, doi:10.1093/restud/rdad006 (rank sets from
    simultaneous differences); Romano and Wolf 2005, doi:10.1111/j.1468-0262.2005.00615.x.
    """
    claims = np.zeros((len(importance), len(importance)), dtype=bool)
    covariance = np.atleast_2d(np.cov(deviations, rowvar=False))
    high, low, statistic, spread = _compared(importance, covariance, eligible)
    if not len(high):
        return claims
    noise = _draws(covariance, freedom, seed).astype(np.float32)
    studentised = (noise[:, high] - noise[:, low]) / spread.astype(np.float32)
    still = np.ones(len(high), dtype=bool)
    while still.any():
        bound = np.quantile(studentised[:, still].max(axis=1), level)
        found = still & (statistic > bound)
        if not found.any():
            break
        claims[high[found], low[found]] = True
        still &= ~found & ~claims[low, high]
    return claims


def orders_told(
    importance: np.ndarray,
    deviations: np.ndarray,
    *,
    level: float,
    freedom: float,
    eligible: np.ndarray,
) -> Told:
    """Decide which factors are above which, at most `1 - level` of the claims wrong.

    Parameters
    ----------
    importance, deviations, level, freedom, eligible
        As `orders_at_once` takes them.

    Returns
    -------
    Told
        The claims, and the one-sided p-value of each in a test of its own.

    Notes
    -----
    The share is held on average over studies. Whether two factors differ is a two-sided test, and
    the larger of the two is claimed; a claim of either sign between equal effects is wrong. False
    discoveries are held by the two-stage procedure of Benjamini, Krieger and Yekutieli 2006
    (doi:10.1093/biomet/93.3.491), which learns from the first stage how many hypotheses are left
    that can be true. Pairwise comparisons are not independent, yet the rate holds for them
    (Williams, Jones and Tukey 1999, doi:10.3102/10769986024001042, for orders of states;
    tests/explain/test_inference.py).
    Where most orders are plain, the rate alone would let weak ones pass in their company: none is
    claimed that would not be significant in a one-sided test of its own at `1 - level`.
    """
    from statsmodels.stats.multitest import multipletests

    claims = np.zeros((len(importance), len(importance)), dtype=bool)
    p = np.full(claims.shape, np.nan)
    covariance = np.atleast_2d(np.cov(deviations, rowvar=False))
    high, low, statistic, _ = _compared(importance, covariance, eligible)
    first = statistic > 0  # of the two directions of a pair the one that the estimates take
    high, low, statistic = high[first], low[first], statistic[first]
    if not len(high):
        return Told(claims, p)
    alone = stats.t.sf(statistic, freedom)
    told = multipletests(2 * alone, 1 - level, method="fdr_tsbky")[0] & (alone <= 1 - level)
    claims[high[told], low[told]] = True
    p[high[told], low[told]] = alone[told]
    return Told(claims, p)


class Compared(NamedTuple):
    """Ordered pairs of factors: positions, studentised difference, its standard error."""

    high: np.ndarray
    low: np.ndarray
    statistic: np.ndarray
    spread: np.ndarray


def _compared(importance: np.ndarray, covariance: np.ndarray, eligible: np.ndarray) -> Compared:
    """Compare every eligible factor with every other.

    A factor that could as well have an effect of the other sign, and larger, is not below: the
    statistic is the lesser of those of the difference and of the sum.
    """
    high, low = np.nonzero(eligible[:, None] & ~np.eye(len(importance), dtype=bool))
    own, joint = np.diag(covariance), covariance[high, low]
    tiny = 1e-12 + 1e-9 * np.max(importance, initial=0.0)
    minus = np.sqrt(np.maximum(own[high] + own[low] - 2 * joint, 0)) + tiny
    plus = np.sqrt(np.maximum(own[high] + own[low] + 2 * joint, 0)) + tiny
    statistic = np.minimum(
        (importance[high] - importance[low]) / minus, (importance[high] + importance[low]) / plus
    )
    return Compared(high, low, statistic, minus)


def rank_sets(order: np.ndarray, claims: np.ndarray) -> pd.DataFrame:
    """Return rank, its simultaneous confidence set and tier for each factor.

    Parameters
    ----------
    order : int array of shape (n_factors,)
        Positions of the factors from most to least important.
    claims : bool array of shape (n_factors, n_factors)
        Orders that are right at once.

    Returns
    -------
    DataFrame of shape (n_factors, 4): `rank, rank_low, rank_high, tier`
        A new tier starts only where every factor so far is above every factor that follows, so
        any two factors whose order is not claimed share one.

    Examples
    --------
    >>> above = np.array([[0, 1, 1], [0, 0, 0], [0, 0, 0]], dtype=bool)
    >>> rank_sets(np.array([0, 2, 1]), above).values.tolist()
    [[1, 1, 1, 1], [3, 2, 3, 2], [2, 2, 3, 2]]
    """
    n = len(order)
    rank = np.empty(n, dtype=int)
    rank[order] = np.arange(1, n + 1)
    low = 1 + claims.sum(axis=0)
    high = n - claims.sum(axis=1)
    tier = np.ones(n, dtype=int)
    current = 1
    for position, factor in enumerate(order):
        if position and claims[np.ix_(order[:position], order[position:])].all():
            current += 1
        tier[factor] = current
    return pd.DataFrame(
        {
            "rank": rank,
            "rank_low": np.minimum(low, rank),
            "rank_high": np.maximum(high, rank),
            "tier": tier,
        }
    )


def null_p_values(values: np.ndarray, deviations: np.ndarray, *, freedom: float) -> float:
    """Return the p-value of a factor's Shapley values against having no effect at all.

    Parameters
    ----------
    values : array of shape (n_rows,)
        Estimated Shapley values of the factor.
    deviations : array of shape (n_replicates, n_rows)
        Replicates less the estimate.
    freedom : float
        Degrees of freedom of the replicates' spread.

    Notes
    -----
    A Wald test along the main directions in which the replicates differ: one for a linear effect,
    more for a bent one or one that depends on other factors.
    """
    gram = deviations @ deviations.T / len(deviations)
    size, vectors = np.linalg.eigh(gram)
    size, vectors = size[::-1], vectors[:, ::-1]
    if size[0] <= 1e-18:
        return 1.0 if np.abs(values).max() < 1e-9 else 0.0
    share = np.cumsum(size) / size.sum()
    kept = min(int(np.searchsorted(share, 0.9)) + 1, MOST_DIRECTIONS)
    directions = deviations.T @ vectors[:, :kept] / np.sqrt(size[:kept] * len(deviations))
    along = values @ directions
    wald = float((along**2 / size[:kept]).sum()) / kept
    return float(stats.f.sf(wald, kept, freedom))


def null_p_of_parts(joint: float, parts: list[float]) -> float:
    """Return the p-value of a group against having no effect at all, in whole or in part.

    Parameters
    ----------
    joint : float
        p-value of the group's summed Shapley values (`null_p_values`).
    parts : list of float
        p-values of what it is made of, each on its own; none of a player that has no parts.

    Notes
    -----
    Along the main directions of a sum one noisy factor can hide a certain one. Either test may
    therefore find the effect, the joint one or the smallest part, each at half the level and the
    parts by Bonferroni, which holds however the tests depend on each other.

    Examples
    --------
    >>> null_p_of_parts(0.5, [0.001, 0.9])
    0.004
    >>> null_p_of_parts(0.03, [0.03])
    0.03
    """
    if len(parts) < 2:
        return parts[0] if parts else joint
    return min(1.0, 2 * min(joint, len(parts) * min(parts)))


def share_intervals(
    importance: np.ndarray, deviations: np.ndarray, *, quantile: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of each factor's share of all importance.

    Parameters
    ----------
    importance, deviations
        As `orders_at_once` takes them.
    quantile : float
        Half the width of an interval in standard errors.

    Notes
    -----
    Noise folds upwards: factors without effect have some importance, which the sum holds and the
    shares of the others lack. The bounds are therefore the outer ones of two intervals by the delta
    method, of importances as they are and with their noise taken out (in squares; of one below its
    noise nothing is left). Where next to nothing is left a share may be anything.

    Examples
    --------
    >>> still = np.zeros((2, 2))
    >>> [bound.tolist() for bound in share_intervals(np.array([3.0, 1.0]), still, quantile=2.0)]
    [[0.75, 0.25], [0.75, 0.25]]
    """
    noise = deviations.std(axis=0, ddof=1)
    sizes = [importance]
    if len(importance) > 1:  # the share of one is all
        sizes.append(np.sqrt(np.maximum(importance**2 - noise**2, 0)))
    low, high = np.ones(len(importance)), np.zeros(len(importance))
    for size in sizes:
        total = max(size.sum(), 1e-12)
        share = size / total
        half = quantile * (deviations - share * deviations.sum(axis=1, keepdims=True)).std(
            axis=0, ddof=1
        )
        low = np.minimum(low, share - half / total)
        high = np.maximum(high, share + half / total)
    return np.maximum(low, 0), np.minimum(high, 1)


def _draws(covariance: np.ndarray, freedom: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(size, 0))
    normal = rng.standard_normal((DRAWS, len(covariance))) @ root.T
    return normal / np.sqrt(rng.chisquare(freedom, size=(DRAWS, 1)) / freedom)
