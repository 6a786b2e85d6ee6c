"""Weights of the experts, chosen on origins whose targets are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcoop.forecast.experts import to_works
from mlcoop.forecast.history import FloatArray

MEMORY = 0.85
"""Weight of an origin's loss relative to the one after it."""

PULL = 0.01
"""Strength of the pull to the prior weights, in units of WAPE per nat."""


@dataclass(frozen=True)
class Scored:
    """Experts at one origin whose outcome is known, for the pairs of one set.

    Attributes
    ----------
    growth : float array of shape (n_pairs, n_experts)
        Log ratios with the common growth expected at the origin in them.
    last, observed : float arrays of shape (n_pairs,)
    """

    growth: FloatArray
    last: FloatArray
    observed: FloatArray


def choose_weights(past: Sequence[Scored], prior: FloatArray, *, pull: float = PULL) -> FloatArray:
    """Return non-negative weights, summing to one, of least discounted past WAPE.

    Exponentiated gradient steps on the WAPE of past origins (oldest first) plus `pull` times the
    Kullback-Leibler divergence from `prior`, which is returned when there is no past.

    References
    ----------
    Kivinen and Warmuth (1997), Information and Computation 132(1), doi:10.1006/inco.1996.2612.
    """
    past = [p for p in past if np.nansum(p.observed) > 0]
    if not past:
        return prior
    parts = []
    for age, scored in enumerate(reversed(past)):
        # The smallest pairs make 2 % of all works and four fifths of the rows.
        order = np.argsort(-scored.observed, kind="stable")
        share = np.cumsum(scored.observed[order]) / scored.observed.sum()
        keep = order[: max(int(np.searchsorted(share, 0.98)) + 1, 20)]
        scale = MEMORY**age / scored.observed[keep].sum()
        parts.append((scored.growth[keep], scored.last[keep], scored.observed[keep], scale))
    growth = np.concatenate([p[0] for p in parts])
    last = np.concatenate([p[1] for p in parts])
    observed = np.concatenate([p[2] for p in parts])
    scale = np.concatenate([np.full(len(p[2]), p[3]) for p in parts])
    scale = scale / sum(MEMORY**age for age in range(len(parts)))
    weights, average = prior.copy(), np.zeros_like(prior)
    steps = 150
    for step in range(steps):
        predicted = to_works(growth @ weights, last)
        slope = (np.sign(predicted - observed) * (predicted + 1) * scale) @ growth
        slope = slope + pull * (np.log(np.maximum(weights, 1e-12) / prior) + 1)
        rate = 8.0 / (1 + step / 15)
        weights = weights * np.exp(-rate * (slope - slope.mean()))
        weights = weights / weights.sum()
        if step >= steps // 2:
            average += weights
    return average / average.sum()
