"""What training beyond the focus set buys, and whether factors act alike inside and outside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from mlcoop.explain.crossfit import fit_rows, fold_of_pairs, pair_ends, pair_names
from mlcoop.explain.defence.clusters import clustered, shared_country
from mlcoop.explain.defence.regression import regress
from mlcoop.features.build import FeatureMatrix, explain_rows
from mlcoop.model.basis import of_years
from mlcoop.model.deviance import poisson_deviance
from mlcoop.schema import PAIR_YEAR

if TYPE_CHECKING:
    from mlcoop.explain.replicates import Explained
    from mlcoop.model.learners import Learner

DRAWS = 20_000
FEWEST_CARRYING = 4.0
STEPS = 25


def unseen_deviance(matrix: FeatureMatrix, explained: Explained) -> float:
    """Return the share of deviance that the fold models explain on held-out focus pairs.

    Around the rate of the focus pairs in the other folds, whatever the models were trained on, so
    that wide and narrow training compare. (Around the rate of all pairs the share is larger.)
    """
    rows = matrix.rows
    scored = np.flatnonzero(rows["works"].notna().to_numpy() & rows["in_focus"].to_numpy(bool))
    names = pair_names(rows.iloc[explained.rows])
    fold = fold_of_pairs(pair_names(rows.iloc[scored]), names, explained.fold_of_row)

    def predict(k: int, test: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        return explained.estimators[k].predict(matrix.X.iloc[test], exposure=exposure)

    return _explained(matrix, scored, fold, predict)


def refitted_deviance(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any],
    explained: Explained,
    *,
    seed: int,
) -> float:
    """Return the same for another learner, fitted on the rows outside each of the same folds."""
    rows = matrix.rows
    known = rows["works"].notna().to_numpy()
    scored = np.flatnonzero(known & rows["in_focus"].to_numpy(bool))
    names = pair_names(rows.iloc[explained.rows])
    pairs = pair_names(rows)
    of_pair = fold_of_pairs(pairs, names, explained.fold_of_row)

    def predict(k: int, test: np.ndarray, exposed: np.ndarray) -> np.ndarray:
        train = np.flatnonzero(known & (of_pair != k))
        fitted = fit_rows(matrix, learner, params, seed, train, pairs)
        return fitted.predict(matrix.X.iloc[test], exposure=exposed)

    return _explained(matrix, scored, of_pair[scored], predict)


def _explained(
    matrix: FeatureMatrix,
    scored: np.ndarray,
    fold: np.ndarray,
    predict: Callable[[int, np.ndarray, np.ndarray], np.ndarray],
) -> float:
    rows = matrix.rows.iloc[scored]
    y, exposure = rows["works"].to_numpy(float), rows["exposure"].to_numpy(float)
    weight = rows["weight"].to_numpy(float)
    left = of = 0.0
    for k in np.unique(fold[fold >= 0]):
        test, others = fold == k, fold != k
        rate = (weight * y)[others].sum() / (weight * exposure)[others].sum()
        mean = predict(int(k), scored[test], exposure[test])
        left += poisson_deviance(y[test], mean, weight[test])
        of += poisson_deviance(y[test], rate * exposure[test], weight[test])
    return 1 - left / of if of > 0 else 0.0


def rank_agreement(
    wide: np.ndarray,
    wide_moves: np.ndarray,
    narrow: np.ndarray,
    narrow_moves: np.ndarray,
    *,
    level: float,
) -> dict[str, float]:
    """Return Kendall's tau between two rankings of the same factors, with its replicate interval.

    Parameters
    ----------
    wide, narrow : arrays of shape (n_factors,)
        Importance.
    wide_moves, narrow_moves : arrays of shape (n_replicates, n_factors)
        Deviations of the signed importance.

    Returns
    -------
    dict
        `tau`, and `tau_low`, `tau_high`: quantiles over replicates of both. Noise lowers the tau
        of replicates, so the interval lies below what two exact rankings would give; it shows
        what may be seen, not what is true.
    """
    n = min(len(wide_moves), len(narrow_moves))
    taus = [
        stats.kendalltau(
            np.maximum(wide + wide_moves[b], 0), np.maximum(narrow + narrow_moves[b], 0)
        ).statistic
        for b in range(n)
    ]
    low, high = np.nanquantile(taus, [(1 - level) / 2, (1 + level) / 2])
    return {
        "tau": float(stats.kendalltau(wide, narrow).statistic),
        "tau_low": float(low),
        "tau_high": float(high),
    }


def focus_interactions(
    matrix: FeatureMatrix,
    columns: dict[str, list[int]],
    *,
    unit: str,
    level: float,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Test whether factors act on focus pairs as they do elsewhere.

    Parameters
    ----------
    columns : dict
        Columns of each factor.
    unit : {"pair", "country"}
        Clusters. A country that is in every focus pair is held fixed: the question is about it.
    level : float
        1 - level is the false discovery rate.

    Returns
    -------
    table : DataFrame indexed by factor
        `difference`: log works per standard deviation (over the focus rows) by which the slope
        inside the focus set exceeds the slope outside; `z, p, q, differs`.
    joint : dict
        `p`: of the sum of all squared z, given how they vary together; `clusters`: the median
        over factors of how many pairs, of equal weight, would carry as much (no more than
        countries would, where they are the unit and none is held fixed); `tested`, `differ`:
        how many factors. Those that fewer than four pairs carry are not tested, nor those that
        move over years alone inside the focus set (the focal country's own), of which pairs say
        nothing; where none is left, `p` and `clusters` are missing and the table is empty.

    Notes
    -----
    Wald tests in a PPML with a level of its own for the focus set: each factor's slope is freed
    on its own, along what of it all the other columns leave. Freeing all at once would ask for as
    many parameters as a small focus set has pairs, so the slope that is named may stand for a
    neighbour's. Like any test, it finds nothing where there is little to see. A few large pairs
    carry most of a Poisson regression: degrees of freedom are the effective number of pairs less
    one (Carter, Schnepel and Steigerwald 2017, doi:10.1162/REST_a_00639); with countries as the
    unit no more than that of countries.
    """
    matrix = _from_focal_end(matrix)
    rows = matrix.rows
    focus = rows["in_focus"].to_numpy(float)
    fit = regress(matrix, seed=seed, added=focus)
    z = fit.design[:, 1 : 1 + len(matrix.features)]
    inside = fit.design[:, -1] > 0
    names, code = np.unique(pair_names(rows.iloc[fit.rows]), return_inverse=True)
    within = np.unique(names[code[inside]])
    fixed = shared_country(within)
    by_country = unit == "country" and not fixed
    ends = pair_ends(names)
    ends = np.unique(ends, return_inverse=True)[1].reshape(ends.shape)
    weighted = fit.design * fit.mean[:, None]
    parts, tested, difference, clusters = [], [], [], []
    alike = of_years(z[inside], fit.mean[inside], rows["year"].to_numpy()[fit.rows][inside])
    for factor, owned in columns.items():
        if alike.issuperset(owned):
            continue
        added = np.where(inside[:, None], z[:, owned], 0.0).sum(axis=1)
        spread = added[inside].std()
        if spread <= 1e-9:
            continue
        added = added / spread
        added = added - fit.design @ (fit.bread @ (weighted.T @ added))
        information = float(added @ (fit.mean * added))
        if information <= 1e-9 * float(fit.mean[inside].sum()):
            continue
        weights = np.bincount(code, added**2 * fit.mean, len(names))
        carrying = float(weights.sum() ** 2 / (weights**2).sum())
        if carrying < FEWEST_CARRYING:  # a tie of one or two pairs tells of these pairs only
            continue
        if by_country:  # ten pairs of five countries are no ten independent ones
            of_end = np.bincount(ends.ravel(), np.repeat(weights, 2))
            carrying = min(carrying, float(of_end.sum() ** 2 / (of_end**2).sum()))
        slope, residual, information = _freed(added, fit.mean, fit.residual)
        by_pair = np.bincount(code, added * residual, len(names))
        parts.append(by_pair / information)
        difference.append(slope)
        clusters.append(carrying)
        tested.append(factor)
    if not tested:
        none = pd.DataFrame(columns=["difference", "z", "p", "q", "differs"], dtype=float)
        nothing = {"p": float("nan"), "clusters": float("nan"), "tested": 0, "differ": 0}
        return none.astype({"differs": bool}), nothing
    scores = np.column_stack(parts)
    covariance = clustered(scores, names, unit, fixed)
    error = np.sqrt(np.diag(covariance))
    statistic = np.array(difference) / np.maximum(error, 1e-12)
    p = 2 * stats.t.sf(np.abs(statistic), np.array(clusters) - 1)
    table = pd.DataFrame(
        {"difference": difference, "z": statistic, "p": p, "q": stats.false_discovery_control(p)},
        index=tested,
    )
    table["differs"] = table["q"] <= 1 - level
    joint = {
        "p": _joint(covariance, statistic, float(np.median(clusters)) - 1, seed),
        "clusters": float(np.median(clusters)),
        "tested": len(tested),
        "differ": int(table["differs"].sum()),
    }
    return table, joint


def _from_focal_end(matrix: FeatureMatrix) -> FeatureMatrix:
    """Return a matrix whose focus pairs are seen as they are explained, at their whole weight.

    Seen from the other end, too, the partner's figures stand in the focal country's columns, and
    the slope of either would be tested as that of both.
    """
    focus = matrix.rows["in_focus"].to_numpy(bool)
    kept = matrix.take(~focus | explain_rows(matrix).to_numpy(bool))
    left = kept.rows.groupby([*PAIR_YEAR])["weight"].transform("sum")
    whole = matrix.rows.groupby([*PAIR_YEAR])["weight"].transform("sum")
    rows = kept.rows.assign(weight=kept.rows["weight"] * whole[kept.rows.index] / left)
    return FeatureMatrix(rows, kept.X, kept.features, kept.focal)


def _freed(
    added: np.ndarray, mean: np.ndarray, residual: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Return the slope along a column, the residuals that it leaves, and its information.

    The column is orthogonal to all others, so these stay as they are. Residuals of the common
    slopes would hold the very difference that is looked for, and hide it in its own spread.
    """
    observed, slope = residual + mean, 0.0
    for _ in range(STEPS):
        freed = mean * np.exp(np.clip(slope * added, -10, 10))
        information = float(added @ (freed * added))
        step = float(np.clip(added @ (observed - freed) / information, -0.5, 0.5))
        slope += step
        if abs(step) < 1e-8:
            break
    freed = mean * np.exp(np.clip(slope * added, -10, 10))
    return slope, observed - freed, float(added @ (freed * added))


def _joint(covariance: np.ndarray, statistic: np.ndarray, freedom: float, seed: int) -> float:
    """Return the p-value of the sum of squared z, from draws of a multivariate t."""
    rng = np.random.default_rng([seed, 23])
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-24))
    size, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    squares = rng.standard_normal((DRAWS, len(scale))) ** 2 @ np.maximum(size, 0.0)
    squares /= rng.chisquare(freedom, size=DRAWS) / freedom
    return float((1 + (squares >= (statistic**2).sum()).sum()) / (1 + DRAWS))
