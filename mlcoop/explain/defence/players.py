"""Groups of factors as players: what a group is worth as one, and what is lost without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.special import gammaln

from mlcoop.explain.crossfit import pair_names, split_pairs
from mlcoop.features.build import explain_rows
from mlcoop.model.deviance import poisson_deviance
from mlcoop.model.learners import as_seen
from mlcoop.model.training import draw_rows

if TYPE_CHECKING:
    from mlcoop.explain.replicates import Explained
    from mlcoop.features.build import FeatureMatrix
    from mlcoop.model.learners import Learner

MOST_EXACT = 10  # players: 1024 coalitions
MOST_ROWS = 66
MOST_BACKGROUND = 10
DRAWS = 100  # pairs of an order of players and its reverse, where coalitions are too many
DROP_ROWS = 10_000
Margin = Callable[[np.ndarray], np.ndarray]


def group_shapley(
    margin: Margin,
    X: np.ndarray,
    background: np.ndarray,
    players: Sequence[Sequence[int]],
    *,
    seed: int = 0,
    most_exact: int = MOST_EXACT,
    draws: int = DRAWS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return interventional Shapley values of groups of columns, each one player.

    Parameters
    ----------
    margin : callable
        From rows (n, n_features) to the model's log scale (n,).
    X : array of shape (n_rows, n_features)
    background : array of shape (n_background, n_features)
        A coalition's worth is the mean margin with its columns from the row and all others from a
        background row, over all background rows.
    players : sequence of columns, disjoint
    seed : int
    most_exact : int
        Up to so many players all coalitions are gone through; beyond, orders are drawn, each with
        its reverse.
    draws : int

    Returns
    -------
    values : array of shape (n_rows, n_players)
    error : array of shape (n_rows, n_players)
        Standard error of the drawing; zero where nothing was drawn.

    References
    ----------
    Owen 1977, doi:10.1007/978-3-642-45494-3_7 (games of unions; the value of the quotient game);
    Jullum, Redelmeier and Aas 2021, arXiv:2106.12228 (groups of features as players).
    """
    n = len(players)
    if n <= most_exact:
        return _all_coalitions(margin, X, background, players), np.zeros((len(X), n))
    rng = np.random.default_rng(seed)
    sums, rounds = np.zeros((2, len(X), n)), max(draws // len(background), 2)
    start = rng.integers(len(background), size=len(X))
    for _ in range(rounds):
        # every row meets every background row once: which it met would pass for interaction
        found = np.zeros((len(X), n))
        for step in range(len(background)):
            # and goes by an order of its own: errors of a shared one would not average out
            place = rng.permuted(np.tile(np.arange(n), (len(X), 1)), axis=1)
            rows = background[(start + step) % len(background)]
            both = (_one_order(margin, X, rows, players, p) for p in (place, n - 1 - place))
            found += sum(both) / 2 / len(background)
        sums += np.stack([found, found**2])
    mean = sums[0] / rounds
    variance = np.maximum(sums[1] / rounds - mean**2, 0) * rounds / (rounds - 1)
    return mean, np.sqrt(variance / rounds)


def _all_coalitions(
    margin: Margin, X: np.ndarray, background: np.ndarray, players: Sequence[Sequence[int]]
) -> np.ndarray:
    n, size = len(players), len(X) * len(background)
    worth = np.empty((2**n, len(X)))
    from_row = np.repeat(X, len(background), axis=0)
    from_background = np.tile(background, (len(X), 1))
    per_call = max(1, 200_000 // size)
    for begin in range(0, 2**n, per_call):
        coalitions = range(begin, min(begin + per_call, 2**n))
        tables = []
        for coalition in coalitions:
            table = from_background.copy()
            for player, owned in enumerate(players):
                if coalition >> player & 1:
                    table[:, list(owned)] = from_row[:, list(owned)]
            tables.append(table)
        found = margin(np.vstack(tables)).reshape(len(tables), len(X), len(background))
        worth[begin : begin + len(tables)] = found.mean(axis=2)
    members = np.array([bin(c).count("1") for c in range(2**n)])
    # |S|! (n - |S| - 1)! / n! for a player joining S
    weights = np.exp(gammaln(members + 1) + gammaln(np.maximum(n - members, 1)) - gammaln(n + 1))
    values = np.empty((len(X), n))
    for player in range(n):
        without = np.array([c for c in range(2**n) if not c >> player & 1])
        gain = worth[without | 1 << player] - worth[without]
        values[:, player] = weights[without] @ gain
    return values


def _one_order(
    margin: Margin,
    X: np.ndarray,
    background: np.ndarray,
    players: Sequence[Sequence[int]],
    place: np.ndarray,
) -> np.ndarray:
    """Return what each player adds when players join at their `place`, (n_rows, n_players)."""
    joins = np.full(X.shape, len(players))
    for player, owned in enumerate(players):
        joins[:, list(owned)] = place[:, [player]]
    tables = [np.where(joins < step, X, background) for step in range(len(players) + 1)]
    steps = margin(np.vstack(tables)).reshape(len(tables), len(X))
    return np.take_along_axis(np.diff(steps, axis=0).T, place, axis=1)


def group_players(
    matrix: FeatureMatrix, explained: Explained, groups: dict[str, list[int]], *, seed: int
) -> pd.DataFrame:
    """Return what each group is worth as the sum of its members and as one player.

    Parameters
    ----------
    matrix, explained
        As many focus rows and background rows as `MOST_ROWS` and `MOST_BACKGROUND` are drawn; both
        figures come from the same ones.
    groups : dict
        Columns of each group.

    Returns
    -------
    DataFrame indexed by group
        `members_sum`: sum over its columns of the mean absolute Shapley value; `as_one`: mean
        absolute Shapley value of the group as one player, `as_one_error` from drawing (0: all
        coalitions); `cancelled`: 1 - as_one / members_sum, the share in which members offset each
        other; `interaction`: mean absolute difference between the player's value and its members'
        sum, row by row, over `as_one`.

    Notes
    -----
    In a model without products of three factors or more a player's value *is* the sum of its
    members' values in every row, so `interaction` is zero and the gap is cancellation: members
    that stand for the same thing and take opposite signs, as collinear ones do.
    """
    rng = np.random.default_rng([seed, 19])
    rows = np.sort(rng.permutation(len(explained.rows))[:MOST_ROWS])
    around = np.sort(rng.permutation(len(explained.rows))[:MOST_BACKGROUND])
    x = matrix.X.iloc[explained.rows]
    background = x.iloc[around]
    shape = (len(rows), len(groups))
    single, one, error = np.zeros(x.iloc[rows].shape), np.zeros(shape), np.zeros(shape)
    for k, estimator in enumerate(explained.estimators):
        inside = explained.fold_of_row[rows] == k
        if not inside.any():
            continue
        mine, others = as_seen(estimator, x.iloc[rows[inside]]), as_seen(estimator, background)
        values, _ = estimator.shap_values(mine, others)
        single[inside] = values.to_numpy()

        def margin(table: np.ndarray, fitted: Any = estimator) -> np.ndarray:
            return np.asarray(fitted.margin(pd.DataFrame(table, columns=x.columns)))

        one[inside], error[inside] = group_shapley(
            margin,
            mine.to_numpy(float),
            others.to_numpy(float),
            list(groups.values()),
            seed=seed + k,
        )
    found = {}
    for position, (group, owned) in enumerate(groups.items()):
        whole = float(np.abs(one[:, position]).mean())
        parts = float(np.abs(single[:, owned]).mean(axis=0).sum())
        apart = float(np.abs(one[:, position] - single[:, owned].sum(axis=1)).mean())
        found[group] = (
            parts,
            whole,
            float(np.sqrt((error[:, position] ** 2).sum())) / len(rows),
            round(1 - whole / parts, 9) if parts > 0 else 0.0,  # beyond is rounding
            round(apart / whole, 9) if whole > 0 else 0.0,
        )
    names = ["members_sum", "as_one", "as_one_error", "cancelled", "interaction"]
    return pd.DataFrame.from_dict(found, orient="index", columns=names)


def drop_groups(
    matrix: FeatureMatrix,
    learners: dict[str, tuple[Learner, dict[str, Any]]],
    groups: dict[str, list[int]],
    *,
    seed: int,
    workers: int,
) -> pd.DataFrame:
    """Return the deviance explained on held-out focus pairs with all groups and without each.

    Parameters
    ----------
    learners : dict
        Learner and parameters by the prefix of their columns.
    groups : dict
        Columns of each group.

    Returns
    -------
    DataFrame indexed by group: for each prefix `{prefix}_all`, `{prefix}_without`,
    `{prefix}_lost`. A lone group has nothing left without it: the level alone, 0 explained.

    Notes
    -----
    Focus pairs are in two folds where most of the training lies outside the focus set, else in
    three. Every refit has the same folds and the same training rows (`DROP_ROWS` drawn where there
    are more), so that only the group differs.
    """
    rows = matrix.rows
    known = rows["works"].notna().to_numpy()
    scored = known & rows["in_focus"].to_numpy(bool)
    pairs = pair_names(rows)
    folds = 2 if scored.sum() < known.sum() / 3 else 3
    fold = np.full(len(rows), -1)
    fold[scored] = split_pairs(pairs[scored], folds, seed)
    # Seen from the other end the partner's group is the focal country's: the two cost the same.
    scored &= explain_rows(matrix).to_numpy(bool)
    y, exposure = rows["works"].to_numpy(float), rows["exposure"].to_numpy(float)
    weight, years = rows["weight"].to_numpy(float), rows["year"].to_numpy()

    def split(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        train = np.flatnonzero(known & (fold != k))
        drawn, drawn_weight = draw_rows(y[train], weight[train], pairs[train], DROP_ROWS, seed + k)
        return train[drawn], drawn_weight, scored & (fold == k)

    splits = [split(k) for k in range(folds)]
    everything = {c for owned in groups.values() for c in owned}

    def deviances(prefix: str, group: str | None, k: int) -> tuple[float, float]:
        train, train_weight, test = splits[k]
        kept = sorted(everything - set(() if group is None else groups[group]))
        rest = scored & ~test  # the level of the focus set, as where wide and narrow compare
        rate = (weight[rest] * y[rest]).sum() / (weight[rest] * exposure[rest]).sum()
        level = poisson_deviance(y[test], rate * exposure[test], weight[test])
        if not kept:
            return level, level
        learner, params = learners[prefix]
        estimator = learner.make(params, seed).fit(
            matrix.X.iloc[train, kept],
            y[train],
            exposure=exposure[train],
            weight=train_weight,
            pairs=pairs[train],
            years=years[train],
        )
        mean = estimator.predict(matrix.X.iloc[np.flatnonzero(test), kept], exposure=exposure[test])
        return poisson_deviance(y[test], mean, weight[test]), level

    jobs = [(p, g, k) for p in learners for g in (None, *groups) for k in range(folds)]
    found = Parallel(n_jobs=workers, backend="threading")(delayed(deviances)(*j) for j in jobs)
    sums: dict[tuple[str, str | None], np.ndarray] = {}
    for (p, g, _), both in zip(jobs, found, strict=True):
        sums[p, g] = sums.get((p, g), np.zeros(2)) + both
    explained = {key: float(1 - left / of) if of > 0 else 0.0 for key, (left, of) in sums.items()}
    table = pd.DataFrame(index=list(groups))
    for p in learners:
        table[f"{p}_all"] = explained[p, None]
        table[f"{p}_without"] = [explained[p, g] for g in groups]
        table[f"{p}_lost"] = table[f"{p}_all"] - table[f"{p}_without"]
    return table
