"""Fit a penalised log-linear mixed model: smooth terms, products and lasting pair effects.

Penalised quasi-likelihood (Breslow and Clayton 1993, doi:10.1080/01621459.1993.10594284) with
negative binomial variance. Every penalty is a prior variance estimated from the data by MacKay's
fixed point (1992, doi:10.1162/neco.1992.4.3.415), so a block that explains nothing shrinks away.
Linear terms have each their own, drawn towards the shared one by a gamma prior, which makes their
effects Cauchy around zero (Gelman, Jakulin, Pittau and Su 2008, doi:10.1214/08-AOAS191): large ones
are shrunk less than by one variance for all, idle ones as much.
Lasting effects of pairs are integrated out: a factor that stands still within pairs is judged
by the number of pairs, not of rows. They are normal, but for pairs without any work that stand
apart, whose effects are drawn from a variance `WIDER` times as large (contaminated normal, Box and
Tiao 1968, doi:10.1093/biomet/55.1.119): a pair that cannot have works then neither bends the slopes
nor makes all others look doubtful.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.special import expit, gammaln, logit

from mlcoop.model.training import MANY_PAIRS

LARGEST_PENALTY = 1e7
LINEAR_TERMS = 0  # their penalty block
PRIOR_TERMS = 1.0
"""How many terms the shared prior counts for in a linear term's own; one is a Cauchy prior."""
MARGIN_RANGE = 30.0
FIRST_BOUND = 5.0
"""How many times its mean a count may exceed it in the first step; twice as many in every next."""
NO_VARIANCE = 1e-6
WIDER = 100.0
"""How many times as large the variance of effects is among pairs that stand apart."""
NORMAL_OF_CAUCHY = 2.2
"""Variance of the normal law whose middle half is as wide as that of a Cauchy law of scale one."""
MOST_ROBUST = 1000  # pairs up to which weak blocks are also judged by their robust spread


@dataclass(frozen=True)
class MixedFit:
    """Coefficients and variance components of a fit.

    Attributes
    ----------
    coef : array of shape (n_columns,)
    covariance : array of shape (n_columns, n_columns)
        Posterior covariance given the variance components; zero where a block was dropped.
    penalty : array of shape (n_columns,)
        Prior precision by column (0: free, inf: dropped).
    pair_variance, dispersion, scale : float
        Of the lasting pair effects, of the negative binomial, and the quasi-likelihood factor.
    pair_effect : array of shape (n_pairs,)
    closeness : array of shape (n_pairs,)
        Prior precision of each pair's effect, times `pair_variance`: one, or as little as
        `1 / WIDER` where the pair stands apart.
    """

    coef: np.ndarray
    covariance: np.ndarray
    penalty: np.ndarray
    pair_variance: float
    dispersion: float
    scale: float
    pair_effect: np.ndarray
    closeness: np.ndarray

    @property
    def apart(self) -> np.ndarray:
        """Whether each pair rather stands apart than not, shape (n_pairs,)."""
        return self.closeness < 0.5

    @property
    def effect_variance(self) -> np.ndarray:
        """Prior variance of each pair's effect, shape (n_pairs,)."""
        return self.pair_variance / self.closeness


@dataclass(frozen=True)
class Rows:
    """Training rows sorted so that rows of a pair are neighbours.

    `starts` holds the first row of each pair; `design` the columns; `blocks` the penalty block of
    each column (-1: not penalised). The last `years` columns are those of years.
    """

    design: np.ndarray
    blocks: np.ndarray
    y: np.ndarray
    offset: np.ndarray
    weight: np.ndarray
    starts: np.ndarray
    pair: np.ndarray
    years: int = 0

    @property
    def without_works(self) -> np.ndarray:
        """Whether each pair has no work in any row, shape (n_pairs,)."""
        return np.asarray(np.add.reduceat(self.y, self.starts) == 0)


Law = Callable[[Rows, MixedFit, np.ndarray], tuple[np.ndarray, float]]
"""From a fit and the expected squares of pair effects to the closeness of pairs, their variance."""


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
    law = _some_apart if state.apart.any() else _all_alike
    state = _iterate(rows, state, law, steps, tolerance, bound=bound, poisson=poisson)
    few = len(rows.starts) < MANY_PAIRS
    if few and not poisson and not state.apart.any() and rows.without_works.any():
        state = _look_apart(rows, state, steps, tolerance)
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
) -> MixedFit:
    """Take steps until the linear predictor stays."""
    previous = rows.design @ state.coef
    for step in range(steps):
        # A count far above a first mean would throw the step out. The bound must be gone before
        # the end: where counts are rare, every one of them is many times its mean.
        state, within = _solve(rows, state, bound)
        state = _update_variances(rows, state, law, poisson)
        margin = rows.design @ state.coef
        change = np.sqrt(np.mean((margin - previous) ** 2))
        previous = margin
        bound *= 2
        if change < tolerance and within and step > 3:
            break
    return state


def _look_apart(rows: Rows, state: MixedFit, steps: int, tolerance: float) -> MixedFit:
    """Return the fit in which some pairs stand apart where that is likelier, else the same.

    A few such pairs make the variance of all so large that none of them looks far. With Cauchy
    effects they do, so that is where the search starts. Where works are few it may find some that
    have none by chance; which of both fits holds is for their evidence to say.
    """
    # What a variance too large has shrunk to nothing would come back too slowly.
    opened = np.where(np.isfinite(state.penalty), np.minimum(state.penalty, 1.0), np.inf)
    free = replace(state, penalty=opened)
    robust = _iterate(rows, free, _cauchy, steps // 2, 5 * tolerance)
    wider = replace(robust, pair_variance=NORMAL_OF_CAUCHY * robust.pair_variance)
    found = _iterate(rows, wider, _some_apart, steps, tolerance)
    if not found.apart.any():
        return state
    # From where the other ended: near a variance of none one that has come farther looks likelier.
    even = replace(found, closeness=np.ones(len(rows.starts)))
    alike = _iterate(rows, even, _all_alike, steps, tolerance)
    return found if _log_evidence(rows, found) > _log_evidence(rows, alike) else state


def _all_alike(rows: Rows, state: MixedFit, square: np.ndarray) -> tuple[np.ndarray, float]:
    return np.ones(len(square)), float(square.mean())


def _cauchy(rows: Rows, state: MixedFit, square: np.ndarray) -> tuple[np.ndarray, float]:
    closeness = 2 / (1 + square / state.pair_variance)
    return closeness, float((closeness * square).mean())


def _some_apart(rows: Rows, state: MixedFit, square: np.ndarray) -> tuple[np.ndarray, float]:
    """Closeness by the chance that each pair is among those apart, their share being what it is.

    The variance is that of the others alone: how far the pairs apart lie says nothing of it. Pairs
    with works always count: among them large and small are what factors have to explain.
    """
    gain = 1 - 1 / WIDER
    odds = logit(_share_apart(state)) + (gain * square / state.pair_variance - np.log(WIDER)) / 2
    near = np.where(rows.without_works, expit(-odds), 1.0)
    return near + (1 - near) / WIDER, float((near * square).sum() / max(near.sum(), 1e-9))


def _share_apart(state: MixedFit) -> float:
    return float(np.clip(np.maximum(1 - state.closeness, 0).mean(), 1e-4, 0.5))


def _log_evidence(rows: Rows, state: MixedFit) -> float:
    """Return the log probability of the counts given the variances, by Laplace's approximation.

    Up to what all fits of the rows share.
    """
    mean, weight, _ = _working(rows, state)
    alpha = max(state.dispersion, 1e-9)
    counted = gammaln(rows.y + 1 / alpha) - gammaln(1 / alpha)
    counted += rows.y * np.log(alpha * mean) - (rows.y + 1 / alpha) * np.log1p(alpha * mean)
    spread = np.sqrt(max(state.pair_variance, 1e-8))
    effect = stats.norm.logpdf(state.pair_effect, scale=spread)
    if state.apart.any():
        share = _share_apart(state)
        far = stats.norm.logpdf(state.pair_effect, scale=np.sqrt(WIDER) * spread)
        effect = np.logaddexp(np.log1p(-share) + effect, np.log(share) + far)
    known = np.add.reduceat(weight, rows.starts) + 1 / state.effect_variance
    held = np.isfinite(state.penalty) & (state.penalty > 0)
    penalty, coef = state.penalty[held], state.coef[held]
    used = np.flatnonzero(np.isfinite(state.penalty))
    volume = np.linalg.slogdet(state.covariance[np.ix_(used, used)])[1]
    prior = (np.log(penalty) - penalty * coef**2).sum()
    return float(
        (rows.weight * counted).sum() + effect.sum() + (prior + volume - np.log(known).sum()) / 2
    )


def pair_influences(rows: Rows, fit: MixedFit) -> np.ndarray:
    """Return how far each pair pulls the coefficients, shape (n_pairs, n_columns).

    Weighting pair p by m_p moves the coefficients by the sum of (m_p - 1) times its row, to first
    order. A pair of high leverage hides its own misfit, so scores are corrected for leverage
    (CR2 of Bell and McCaffrey 2002); with few pairs and many factors plain scores would
    understate the spread by a fifth.
    """
    _, weight, response = _working(rows, fit)
    used = np.flatnonzero(np.isfinite(fit.penalty))
    design = rows.design[:, used]
    root = _root(fit.covariance[np.ix_(used, used)])
    rest = response - design @ fit.coef[used]
    by_pair_w = np.add.reduceat(weight, rows.starts)
    keep = np.sqrt(1 / (1 + fit.effect_variance * by_pair_w))  # what a lasting effect leaves of it
    influence = np.zeros((len(rows.starts), rows.design.shape[1]))
    ends = np.r_[rows.starts[1:], len(weight)]
    for p, (begin, end) in enumerate(zip(rows.starts, ends, strict=True)):
        half = np.sqrt(weight[begin:end])
        along = half / np.sqrt(by_pair_w[p])
        lever = design[begin:end] @ root * half[:, None]
        lever -= (1 - keep[p]) * np.outer(along, along @ lever)
        misfit = rest[begin:end] * half
        misfit -= (1 - keep[p]) * along * (along @ misfit)
        size, vectors = np.linalg.eigh(lever @ lever.T)
        size = np.clip(size, 0, 0.98)
        misfit = vectors @ ((vectors.T @ misfit) / np.sqrt(1 - size))
        influence[p, used] = root @ (lever.T @ misfit)
    return influence


def without_pair_levels(
    rows: Rows, fit: MixedFit
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Return how to weigh columns where pairs have levels of their own, and the working response.

    The first returns `V^-1 x` for columns `x`, `V` the rows' covariance in the fit.
    """
    _, weight, response = _working(rows, fit)
    shrink = 1 / (1 / fit.effect_variance + np.add.reduceat(weight, rows.starts))

    def times(columns: np.ndarray) -> np.ndarray:
        weighted = columns * weight[:, None]
        by_pair = np.add.reduceat(weighted, rows.starts, axis=0) * shrink[:, None]
        return weighted - weight[:, None] * by_pair[rows.pair]

    return times, response


def draw_coef(fit: MixedFit, rng: np.random.Generator) -> np.ndarray:
    """Return coefficients drawn from their posterior given the variance components."""
    used = np.flatnonzero(np.isfinite(fit.penalty))
    coef = fit.coef.copy()
    root = _root(fit.covariance[np.ix_(used, used)])
    coef[used] += root @ rng.standard_normal(len(used))
    return coef


def _root(covariance: np.ndarray) -> np.ndarray:
    size, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(size, 0))


def _start_coef(rows: Rows) -> np.ndarray:
    coef = np.zeros(rows.design.shape[1])
    total = (rows.weight * rows.y).sum()
    if total > 0:  # the first column is the constant
        coef[0] = np.log(total / (rows.weight * np.exp(rows.offset)).sum())
    return coef


def _working(rows: Rows, state: MixedFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    margin = rows.design @ state.coef + state.pair_effect[rows.pair]
    margin = np.clip(margin, -MARGIN_RANGE, MARGIN_RANGE)
    mean = np.maximum(np.exp(np.clip(margin + rows.offset, -25, 25)), 1e-8)
    weight = rows.weight * mean / (state.scale * (1 + state.dispersion * mean))
    return mean, weight, margin + (rows.y - mean) / mean


def _solve(rows: Rows, state: MixedFit, bound: float) -> tuple[MixedFit, bool]:
    """Take one penalised weighted least squares step, the pair effects integrated out.

    Also tells whether no count exceeded its mean by more than `bound` times the mean.
    """
    mean, weight, response = _working(rows, state)
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


def _update_variances(rows: Rows, state: MixedFit, law: Law, poisson: bool) -> MixedFit:
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
    mean, weight, _ = _working(rows, state)
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
    dispersion, scale = _dispersion(rows, mean, freedom)
    return replace(
        state,
        penalty=penalty,
        pair_variance=pair_variance,
        closeness=closeness,
        dispersion=dispersion,
        scale=scale,
    )


def _dispersion(rows: Rows, mean: np.ndarray, freedom: float) -> tuple[float, float]:
    """Solve Pearson's statistic = degrees of freedom for the dispersion, else for the scale."""
    square = rows.weight * np.minimum((rows.y - mean) ** 2, 400 * (mean + mean**2))

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
