"""Score a learner on pairs that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlcoop.errors import ConfigError, DataError
from mlcoop.model.deviance import poisson_deviance
from mlcoop.model.learners import LEARNERS, Estimator, Learner

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

Params = dict[str, Any]
NO_BAR = "\ue000"  # for private use, so in no one's names


def find_learner(learner: str | Learner) -> Learner:
    """Return the catalogue entry of a learner given by name or as itself."""
    if isinstance(learner, Learner):
        return learner
    if learner not in LEARNERS:
        raise ConfigError(f"learner: unknown {learner!r}; known are {', '.join(LEARNERS)}")
    return LEARNERS[learner]


def pair_names(rows: pd.DataFrame) -> np.ndarray:
    """Return one name per row for the unordered pair, the same in both orientations.

    `A|B`: a bar within an end (of a user's own panel) gives way to another character, so that a
    name can be taken apart at its only bar.
    """
    a, b = (rows[end].astype(str) for end in ("country_a", "country_b"))
    if any("|" in end for end in {*a.unique(), *b.unique()}):
        a, b = (ends.str.replace("|", NO_BAR, regex=False) for ends in (a, b))
    return (a + "|" + b).to_numpy()


def pair_ends(names: Iterable[str]) -> np.ndarray:
    """Return both ends of pairs by their `pair_names`, shape (n_pairs, 2).

    >>> pair_ends(["CHN|PAK", "DEU|FRA"])[:, 1].tolist()
    ['PAK', 'FRA']
    """
    return np.array([str(name).split("|") for name in names])


def shown_ends(names: Iterable[str]) -> list[list[str]]:
    """Return both ends of pairs by their `pair_names`, as the user's panel calls them.

    >>> shown_ends(pair_names(pd.DataFrame({"country_a": ["x|y"], "country_b": ["z"]})))
    [['x|y', 'z']]
    """
    return [[end.replace(NO_BAR, "|") for end in ends] for ends in pair_ends(names).tolist()]


def split_pairs(pairs: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row; all rows of a pair are in one.

    Raises
    ------
    DataError
        When there are fewer pairs than folds.
    """
    names, code = np.unique(pairs, return_inverse=True)
    if len(names) < folds:
        raise DataError(f"cross-fitting: {len(names)} pairs cannot make {folds} folds; add pairs")
    fold = np.random.default_rng(seed).permutation(len(names)) % folds
    return fold[code]


def fold_of_pairs(pairs: np.ndarray, dealt: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the fold of each of `pairs`, -1 where it was not `dealt` into one.

    >>> fold_of_pairs(np.array(["a", "b", "a"]), np.array(["a"]), np.array([2])).tolist()
    [2, -1, 2]
    """
    fold_of = dict(zip(dealt, fold, strict=True))
    return pd.Series(pairs).map(fold_of).fillna(-1).to_numpy(int)


def fit_rows(
    matrix: FeatureMatrix,
    learner: Learner,
    params: Params,
    seed: int,
    train: np.ndarray,
    pairs: np.ndarray,
) -> Estimator:
    """Return a learner fitted on some rows of a matrix.

    Parameters
    ----------
    train : int array
        Positions of rows with known works.
    pairs : array of shape (n_rows,)
        `pair_names` of all rows; many fits share them.
    """
    rows = matrix.rows
    return learner.make(params, seed).fit(
        matrix.X.iloc[train],
        rows["works"].to_numpy(float)[train],
        exposure=rows["exposure"].to_numpy(float)[train],
        weight=rows["weight"].to_numpy(float)[train],
        pairs=pairs[train],
        years=rows["year"].to_numpy()[train],
    )


def cross_validated_deviance(
    matrix: FeatureMatrix,
    learner: str | Learner,
    params: Params | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    mask: np.ndarray | None = None,
) -> float:
    """Return the share of Poisson deviance that a learner explains on held-out pairs.

    Parameters
    ----------
    matrix : FeatureMatrix
    learner, params
        Entry of `LEARNERS` (or its name) and its parameters; None for its defaults.
    folds : int
    seed : int
    mask : bool array of shape (n_rows,), optional
        Rows to score, e.g. `matrix.rows["in_focus"]`; all rows when None. Only pairs with a
        scored row are put into folds; the others are always trained on.

    Returns
    -------
    float
        1 is perfect, 0 no better than a constant rate per exposure, below 0 worse.
    """
    parts = _fold_by_fold(matrix, learner, params, folds, seed, mask)
    observed, predicted, level, weight = map(np.concatenate, zip(*parts, strict=True))
    total = poisson_deviance(observed, level, weight)
    return 1 - poisson_deviance(observed, predicted, weight) / total if total > 0 else 0.0


def fold_scores(
    matrix: FeatureMatrix, learner: str | Learner, folds: int, seed: int
) -> Callable[[Params], Iterator[float]]:
    """Return a function from parameters to an iterator of losses, one per fold of held-out pairs.

    The loss is the mean Poisson deviance per work observed on the focus rows of the fold (lower
    is better), so folds and studies compare. With fewer focus pairs than folds it is that of all
    rows.
    """
    focus = matrix.rows["in_focus"].to_numpy(bool)
    of_focus = pair_names(matrix.rows[focus & matrix.rows["works"].notna()])
    mask = focus if len(np.unique(of_focus)) >= folds else None
    entry = find_learner(learner)
    n_pairs = int(len(np.unique(pair_names(matrix.rows))) * (1 - 1 / folds))
    seen: dict[str, list[float]] = {}

    def scores(params: Params) -> Iterator[float]:
        key = repr(sorted(entry.relevant({**entry.defaults, **params}, n_pairs).items()))
        if key in seen:
            yield from seen[key]
            return
        losses = []
        for observed, predicted, _, weight in _fold_by_fold(
            matrix, entry, params, folds, seed, mask
        ):
            size = max(float((weight * observed).sum()), 1e-9)
            losses.append(poisson_deviance(observed, predicted, weight) / size)
            yield losses[-1]
        seen[key] = losses

    return scores


Held = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _fold_by_fold(
    matrix: FeatureMatrix,
    learner: str | Learner,
    params: Params | None,
    folds: int,
    seed: int,
    mask: np.ndarray | None,
) -> Iterator[Held]:
    entry = find_learner(learner)
    settings = {**entry.defaults, **(params or {})}
    rows = matrix.rows
    known = rows["works"].notna().to_numpy()
    scored = known if mask is None else known & np.asarray(mask, dtype=bool)
    if not scored.any():
        raise DataError("cross-fitting: no row with known works to score; check the focus set")
    pairs = pair_names(rows)
    fold = np.full(len(rows), -1)
    fold[scored] = split_pairs(pairs[scored], folds, seed)
    fold_of_pair = fold_of_pairs(pairs, pairs[scored], fold[scored])
    works, exposure = rows["works"].to_numpy(float), rows["exposure"].to_numpy(float)
    weight = rows["weight"].to_numpy(float)
    for k in range(folds):
        train, test = known & (fold_of_pair != k), scored & (fold == k)
        estimator = fit_rows(matrix, entry, settings, seed, np.flatnonzero(train), pairs)
        rate = (weight[train] * works[train]).sum() / (weight[train] * exposure[train]).sum()
        yield (
            works[test],
            estimator.predict(matrix.X[test], exposure=exposure[test]),
            rate * exposure[test],
            weight[test],
        )
