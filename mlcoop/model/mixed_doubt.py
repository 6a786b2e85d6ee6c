"""How sure a fit of the mixed model is: what each pair pulls, what its level hides, draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlcoop.model.mixed_fit import MixedFit, Rows, working


def pair_influences(rows: Rows, fit: MixedFit) -> np.ndarray:
    """Return how far each pair pulls the coefficients, shape (n_pairs, n_columns).

    Weighting pair p by m_p moves the coefficients by the sum of (m_p - 1) times its row, to first
    order. A pair of high leverage hides its own misfit, so scores are corrected for leverage
    (CR2 of Bell and McCaffrey 2002); with few pairs and many factors plain scores would
    understate the spread by a fifth.
    """
    _, weight, response = working(rows, fit)
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
    _, weight, response = working(rows, fit)
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
