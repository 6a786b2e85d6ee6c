"""Fit a penalised log-linear mixed model: smooth terms, products and lasting pair effects.

Penalised quasi-likelihood (Breslow and Clayton 1993, doi:10.1080/01621459.1993.10594284) with
negative binomial variance. Every penalty is a prior variance estimated from the data by MacKay's
fixed point (1992, doi:10.1162/neco.1992.4.3.415), so a block that explains nothing shrinks away.
Linear terms have each their own, drawn towards the shared one by a gamma prior, which makes their
effects Cauchy around zero (Gelman, Jakulin, Pittau and Su 2008, doi:10.1214/08-AOAS191): large ones
are shrunk less than by one variance for all, idle ones as much.
Lasting effects of pairs are integrated out: a factor that stands still within pairs is judged
by the number of pairs, not of rows. Their laws are in `pair_effects`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlcoop.model.mixed_doubt import pair_influences
from mlcoop.model.mixed_fit import MixedFit, Rows, working
from mlcoop.model.pair_effects import Law, all_alike, look_apart, some_apart
from mlcoop.model.training import MANY_PAIRS

LARGEST_PENALTY = 1e7
LINEAR_TERMS = 0  # their penalty block
PRIOR_TERMS = 1.0
"""How many terms the shared prior counts for in a linear term's own; one is a Cauchy prior."""
FIRST_BOUND = 5.0
"""How many times its mean a count may exceed it in the first step; twice as many in every next."""
NO_VARIANCE = 1e-6
MOST_PEARSON, FEWER_PEARSON = 400.0, 50.0
"""How many times its expectation a row's Pearson statistic counts at most; the second where a fit
does not settle: a work where next to none is expected can then move the dispersion to and fro."""
LOST = 100.0
"""Change of a row's log rate in one step from which a fit has gone astray."""
MOST_ROBUST = 1000  # pairs up to which weak blocks are also judged by their robust spread


def fit_mixed(
    rows: Rows,
    *,
    steps: int = 60,
    tolerance: float = 2e-3,
    keep: np.ndarray | None = None,
    z_cut: dict[int, float] | None = None,
    start: MixedFit | None = None,
    poisson: bool = False,
) -> MixedFit:
    """Estimate coefficients and variance components.

    Parameters
    ----------
    rows : Rows
    steps : int
        Largest number of fixed-point steps.
    tolerance : float
        Largest change of a linear predictor's root mean square at which to stop.
    keep : bool array of shape (n_columns,), optional
        Columns to use; the others get coefficient 0.
    z_cut : dict, optional
        Per block, the smallest Wald statistic, as excess over its degrees of freedom in standard
        deviations, at which the block stays; checked after convergence and after every fit without
        the blocks that fell, until none does.
    start : MixedFit, optional
        Where to start.
    poisson : bool
        Poisson weights and no pair effects (PPML), where the mean of works is what counts.

    Returns
    -------
    MixedFit
    """
    n_columns = rows.design.shape[1]
    free = rows.blocks < 0
    penalty = np.where(free, 0.0, 1.0) if start is None else start.penalty.copy()
    if keep is not None:
        penalty = np.where(keep, penalty, np.inf)
    state = (
        MixedFit(
            coef=_start_coef(rows),
            covariance=np.zeros((n_columns, n_columns)),
            penalty=penalty,
            pair_variance=0.2,
            dispersion=0.1,
            scale=1.0,
            pair_effect=np.zeros(len(rows.starts)),
            closeness=np.ones(len(rows.starts)),
        )
        if start is None
        else replace(start, penalty=penalty)
    )
    if poisson:
        state = replace(state, pair_variance=NO_VARIANCE, dispersion=0.0)
    bound = FIRST_BOUND if start is None else np.inf
    law = some_apart if state.apart.any() else all_alike
    state = _iterate(rows, state, law, steps, tolerance, bound=bound, poisson=poisson)
    few = len(rows.starts) < MANY_PAIRS
    if few and not poisson and not state.apart.any():
        state = look_apart(rows, state, _iterate, steps=steps, tolerance=tolerance)
    if z_cut:
        dropped = _weak_blocks(rows, state, z_cut)
        if dropped.any():
            # Candidates may be more than pairs: together they take the pairs' own noise, and beside
            # what is left of it the last of them stand out. Those that fell give it back.
            return fit_mixed(
                rows,
                steps=steps,
                tolerance=tolerance,
                keep=np.isfinite(state.penalty) & ~dropped,
                z_cut=z_cut,
                start=state,
                poisson=poisson,
            )
    return state


def _iterate(
    rows: Rows,
    state: MixedFit,
    law: Law,
    steps: int,
    tolerance: float,
    *,
    bound: float = np.inf,
    poisson: bool = False,
    pearson: float = MOST_PEARSON,
) -> MixedFit:
    """Take steps until the linear predictor stays."""
    start, first_bound = state, bound
    previous = rows.design @ state.coef
    for step in range(steps):
        # A count far above a first mean would throw the step out. The bound must be gone before
        # the end: where counts are rare, every one of them is many times its mean.
        state, within = _solve(rows, state, bound)
        if not poisson and not np.abs(rows.design @ state.coef - previous).max() < LOST:
            break
        state = _update_variances(rows, state, law, poisson, pearson)
        margin = rows.design @ state.coef
        change = np.sqrt(np.mean((margin - previous) ** 2))
        previous = margin
        bound *= 2
        if change < tolerance and within and step > 3:
            return state
    if pearson == FEWER_PEARSON or poisson:
        return state
    return _iterate(rows, start, law, steps, tolerance, bound=first_bound, pearson=FEWER_PEARSON)


def _start_coef(rows: Rows) -> np.ndarray:
    coef = np.zeros(rows.design.shape[1])
    total = (rows.weight * rows.y).sum()
    if total > 0:  # the first column is the constant
        coef[0] = np.log(total / (rows.weight * np.exp(rows.offset)).sum())
    return coef


def _solve(rows: Rows, state: MixedFit, bound: float) -> tuple[MixedFit, bool]:
    """Take one penalised weighted least squares step, the pair effects integrated out.

    Also tells whether no count exceeded its mean by more than `bound` times the mean.
    """
    mean, weight, response = working(rows, state)
    beyond = np.maximum((rows.y - mean) / mean - bound, 0)
    response -= beyond
    used = np.flatnonzero(np.isfinite(state.penalty))
    design = rows.design[:, used]
    weighted = design * weight[:, None]
    cross = weighted.T @ design
    right = weighted.T @ response
    by_pair_w = np.add.reduceat(weight, rows.starts)
    shrink = 1 / (1 / state.effect_variance + by_pair_w)
    by_pair_x = np.add.reduceat(weighted, rows.starts, axis=0)
    by_pair_r = np.add.reduceat(weight * response, rows.starts)
    cross -= (by_pair_x * shrink[:, None]).T @ by_pair_x
    right -= by_pair_x.T @ (shrink * by_pair_r)
    cross[np.diag_indices_from(cross)] += state.penalty[used] + 1e-9
    inverse = np.linalg.inv(cross)
    solution = inverse @ right
    coef = np.zeros_like(state.coef)
    coef[used] = solution
    covariance = np.zeros_like(state.covariance)
    covariance[np.ix_(used, used)] = inverse
    effect = shrink * (by_pair_r - by_pair_x @ solution)
    return replace(state, coef=coef, covariance=covariance, pair_effect=effect), not beyond.any()


def _update_variances(
    rows: Rows, state: MixedFit, law: Law, poisson: bool, most_pearson: float
) -> MixedFit:
    """Return the fit with its penalties and variance components estimated anew."""
    penalty = state.penalty.copy()
    free = rows.blocks < 0
    variance = np.diag(state.covariance)
    for block in np.unique(rows.blocks[~free]):
        inside = np.flatnonzero((rows.blocks == block) & np.isfinite(penalty))
        if not len(inside):
            continue
        known = len(inside) - (penalty[inside] * variance[inside]).sum()
        power = (state.coef[inside] ** 2).sum()
        new = max(known, 1e-6) / max(power, 1e-12)
        if block == LINEAR_TERMS and not poisson:
            # Each around the shared one: a large effect is not held back because most have none.
            own = np.maximum(1 - penalty[inside] * variance[inside], 0)
            shared = max(new, 1e-3)
            penalty[inside] = (own + PRIOR_TERMS) / (state.coef[inside] ** 2 + PRIOR_TERMS / shared)
        else:
            penalty[inside] = np.inf if new > LARGEST_PENALTY else max(new, 1e-3)
    state = replace(state, coef=np.where(np.isfinite(penalty), state.coef, 0.0))
    mean, weight, _ = working(rows, state)
    used = np.flatnonzero(np.isfinite(penalty))
    covariance = state.covariance[np.ix_(used, used)]
    known = len(used) - float(penalty[used] @ np.diag(covariance))  # degrees of freedom spent
    if poisson:
        pearson = float((rows.weight * (rows.y - mean) ** 2 / mean).sum())
        scale = max(1.0, pearson / max(rows.weight.sum() - known, 1.0))
        return replace(state, penalty=penalty, scale=scale)
    by_pair_w = np.add.reduceat(weight, rows.starts)
    shrink = 1 / (1 / state.effect_variance + by_pair_w)
    heavy = rows.design[:, used] * weight[:, None]
    lever = np.add.reduceat(heavy, rows.starts, axis=0) * shrink[:, None]
    spread = shrink + ((lever @ covariance) * lever).sum(axis=1)
    square = state.pair_effect**2 + spread  # expected, of each pair's effect
    closeness, pair_variance = law(rows, state, square)
    # EM is slow near zero: take a longer step in the same direction
    pair_variance = max(state.pair_variance * (pair_variance / state.pair_variance) ** 1.5, 1e-6)
    freedom = rows.weight.sum() - min(known, 0.5 * rows.weight.sum())
    freedom -= (by_pair_w * shrink).sum() * min(1.0, rows.weight.mean())
    freedom = max(freedom, 0.2 * rows.weight.sum())
    dispersion, scale = _dispersion(rows, mean, freedom, most_pearson)
    return replace(
        state,
        penalty=penalty,
        pair_variance=pair_variance,
        closeness=closeness,
        dispersion=dispersion,
        scale=scale,
    )


def _dispersion(rows: Rows, mean: np.ndarray, freedom: float, most: float) -> tuple[float, float]:
    """Solve Pearson's statistic = degrees of freedom for the dispersion, else for the scale."""
    square = rows.weight * np.minimum((rows.y - mean) ** 2, most * (mean + mean**2))

    def excess(alpha: float) -> float:
        return float((square / (mean * (1 + alpha * mean))).sum() - freedom)

    if excess(0.0) <= 0:
        return 0.0, 1.0  # under-dispersion is not believed: counts are at least Poisson
    low, high = 0.0, 1.0
    while excess(high) > 0 and high < 1e4:
        high *= 4
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2, 1.0


def score_alone(fit: MixedFit, columns: np.ndarray) -> np.ndarray:
    """Return the chi-square of each of some columns if it were the only one of them.

    Parameters
    ----------
    fit : MixedFit
    columns : int array of shape (n,), none of them dropped

    Returns
    -------
    array of shape (n,)
        Without the columns' own penalties; all other columns as the fit has them.
    """
    right, likelihood = _evidence(fit, columns)
    return right**2 / np.maximum(np.diag(likelihood), 1e-12)


def _evidence(fit: MixedFit, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the likelihood alone says of some columns: their score at zero, its variance."""
    posterior = np.linalg.pinv(fit.covariance[np.ix_(columns, columns)])
    return posterior @ fit.coef[columns], posterior - np.diag(fit.penalty[columns])


def _weak_blocks(rows: Rows, state: MixedFit, z_cut: dict[int, float]) -> np.ndarray:
    """Return the columns of blocks whose Wald statistic is no larger than chance makes it."""
    weak = np.zeros(len(state.coef), dtype=bool)
    candidates = np.isin(rows.blocks, list(z_cut)) & np.isfinite(state.penalty)
    if not candidates.any():
        return weak
    few = len(rows.starts) <= MOST_ROBUST
    pulls = pair_influences(rows, state) if few else None
    for block, cut in z_cut.items():
        inside = np.flatnonzero((rows.blocks == block) & np.isfinite(state.penalty))
        if not len(inside):
            continue
        right, likelihood = _evidence(state, inside)
        statistic = right @ np.linalg.pinv(likelihood) @ right
        known = len(inside)
        if pulls is not None:
            moves = pulls[:, inside]
            coef = state.coef[inside]
            robust = coef @ np.linalg.pinv(moves.T @ moves, rcond=1e-6) @ coef
            statistic = min(statistic, robust)
        weak[inside] = (statistic - known) / np.sqrt(2 * known) < cut
    return weak
