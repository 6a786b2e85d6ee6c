"""Cross-fitted Shapley values of the focus rows, and their replicates under resampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from mlcoop.errors import DataError
from mlcoop.explain.crossfit import fit_rows, pair_names, split_pairs
from mlcoop.explain.effects import LocalSteps, local_steps
from mlcoop.explain.interactions import by_factor, strongest
from mlcoop.explain.weights import resampling_weights
from mlcoop.features.build import explain_rows
from mlcoop.model.learners import Estimator, Learner

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

FOLDS = 5
CHUNK = 12  # refits that a worker does at a time: handing a fit over takes as long as one of them
MOST_BACKGROUND = 400
MOST_EXPLAINED = 3000
FEWEST_DRAWS = 40
MOST_SCENARIO = 40  # rows over which a contrast from low to high is averaged


Joint = dict[tuple[int, int], np.ndarray]
Moves = tuple[np.ndarray, np.ndarray, np.ndarray]  # of values, of effects, of interactions


class Asked(NamedTuple):
    """What a model is asked about, its gaps filled as the model fills them."""

    target: pd.DataFrame
    background: pd.DataFrame
    scenarios: pd.DataFrame
    steps: pd.DataFrame


@dataclass(frozen=True)
class Explained:
    """Shapley values of the explained rows and how they move under resampling.

    Attributes
    ----------
    rows : int array
        Positions of the explained rows in the matrix.
    values : array of shape (n_rows, n_features)
        Cross-fitted: the models of a row's fold were not trained on its pair.
    replicates : array of shape (n_replicates, n_rows, n_features), float32
        Values of refits on resampled pairs less those of the same fold's fit, shrunk to the
        spread of the estimate.
    draws : array of shape (n_draws, n_rows, n_features), float32
        The same for coefficients drawn from the learner's own posterior; empty where it has none.
    freedom : float
        Of the spread: resampled units less terms fitted, at least 8, and replicates less blocks,
        put together as variances of the spread.
    unit : str
    estimators : tuple of Estimator
        One per fold.
    fold_of_row : int array of shape (n_rows,)
    low_to_high, low_to_high_replicates : arrays of shape (n_factors,), (n_replicates, n_factors)
        Mean log change of works as the factor goes from its 10th to its 90th percentile.
    steps : LocalSteps
        Where effect curves are measured.
    curves, curve_replicates : arrays of shape (n_points,), (n_replicates, n_points)
        Accumulated local effects, and their deviations.
    pairs : list of (int, int)
        Factors that interact most, by position in the factors asked for, strongest first.
    pairs_tried : int
        Pairs with any joint term, of which these are the strongest.
    together, together_replicates : arrays (n_rows, n_pairs), (n_replicates, n_rows, n_pairs)
        Interaction values, and their deviations.
    """

    rows: np.ndarray
    values: np.ndarray
    replicates: np.ndarray
    draws: np.ndarray
    freedom: float
    unit: str
    estimators: tuple[Estimator, ...]
    fold_of_row: np.ndarray
    low_to_high: np.ndarray
    low_to_high_replicates: np.ndarray
    steps: LocalSteps
    curves: np.ndarray
    curve_replicates: np.ndarray
    pairs: list[tuple[int, int]]
    pairs_tried: int
    together: np.ndarray
    together_replicates: np.ndarray


def choose_unit(rows: pd.DataFrame, unit: str) -> str:
    """Resolve `auto`: countries where both ends take many values, pairs elsewhere.

    With a focal country in every pair its partner *is* the pair, and resampling the focal country
    would resample nothing.
    """
    if unit != "auto":
        return unit
    ends = pd.concat([rows["country_a"], rows["country_b"]])
    pairs = rows.drop_duplicates(["country_a", "country_b"])
    most = pd.concat([pairs["country_a"], pairs["country_b"]]).value_counts()
    several = ends.nunique() < 0.5 * len(pairs)
    return "country" if several and most.iloc[0] < 0.5 * len(pairs) else "pair"


def explain_replicates(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any],
    factors: dict[str, list[int]],
    *,
    resamples: int,
    unit: str,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> Explained:
    """Fit, cross-fit and refit; return the Shapley values of the focus rows with replicates.

    Parameters
    ----------
    factors : dict
        Columns of X by factor, for the contrast from low to high.
    resamples : int
        Refits under the weights of `resampling_weights`, at least 20.

    Raises
    ------
    DataError
        No focus row with known works, or too few pairs.

    Notes
    -----
    A learner that chooses terms from the data (bends, products) may find one by chance in a single
    fold, where all pairs that are left out may have spoken against it. Terms that most folds do
    not find are left out of all, and those that most find stand in all (the majority rule of
    stability selection, Meinshausen and Buehlmann 2010, doi:10.1111/j.1467-9868.2010.00740.x).
    Which terms there are is then chosen with a row's own pair among the data; their size is not.
    """
    rows = matrix.rows
    known = rows["works"].notna().to_numpy()
    explained = np.flatnonzero(known & explain_rows(matrix).to_numpy(bool))
    if not len(explained):
        raise DataError("ranking: no focus row with known works; check focus and years")
    rng = np.random.default_rng(seed)
    if len(explained) > MOST_EXPLAINED:
        explained = np.sort(rng.choice(explained, MOST_EXPLAINED, replace=False))
    pairs = pair_names(rows)
    fold = split_pairs(pairs[explained], FOLDS, seed)
    fold_of = dict(zip(pairs[explained], fold, strict=True))
    fold_of_pair = np.array([fold_of.get(p, -1) for p in pairs])
    background = matrix.X.iloc[_sample(explained, MOST_BACKGROUND, rng)]
    target = matrix.X.iloc[explained]
    scenarios = _low_and_high(target, factors, background)
    steps = local_steps(target, factors)
    owner = np.zeros(target.shape[1], dtype=int)
    for position, owned in enumerate(factors.values()):
        owner[owned] = position

    def asked_of(estimator: Estimator) -> Asked:
        """Fill the gaps once for all refits of a fit."""
        filled = getattr(estimator, "filled", lambda table: table)
        return Asked(*map(filled, (target, background, scenarios, steps.rows)))

    def effects(estimator: Estimator, asked: Asked) -> np.ndarray:
        contrast = _contrast(estimator, asked.scenarios, len(background))
        return np.r_[contrast, steps.curves(estimator.margin(asked.steps))]

    def joint(estimator: Estimator, asked: Asked) -> Joint:
        pairs, found = estimator.interactions(asked.target, asked.background)
        return by_factor(found, pairs, owner)

    def fit(k: int, settings: dict[str, Any]) -> tuple[Estimator, np.ndarray, np.ndarray, Joint]:
        train = np.flatnonzero(known & (fold_of_pair != k))
        estimator = fit_rows(matrix, learner, settings, seed, train, pairs)
        asked = asked_of(estimator)
        values, _ = estimator.shap_values(asked.target, asked.background)
        return estimator, values.to_numpy(), effects(estimator, asked), joint(estimator, asked)

    fits = Parallel(n_jobs=workers)(delayed(fit)(k, params) for k in range(FOLDS))
    kept = _agreed([getattr(f[0], "terms", frozenset()) for f in fits])
    if kept is not None:
        settings = {**params, "terms": kept}
        fits = Parallel(n_jobs=workers)(delayed(fit)(k, settings) for k in range(FOLDS))
    by_fold = np.stack([f[1] for f in fits])
    values = by_fold[fold, np.arange(len(explained))]
    none = np.zeros(len(explained))
    every = {pair for f in fits for pair in f[3]}
    own = {
        pair: np.stack([f[3].get(pair, none) for f in fits])[fold, np.arange(len(explained))]
        for pair in sorted(every)
    }
    chosen, tried = strongest(own)

    def stacked(found: Joint) -> np.ndarray:
        return np.column_stack([found.get(p, none) for p in chosen])

    together_by_fold = [stacked(f[3]) for f in fits] if chosen else []
    unit = choose_unit(rows[known], unit)
    names = pd.Index(np.unique(pairs[known]))
    left = np.array([n.split("|")[0] for n in names])
    right = np.array([n.split("|")[1] for n in names])
    weights, scale, drawn_freedom = resampling_weights(left, right, unit, resamples, FOLDS, seed)
    # a fit without a fold spreads a little more than the estimate, which uses all folds
    trained = [np.mean([fold_of.get(n, -1) != k for n in names]) for k in range(FOLDS)]
    shrink = np.sqrt(np.mean(trained))

    def moved(estimator: Estimator, k: int, by: float, asked: Asked) -> Moves:
        found, _ = estimator.shap_values(asked.target, asked.background)
        together = np.empty((len(explained), 0), np.float32)
        if chosen:
            own = stacked(joint(estimator, asked))
            together = ((own - together_by_fold[k]) * by).astype(np.float32)
        return (
            ((found.to_numpy() - by_fold[k]) * by).astype(np.float32),
            (effects(estimator, asked) - fits[k][2]) * by,
            together,
        )

    def again(b: int, k: int, asked: Asked) -> Moves:
        estimator = fits[k][0].refit(pd.Series(weights[b], index=names), seed + b + 1)
        return moved(estimator, k, shrink * scale, asked)

    def several(k: int, chunk: list[int]) -> list[tuple[int, Moves]]:
        asked = asked_of(fits[k][0])
        return [(b, again(b, k, asked)) for b in chunk]

    # refits of one fold share what its fit knows of the rows: they go to a worker together
    chunks = [
        (k, list(range(begin + k, min(begin + CHUNK * FOLDS, resamples), FOLDS)))
        for begin in range(0, resamples, CHUNK * FOLDS)
        for k in range(FOLDS)
    ]
    by_number: dict[int, Moves] = {}
    for done in Parallel(n_jobs=workers, return_as="generator")(
        delayed(several)(k, chunk) for k, chunk in chunks if chunk
    ):
        by_number |= dict(done)
        if progress is not None:
            progress(len(by_number), resamples)
    results = [by_number[b] for b in range(resamples)]
    has_posterior = all(getattr(f[0], "has_posterior", False) for f in fits)
    drawn = []
    if has_posterior:
        every_asked = [asked_of(f[0]) for f in fits]
        for b in range(max(resamples // 2, FEWEST_DRAWS)):
            k = b % FOLDS
            drawn.append(moved(fits[k][0].draw(seed + b + 1), k, shrink, every_asked[k]))
    moves = np.stack([r[1] for r in results])
    together = np.stack([m[2] for m in results])
    own_together = stacked(own) if chosen else np.empty((len(explained), 0))
    if drawn:
        moves = moves * _lift(moves, np.stack([d[1] for d in drawn]))
        sign = np.sign(own_together)
        signed = [(t * sign).mean(axis=1) for t in (together, np.stack([d[2] for d in drawn]))]
        together = together * _lift(*signed).astype(np.float32)
    units = len(names) if unit == "pair" else len(np.unique(np.r_[left, right]))
    # few units know the spread badly, and few replicates know what the units know (Satterthwaite)
    freedom = 1 / (1 / max(8.0, units - min(len(factors), units / 2)) + 1 / drawn_freedom)
    return Explained(
        explained,
        values,
        np.stack([r[0] for r in results]),
        np.stack([d[0] for d in drawn]) if drawn else np.empty((0, *values.shape), np.float32),
        freedom,
        unit,
        tuple(f[0] for f in fits),
        fold,
        np.mean([f[2] for f in fits], axis=0)[: len(factors)],
        moves[:, : len(factors)],
        steps,
        np.mean([f[2] for f in fits], axis=0)[len(factors) :],
        moves[:, len(factors) :],
        chosen,
        tried,
        own_together,
        together,
    )


def _agreed(found: list[frozenset[tuple[int, ...]]]) -> tuple[tuple[int, ...], ...] | None:
    """Return the terms that most folds found, None where all found the same."""
    if len(set(found)) == 1:
        return None
    votes = Counter(term for terms in found for term in terms)
    return tuple(sorted(term for term, n in votes.items() if n > len(found) / 2))


def _lift(moves: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return factors, at least 1, that lift the replicates' spread to the posterior's."""
    return np.maximum(1.0, drawn.std(axis=0, ddof=1) / (moves.std(axis=0, ddof=1) + 1e-12))


def _sample(positions: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    if len(positions) <= most:
        return positions
    return np.sort(rng.choice(positions, most, replace=False))


def _low_and_high(
    target: pd.DataFrame, factors: dict[str, list[int]], background: pd.DataFrame
) -> pd.DataFrame:
    """Stack the background once per factor at its 10th and once at its 90th percentile.

    A factor that is the same at both, such as a rare tie, goes from its least to its largest.
    """
    base = background.to_numpy(float)[:MOST_SCENARIO]
    parts = []
    for columns in factors.values():
        for q in (0.1, 0.9):
            table = base.copy()
            for c in columns:
                x = target.iloc[:, c].dropna().to_numpy(float)
                if not len(x):
                    continue
                low, high = np.quantile(x, [0.1, 0.9])
                if low == high:
                    low, high = x.min(), x.max()
                table[:, c] = low if q < 0.5 else high
            parts.append(table)
    return pd.DataFrame(np.vstack(parts), columns=target.columns)


def _contrast(estimator: Estimator, scenarios: pd.DataFrame, n_background: int) -> np.ndarray:
    """Return the mean log change from low to high, shape (n_factors,)."""
    margin = estimator.margin(scenarios).reshape(-1, 2, min(n_background, MOST_SCENARIO))
    return (margin[:, 1] - margin[:, 0]).mean(axis=1)
