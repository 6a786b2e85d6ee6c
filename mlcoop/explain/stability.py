"""Stability of a ranking: under other replicates, and on other pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

from mlcoop.explain.crossfit import fit_rows, pair_names
from mlcoop.explain.repeated import FOLDS, REPEATS
from mlcoop.explain.weights import halves
from mlcoop.features.build import explain_rows
from mlcoop.model.learners import Learner

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

SPLITS = 3
MODELS, MODELS_SHARED = 5, FOLDS * REPEATS
"""Models of a half. Where both halves learn from the same other pairs, their models' own chance is
much of what differs: founding study, tau 0.77 with five models, 0.81 with the 25 that a ranking
rests on. Where nothing is shared it is the pairs: 0.61, and 0.62 with twelve."""
FEWEST_PAIRS = 20
MOST_ROWS = 800
MOST_BACKGROUND = 200


def replicate_stability(
    importance: np.ndarray, deviations: np.ndarray, tier: np.ndarray
) -> dict[str, Any]:
    """Return how far rankings from the replicates agree with each other.

    Parameters
    ----------
    importance : array of shape (n,)
    deviations : array of shape (n_replicates, n)
        Of the signed importance, as `orders_told` takes it.
    tier : int array of shape (n,)

    Returns
    -------
    dict
        `halves_tau`: Kendall's tau between the rankings by mean importance of two independent
        halves of the replicates; it shows whether there are enough of them. `replicates_tau`:
        mean tau between two single replicates, which shows how far a study of other pairs or
        countries of the kind would agree; factors that do nothing come in any order.
        `top_same`: share of replicates with the same first; `top_same_tier`: with a first that
        shares the tier of the ranking's first.
    """
    drawn = importance + deviations
    first, second = (drawn[part].mean(axis=0) for part in halves(len(drawn)))
    folded = np.maximum(drawn, 0)
    apart = len(drawn) // 2
    taus = [stats.kendalltau(folded[b], folded[apart + b]).statistic for b in range(apart)]
    told = [tau for tau in taus if np.isfinite(tau)]  # none where all factors are equal
    leaders = drawn.argmax(axis=1)
    leader = int(importance.argmax())
    return {
        "halves_tau": float(stats.kendalltau(first, second).statistic),
        "replicates_tau": float(np.mean(told)) if told else float("nan"),
        "top_same": float((leaders == leader).mean()),
        "top_same_tier": float((tier[leaders] == tier[leader]).mean()),
    }


def pair_halves(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any],
    players: Mapping[str, list[int]],
    *,
    seed: int,
    workers: int,
    share_rest: bool = False,
) -> np.ndarray | None:
    """Return the importance of every player from disjoint halves of the pairs.

    Parameters
    ----------
    players : mapping
        Columns of each factor, or group of them.
    share_rest : bool
        Whether only the focus pairs are halved and the rest of the training set serves both, as it
        would two studies of different partners. Otherwise each half is a study of its own, fitted
        on its own pairs.

    Returns
    -------
    array of shape (SPLITS, 2, n_players), or None with too few focus pairs

    Notes
    -----
    A half's Shapley values of its own focus pairs are the mean of `MODELS` models, or of
    `MODELS_SHARED`, that differ in their seed and the rows drawn for them, as those of a ranking
    are of the models of its folds: one model's own chance would pass for a difference of the pairs.
    """
    rows = matrix.rows
    known = rows["works"].notna().to_numpy()
    target = known & explain_rows(matrix).to_numpy(bool)
    pairs = pair_names(rows)
    code = pd.factorize(pairs, sort=True)[0]  # numbers compare much faster than names
    focus = np.unique(code[target])
    others = np.setdiff1d(np.unique(code[known]), focus)
    if len(focus) < FEWEST_PAIRS:
        return None

    def importance(split: int, side: int) -> np.ndarray:
        rng = np.random.default_rng([seed, 11, split])
        mine = _half(focus, side, rng)
        rest = others if share_rest else _half(others, side, rng)
        own = np.flatnonzero(target & np.isin(code, mine))
        explained, background = rng.permutation(own)[:MOST_ROWS], rng.permutation(own)
        train = np.flatnonzero(known & np.isin(code, np.concatenate([mine, rest])))

        def values(number: int) -> np.ndarray:
            estimator = fit_rows(matrix, learner, params, seed + number, train, pairs)
            found, _ = estimator.shap_values(
                matrix.X.iloc[explained], matrix.X.iloc[background[:MOST_BACKGROUND]]
            )
            return found.to_numpy()

        found = [values(0), values(1)]
        if not np.array_equal(found[0], found[1]):  # a learner without chance is not asked again
            models = MODELS_SHARED if share_rest else MODELS
            found += [values(number) for number in range(2, models)]
        mean = np.mean(found, axis=0)
        return np.array([np.abs(mean[:, c].sum(axis=1)).mean() for c in players.values()])

    jobs = [(split, side) for split in range(SPLITS) for side in (0, 1)]
    found = Parallel(n_jobs=workers, backend="threading")(delayed(importance)(*job) for job in jobs)
    return np.array(found).reshape(SPLITS, 2, -1)


def _half(names: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(names)[side::2]


def halves_tau(by_half: np.ndarray) -> float:
    """Return mean Kendall's tau between the halves of `pair_halves`; NaN for fewer than three."""
    if by_half.shape[2] < 3:  # of two there is one order, kept or turned round: -1 or 1
        return float("nan")
    return float(np.mean([stats.kendalltau(a, b).statistic for a, b in by_half]))
