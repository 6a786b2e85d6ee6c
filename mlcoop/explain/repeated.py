"""Repeated cross-fitting: what models say of rows whose pairs they were not trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from mlcoop.explain.crossfit import fit_rows, fold_of_pairs, pair_names, split_pairs
from mlcoop.explain.effects import LocalSteps, local_steps
from mlcoop.explain.interactions import by_factor
from mlcoop.model.basis import LOGS, Term
from mlcoop.model.learners import Estimator, Learner, as_seen

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

FOLDS = 5
REPEATS = 5
VOTERS = 3  # repeats whose folds say which terms there are
MOST_BACKGROUND = 400
MOST_SCENARIO = 100  # rows over which a contrast from low to high is averaged

Joint = dict[tuple[int, int], np.ndarray]
Params = dict[str, Any]


class Asked(NamedTuple):
    """What a model is asked about, missing values imputed as the model imputes them."""

    target: pd.DataFrame
    background: pd.DataFrame
    scenarios: pd.DataFrame
    steps: pd.DataFrame


class Said(NamedTuple):
    """What a model says: Shapley values of the rows, effects of the factors, joint values."""

    values: np.ndarray
    effects: np.ndarray
    joint: Joint


@dataclass(frozen=True)
class Questions:
    """What every model is asked.

    Attributes
    ----------
    target : DataFrame of shape (n_rows, n_features)
        Rows to explain.
    background : DataFrame
        Rows against which Shapley values are taken.
    scenarios : DataFrame
        Some rows to explain, once per factor at its 10th and once at its 90th percentile.
    base : int array
        The position in `target` of each row of `scenarios` before it was changed.
    steps : LocalSteps
        Where effect curves are measured.
    owner : int array of shape (n_features,)
        Factor of each column.
    """

    target: pd.DataFrame
    background: pd.DataFrame
    scenarios: pd.DataFrame
    base: np.ndarray
    steps: LocalSteps
    owner: np.ndarray

    def to(self, estimator: Estimator, rows: np.ndarray | None = None) -> Asked:
        """Return them as a model takes them, of some rows or of all; refits of a fit share it."""
        target = as_seen(estimator, self.target)

        def changed(table: pd.DataFrame, base: np.ndarray) -> pd.DataFrame:
            return table.where(table.notna(), target.iloc[base].to_numpy())

        return Asked(
            target if rows is None else target.iloc[rows],
            as_seen(estimator, self.background),
            changed(self.scenarios, self.base),
            changed(self.steps.rows, self.steps.base),
        )

    def answer(self, estimator: Estimator, asked: Asked) -> Said:
        """Return what a model says."""
        values, _ = estimator.shap_values(asked.target, asked.background)
        return Said(values.to_numpy(), self.effects(estimator, asked), self.joint(estimator, asked))

    def effects(self, estimator: Estimator, asked: Asked) -> np.ndarray:
        """Return mean log changes from low to high of all factors, and then the effect curves."""
        margin = estimator.margin(asked.scenarios)
        each = margin.reshape(-1, 2, min(len(self.target), MOST_SCENARIO))
        contrast = (each[:, 1] - each[:, 0]).mean(axis=1)
        return np.r_[contrast, self.steps.curves(estimator.margin(asked.steps))]

    def joint(self, estimator: Estimator, asked: Asked) -> Joint:
        """Return interaction values of factors by pair."""
        pairs, found = estimator.interactions(asked.target, asked.background)
        return by_factor(found, pairs, self.owner)


@dataclass(frozen=True)
class CrossFitted:
    """What models say of rows that they have not seen.

    Attributes
    ----------
    values : array of shape (n_rows, n_features)
        Mean over repeats, each by a model that was not trained on the row's pair.
    by_repeat : array of shape (REPEATS, n_rows, n_features), float32
        What each repeat says.
    joint : dict
        Interaction values by pair of factors, likewise.
    effects : array
        Mean over all models.
    fold : int array of shape (n_rows,)
    estimators : tuple of Estimator
    said : tuple of Said
        Of the first repeat: folds, models, and what they say of all rows.
    """

    values: np.ndarray
    by_repeat: np.ndarray
    joint: Joint
    effects: np.ndarray
    fold: np.ndarray
    estimators: tuple[Estimator, ...]
    said: tuple[Said, ...]


def ask(
    explained: pd.DataFrame, factors: dict[str, list[int]], rng: np.random.Generator
) -> Questions:
    """Return the questions about the rows to explain."""
    background = explained
    if len(explained) > MOST_BACKGROUND:
        chosen = rng.choice(len(explained), MOST_BACKGROUND, replace=False)
        background = explained.iloc[np.sort(chosen)]
    owner = np.zeros(explained.shape[1], dtype=int)
    for position, owned in enumerate(factors.values()):
        owner[owned] = position
    scenarios, base = _low_and_high(explained, factors)
    return Questions(explained, background, scenarios, base, local_steps(explained, factors), owner)


def cross_fit(
    matrix: FeatureMatrix,
    learner: Learner,
    params: Params,
    explained: np.ndarray,
    questions: Questions,
    *,
    seed: int,
    workers: int,
) -> CrossFitted:
    """Ask models about rows whose pairs they were not trained on, `REPEATS` times.

    Parameters
    ----------
    explained : int array of shape (n_rows,)
        Positions of the rows in the matrix that the questions are about.

    Notes
    -----
    Each repeat has folds and a seed of its own: with one alone the seed, which deals pairs into
    folds and draws rows, moves the order of factors (`docs/defence.md`). Chernozhukov et al. 2018,
    doi:10.1111/ectj.12097, section 3.4.

    A learner that chooses terms from the data (bends, products, scales) may find one by chance in
    a single fold, where all pairs that are left out may have spoken against it. Terms that most
    folds of `VOTERS` repeats do not find are left out of all, and those that most find stand in all
    (the majority rule of stability selection, Meinshausen and Buehlmann 2010,
    doi:10.1111/j.1467-9868.2010.00740.x): the folds of one repeat alone would let the seed decide.
    Which terms there are is then chosen with a row's own pair among the data; their size is not.
    """
    pairs = pair_names(matrix.rows)
    known = matrix.rows["works"].notna().to_numpy()
    folds = [split_pairs(pairs[explained], FOLDS, seed + r) for r in range(REPEATS)]
    everywhere = [fold_of_pairs(pairs, pairs[explained], fold) for fold in folds]

    def fit(r: int, k: int, settings: Params) -> Estimator:
        train = np.flatnonzero(known & (everywhere[r] != k))
        return fit_rows(matrix, learner, settings, seed + r, train, pairs)

    def asked(r: int, k: int, settings: Params) -> tuple[Estimator | None, Said, Any]:
        estimator = fit(r, k, settings)
        said = questions.answer(estimator, questions.to(estimator, folds[r] == k if r else None))
        # only those of the first repeat are asked again: the others need not come back
        return (None if r else estimator), said, getattr(estimator, "terms", None)

    def all_of(jobs: list[tuple[int, int]], settings: Params) -> list[Any]:
        return Parallel(n_jobs=workers)(delayed(asked)(r, k, settings) for r, k in jobs)

    jobs = [(r, k) for r in range(REPEATS) for k in range(FOLDS)]
    voters, rest = jobs[: VOTERS * FOLDS], jobs[VOTERS * FOLDS :]
    fits = dict(zip(voters, all_of(voters, params), strict=True))
    terms = {job: found for job, (*_, found) in fits.items()}
    if None not in terms.values():
        params = {**params, "terms": agreed(list(terms.values()))}
        rest += [job for job in voters if terms[job] != set(params["terms"])]
    fits |= zip(rest, all_of(rest, params), strict=True)
    values = np.zeros(questions.target.shape)
    by_repeat = np.zeros((REPEATS, *values.shape), np.float32)
    joint: Joint = {}
    for r, k in jobs:
        said = fits[r, k][1]
        unseen = folds[r] == k
        part = slice(None) if r else unseen
        values[unseen] += said.values[part] / REPEATS
        by_repeat[r, unseen] = said.values[part]
        for pair, found in said.joint.items():
            joint.setdefault(pair, np.zeros(len(explained)))[unseen] += found[part] / REPEATS
    return CrossFitted(
        values=values,
        by_repeat=by_repeat,
        joint=dict(sorted(joint.items())),
        effects=np.mean([fits[job][1].effects for job in jobs], axis=0),
        fold=folds[0],
        estimators=tuple(fits[0, k][0] for k in range(FOLDS)),
        said=tuple(fits[0, k][1] for k in range(FOLDS)),
    )


def agreed(found: list[frozenset[Term]]) -> tuple[Term, ...]:
    """Return the terms that most folds found.

    Folds that take either logarithm of a figure agree that it is not to be taken as given: together
    they have their way, with the logarithm that more of them take.

    >>> bend, log, started = Term("bend", (1,)), Term("log", (2,)), Term("started log", (2,))
    >>> agreed([frozenset({bend, log}), frozenset({bend}), frozenset()])
    (Term(kind='bend', columns=(1,)),)
    >>> agreed([frozenset({started}), frozenset({log}), frozenset({log}), frozenset()])
    (Term(kind='log', columns=(2,)),)
    """
    votes = Counter(term for terms in found for term in terms)
    most = len(found) / 2
    kept = {term for term, n in votes.items() if n > most and term.kind not in LOGS}
    for column in {term.columns for term in votes if term.kind in LOGS}:
        logs = [Term(kind, column) for kind in LOGS]
        if sum(votes[term] for term in logs) > most:
            kept.add(max(logs, key=lambda term: votes[term]))  # of a tie the first
    return tuple(sorted(kept))


def _low_and_high(
    target: pd.DataFrame, factors: dict[str, list[int]]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Stack rows once per factor at its 10th and once at its 90th percentile; with their positions.

    Rows are sorted by pair, so an even share of them holds every pair of a study that has no more
    pairs than `MOST_SCENARIO`. A factor that is the same at both ends, such as a rare tie, goes
    from its least to its largest.
    """
    chosen = np.linspace(0, len(target) - 1, min(len(target), MOST_SCENARIO)).astype(int)
    base = target.to_numpy(float)[chosen]
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
    return pd.DataFrame(np.vstack(parts), columns=target.columns), np.tile(chosen, len(parts))
