"""The fits of a cross-fitting made again on other weights, each beside what it said itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from mlcoop.explain.repeated import FOLDS, Asked, CrossFitted, Joint, Questions
from mlcoop.model.learners import Estimator

CHUNK = 12  # refits that a worker does at a time: handing a fit over takes as long as one of them


class Moves(NamedTuple):
    """By how much what models say moves, one row a refit.

    Attributes
    ----------
    values : array of shape (n_refits, n_rows, n_features), float32
    effects : array of shape (n_refits, n_effects)
    together : array of shape (n_refits, n_rows, n_pairs), float32
    """

    values: np.ndarray
    effects: np.ndarray
    together: np.ndarray


@dataclass(frozen=True)
class Refits:
    """What the fits of the first repeat say, and what they are asked again.

    Attributes
    ----------
    fitted : CrossFitted
    questions : Questions
    chosen : list of (int, int)
        Pairs of factors whose interaction values are followed.
    """

    fitted: CrossFitted
    questions: Questions
    chosen: list[tuple[int, int]]

    def stacked(self, joint: Joint) -> np.ndarray:
        """Return interaction values of the chosen pairs, shape (n_rows, n_pairs)."""
        none = np.zeros(len(self.questions.target))
        columns = [joint.get(pair, none) for pair in self.chosen]
        return np.column_stack(columns) if columns else np.empty((len(none), 0))

    def on_weights(
        self,
        weights: np.ndarray,
        names: pd.Index,
        by: float,
        *,
        seed: int,
        workers: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Moves:
        """Return how the fits move when they are made again, the folds by turns.

        Parameters
        ----------
        weights : array of shape (n_refits, n_pairs)
        names : Index of shape (n_pairs,)
        by : float
            What deviations are multiplied with.
        """
        count = len(weights)

        def several(fold: int, chunk: list[int]) -> list[tuple[int, tuple[np.ndarray, ...]]]:
            fit: Any = self.fitted.estimators[fold]
            asked = self.questions.to(fit)
            made = ((b, fit.refit(pd.Series(weights[b], index=names), seed + b + 1)) for b in chunk)
            return [(b, self._moved(again, fold, by, asked)) for b, again in made]

        # refits of one fold share what its fit knows of the rows: they go to a worker together
        chunks = [
            (k, list(range(begin + k, min(begin + CHUNK * FOLDS, count), FOLDS)))
            for begin in range(0, count, CHUNK * FOLDS)
            for k in range(FOLDS)
        ]
        found: dict[int, tuple[np.ndarray, ...]] = {}
        for done in Parallel(n_jobs=workers, return_as="generator")(
            delayed(several)(fold, chunk) for fold, chunk in chunks if chunk
        ):
            found |= dict(done)
            if progress is not None:
                progress(len(found), count)
        return _stack(found[b] for b in range(count))

    def from_posterior(self, count: int, by: float, *, seed: int) -> Moves | None:
        """Return how the fits move under draws from their posterior; None where one has none."""
        fits: tuple[Any, ...] = self.fitted.estimators
        if not all(getattr(fit, "has_posterior", False) for fit in fits):
            return None
        asked = [self.questions.to(fit) for fit in fits]
        turns = [(b, b % FOLDS) for b in range(count)]
        return _stack(self._moved(fits[k].draw(seed + b + 1), k, by, asked[k]) for b, k in turns)

    def _moved(
        self, estimator: Estimator, fold: int, by: float, asked: Asked
    ) -> tuple[np.ndarray, ...]:
        said = self.fitted.said[fold]
        values, _ = estimator.shap_values(asked.target, asked.background)
        together = self.stacked({})
        if self.chosen:
            own = self.stacked(self.questions.joint(estimator, asked))
            together = (own - self.stacked(said.joint)) * by
        return (
            ((values.to_numpy() - said.values) * by).astype(np.float32),
            (self.questions.effects(estimator, asked) - said.effects) * by,
            together.astype(np.float32),
        )


def _stack(moves: Iterable[tuple[np.ndarray, ...]]) -> Moves:
    return Moves(*(np.stack(parts) for parts in zip(*moves, strict=True)))
