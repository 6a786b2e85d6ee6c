"""Laws of the lasting effects of pairs, and the evidence that chooses between them.

Effects are normal, but some pairs may have no works for reasons of their own. With a chance that is
the same for all and learnt, a pair stands apart: then it has none, and its effect is drawn from a
variance `WIDER` times as large (contaminated normal, Box and Tiao 1968,
doi:10.1093/biomet/55.1.119), so it neither bends the slopes nor makes all others look doubtful. A
pair with works does not stand apart, and says so much less often pairs do: without that, pairs
that have none by chance, where works are few, would always look as if they stood apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import stats
from scipy.special import expit, gammaln, logit

from mlcoop.model.mixed_fit import MixedFit, Rows, working

WIDER = 100.0
"""How many times as large the variance of effects is among pairs that stand apart."""
VARIANCE_OF_MEDIAN = 2.2
"""Variance of a normal law around zero whose median square is one."""
LEAST_SHARE = 1e-4  # of pairs apart, and of all others

Law = Callable[[Rows, MixedFit, np.ndarray], tuple[np.ndarray, float]]
"""From a fit and the expected squares of pair effects to the closeness of pairs, their variance."""
Steps = Callable[[Rows, MixedFit, Law, int, float], MixedFit]
"""From a fit and a law to the fit after at most so many steps, at a tolerance."""


def look_apart(
    rows: Rows, state: MixedFit, iterate: Steps, *, steps: int, tolerance: float
) -> MixedFit:
    """Return the fit in which some pairs stand apart where that is likelier, else the same.

    A few such pairs make the variance of all so large that none of them looks far. So the search
    starts from all pairs without works apart and takes those back that the others explain; which of
    both fits holds is for their evidence to say.
    """
    none = rows.without_works
    if none.all() or not none.any():
        return state
    others = np.median(state.pair_effect[~none] ** 2)
    start = replace(
        state,
        # What a variance too large has shrunk to nothing would come back too slowly.
        penalty=np.where(np.isfinite(state.penalty), np.minimum(state.penalty, 1.0), np.inf),
        pair_variance=max(VARIANCE_OF_MEDIAN * float(others), 1e-3),
        closeness=np.where(none, 1 / WIDER, 1.0),
    )
    found = iterate(rows, start, some_apart, steps, tolerance)
    if not found.apart.any():
        return state
    # From where the other ended: near a variance of none one that has come farther looks likelier.
    even = replace(found, closeness=np.ones(len(rows.starts)))
    alike = iterate(rows, even, all_alike, steps, tolerance)
    return found if log_evidence(rows, found) > log_evidence(rows, alike) else state


def all_alike(rows: Rows, state: MixedFit, square: np.ndarray) -> tuple[np.ndarray, float]:
    """All effects from one normal law."""
    return np.ones(len(square)), float(square.mean())


def some_apart(rows: Rows, state: MixedFit, square: np.ndarray) -> tuple[np.ndarray, float]:
    """Closeness by the chance that each pair is among those apart, their share being what it is.

    The variance is that of the others alone: how far the pairs apart lie says nothing of it. Pairs
    with works always count: among them large and small are what factors have to explain.
    """
    gain = 1 - 1 / WIDER
    odds = logit(_share_apart(state)) + (gain * square / state.pair_variance - np.log(WIDER)) / 2
    near = np.where(rows.without_works, expit(-odds), 1.0)
    return near + (1 - near) / WIDER, float((near * square).sum() / max(near.sum(), 1e-9))


def _share_apart(state: MixedFit) -> float:
    share = (1 - state.closeness).mean() / (1 - 1 / WIDER)
    return float(np.clip(share, LEAST_SHARE, 1 - LEAST_SHARE))


def log_evidence(rows: Rows, state: MixedFit) -> float:
    """Return the log probability of the counts given the variances, by Laplace's approximation.

    Up to what all fits of the rows share.
    """
    mean, weight, _ = working(rows, state)
    alpha = max(state.dispersion, 1e-9)
    counted = gammaln(rows.y + 1 / alpha) - gammaln(1 / alpha)
    counted += rows.y * np.log(alpha * mean) - (rows.y + 1 / alpha) * np.log1p(alpha * mean)
    spread = np.sqrt(max(state.pair_variance, 1e-8))
    effect = stats.norm.logpdf(state.pair_effect, scale=spread)
    if state.apart.any():
        share = _share_apart(state)
        far = stats.norm.logpdf(state.pair_effect, scale=np.sqrt(WIDER) * spread)
        effect += np.log1p(-share)
        either = np.logaddexp(effect, np.log(share) + far)
        effect = np.where(rows.without_works, either, effect)
    known = np.add.reduceat(weight, rows.starts) + 1 / state.effect_variance
    held = np.isfinite(state.penalty) & (state.penalty > 0)
    penalty, coef = state.penalty[held], state.coef[held]
    used = np.flatnonzero(np.isfinite(state.penalty))
    volume = np.linalg.slogdet(state.covariance[np.ix_(used, used)])[1]
    prior = (np.log(penalty) - penalty * coef**2).sum()
    return float(
        (rows.weight * counted).sum() + effect.sum() + (prior + volume - np.log(known).sum()) / 2
    )
