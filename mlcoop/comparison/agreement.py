"""How far the rankings of experiments agree, with intervals made good for their noise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from mlcoop.comparison.common import Common
from mlcoop.comparison.differences import same_counts, shares_draws
from mlcoop.explain.agreement import MEASURES, agreements, chance_agreement

COLUMNS = ["kind", "experiment_a", "experiment_b", "measure", "value", "low", "high"]


def agreement_table(common: Common, level: float) -> pd.DataFrame:
    """Return how far each two experiments agree, by each measure, with its interval.

    Returns
    -------
    DataFrame
        `agreement` of `mlcoop.comparison.Comparison`.
    """
    experiments, draws = common.experiments, common.draws
    order = np.array([-table["rank"].to_numpy(float) for table in common.tables])
    values = agreements(order[None])[:, 0]
    low, high = np.full_like(values, np.nan), np.full_like(values, np.nan)
    with_draws = [i for i, d in enumerate(draws) if d is not None]
    numbers = None
    for i in with_draws:
        own = draws[i]
        assert own is not None
        numbers = own.index if numbers is None else numbers.intersection(own.index)
    if numbers is not None and len(with_draws) > 1 and len(numbers) > 1:
        stack = np.stack(
            [d.loc[numbers].to_numpy() for d in draws if d is not None], axis=1
        )  # replicate, experiment, name
        each = agreements(stack)
        alpha = (1 - level) / 2
        bounds = np.quantile(each, [1 - alpha, alpha], axis=1)
        at = np.ix_(range(len(MEASURES)), with_draws, with_draws)
        # Noise on both sides lowers agreement, and resampling adds as much again: the interval
        # is the reflected one (Davison and Hinkley 1997, section 5.2), kept on the scale. Where
        # noise is not shared it took more than that: the outer ends are corrected for attenuation.
        chance = chance_agreement(order.shape[-1])[:, None, None]
        own = [experiments[i] for i in with_draws]
        shared = [[shares_draws(a, b) and same_counts(a, b) for b in own] for a in own]
        kept = np.where(shared, 1, _kept(stack, chance))
        floor = np.array([-1.0, -1.0, 0.0])[:, None, None]
        down = np.minimum(2 * values[at] - bounds[0], values[at]) - chance
        up = np.maximum(2 * values[at] - bounds[1], values[at]) - chance
        low[at] = np.clip(chance + np.minimum(down, down / kept), floor, 1)
        high[at] = np.clip(chance + np.maximum(up, up / kept), floor, 1)
    rows = [
        (common.kind, a.name, b.name, measure, values[m, i, j], low[m, i, j], high[m, i, j])
        for (i, a), (j, b) in combinations(enumerate(experiments), 2)
        for m, measure in enumerate(MEASURES)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _kept(stack: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the share of the agreement of two orders, beyond chance, that their noise leaves.

    Parameters
    ----------
    stack : array of shape (n_replicates, n_experiments, n_names)
    chance : array of shape (n_measures, 1, 1)

    Returns
    -------
    array of shape (n_measures, n_experiments, n_experiments)
        The geometric mean of what two replicates of the one and of the other agree.

    Notes
    -----
    Without it an interval of tau-b at 95 % held the truth in 0 to 2 % of draws where two studies
    have one order of 40 names, half of them without effect, with it in 82 to 98 %; where they have
    others in 20 to 75 %, and 82 to 100 % (standard errors of 0.03 to 0.25 of the largest effect).

    References
    ----------
    Spearman 1904, doi:10.2307/1412159 (correction for attenuation).
    """
    half = len(stack) // 2
    of_one = [
        agreements(np.stack([stack[:half, e], stack[half : 2 * half, e]], axis=1))[:, :, 0, 1]
        for e in range(stack.shape[1])
    ]
    own = (np.mean(of_one, axis=2).T - chance[:, 0]) / (1 - chance[:, 0])
    own = np.sqrt(np.clip(np.nan_to_num(own), 0.05, 1.0))
    return np.asarray(own[:, :, None] * own[:, None, :])
