"""Rows and fit of the penalised log-linear mixed model, and the weights of its next step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MARGIN_RANGE = 30.0


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


def working(rows: Rows, state: MixedFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every row's mean, its weight and its response on the log scale, shape (n_rows,)."""
    margin = rows.design @ state.coef + state.pair_effect[rows.pair]
    margin = np.clip(margin, -MARGIN_RANGE, MARGIN_RANGE)
    mean = np.maximum(np.exp(np.clip(margin + rows.offset, -25, 25)), 1e-8)
    weight = rows.weight * mean / (state.scale * (1 + state.dispersion * mean))
    return mean, weight, margin + (rows.y - mean) / mean
