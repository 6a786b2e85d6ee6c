"""What a referee asks for beside a ranking: witnesses, players, halves, narrow training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlcoop.explain.crossfit import pair_names
from mlcoop.explain.defence.coefficients import regression_table
from mlcoop.explain.defence.permutation import permutation_importance
from mlcoop.explain.defence.players import drop_groups, group_players
from mlcoop.explain.defence.regression import regress
from mlcoop.explain.defence.wide import (
    focus_interactions,
    rank_agreement,
    refitted_deviance,
    unseen_deviance,
)
from mlcoop.explain.defence.witnesses import join_witnesses, witness_agreement
from mlcoop.explain.ranking import Ranking, rank_factors
from mlcoop.explain.stability import halves_tau, pair_halves
from mlcoop.features.build import columns_by
from mlcoop.model.learners import LEARNERS, Learner

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

NARROW_RESAMPLES = 60
QUICK = {"products": False}  # for the many refits: products take most of a fit's time
FEWEST_NARROW = 20  # focus pairs below which a study of the focus set alone is not made


@dataclass(frozen=True)
class Defence:
    """What stands beside a ranking.

    Attributes
    ----------
    witnesses : DataFrame
        As `join_witnesses` returns it.
    players : DataFrame
        Per group: the columns of `group_players` and of `drop_groups` (learner and PPML).
    interactions : DataFrame or None
        As `focus_interactions` returns it, `factor` first; None where all pairs are in focus.
    notes : dict
        `agreement`, `pair_halves`, and `wide` (None where all pairs are in focus).
    """

    witnesses: pd.DataFrame
    players: pd.DataFrame
    interactions: pd.DataFrame | None
    notes: dict[str, Any]


def defend(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any],
    ranking: Ranking,
    *,
    seed: int,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Defence:
    """Put independent witnesses beside a ranking.

    Parameters
    ----------
    matrix, learner, params
        What the ranking was made from.
    ranking : Ranking
    seed, workers : int
    progress : callable (done, of), optional
    """
    level = float(ranking.notes["level"])
    explained, columns, unit = ranking.explained, ranking.columns, ranking.explained.unit
    params = {**learner.defaults, **params}
    quick = {**params, **{name: QUICK[name] for name in QUICK if name in params}}
    ppml = LEARNERS["ppml"]
    group_of = {f.factor: f.group for f in matrix.features}
    groups = columns_by(matrix.features, lambda f: f.group)
    done = [0]

    def step() -> None:
        done[0] += 1
        if progress is not None:
            progress(done[0], 6)

    step()
    permuted = permutation_importance(matrix, explained, columns, group_of, level=level, seed=seed)
    step()
    x = matrix.X.iloc[explained.rows]
    fitted = regress(matrix, seed=seed, terms=explained.terms)
    regression = regression_table(matrix, fitted, x, columns, unit=unit, level=level)
    step()
    players = group_players(matrix, explained, groups, seed=seed).join(
        drop_groups(
            matrix,
            {"learner": (learner, quick), "ppml": (ppml, ppml.defaults)},
            groups,
            seed=seed,
            workers=workers,
        )
    )
    step()
    labels = {f.factor: f.label for f in matrix.features}
    witnesses = join_witnesses(ranking.factors, permuted, regression, players, labels)
    above = ranking.factors.set_index("factor").loc[list(columns), "above_null"].to_numpy(bool)
    given = (matrix, learner, quick, columns, ranking.members, above)
    halved = _pair_halves(*given, seed=seed, workers=workers)
    step()
    notes: dict[str, Any] = {
        "agreement": witness_agreement(witnesses, ranking.factors, players),
        "pair_halves": halved,
        "wide": None,
    }
    interactions = None
    focus = matrix.rows["in_focus"].to_numpy(bool)
    if not focus.all() and len(np.unique(pair_names(matrix.rows[focus]))) >= FEWEST_NARROW:
        interactions, joint = focus_interactions(matrix, columns, unit=unit, level=level, seed=seed)
        interactions = interactions.rename_axis("factor").reset_index()
        notes["wide"] = _beside_narrow(
            matrix, learner, params, ranking, joint, seed=seed, workers=workers
        )
    step()
    players = players.rename_axis("group").reset_index()
    return Defence(witnesses, players, interactions, notes)


def _beside_narrow(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any],
    ranking: Ranking,
    joint: dict[str, Any],
    *,
    seed: int,
    workers: int,
) -> dict[str, Any]:
    """Return how the study fares beside one that trains on its focus pairs alone.

    `joint` is the test of all interactions with the focus, as `focus_interactions` returns it.
    """
    level = float(ranking.notes["level"])
    alone = matrix.take(matrix.rows["in_focus"].to_numpy(bool))
    narrow = rank_factors(
        alone, learner, params, level=level, resamples=NARROW_RESAMPLES, seed=seed, workers=workers
    )
    ppml = LEARNERS["ppml"]
    scored = {"wide": (matrix, ranking.explained), "narrow": (alone, narrow.explained)}
    return {
        "deviance": {
            "learner": {how: unseen_deviance(*given) for how, given in scored.items()},
            "ppml": {
                how: refitted_deviance(rows, ppml, ppml.defaults, explained, seed=seed)
                for how, (rows, explained) in scored.items()
            },
        },
        "agreement": rank_agreement(*ranking.signed(), *narrow.signed(), level=level),
        "interaction": joint,
        "narrow_stability": narrow.notes["stability"]["factors"],
        "narrow_told": int(narrow.factors["above_null"].sum()),
        "narrow_orders": len(narrow.orders[narrow.orders["kind"] == "factor"]),
        "wide_orders": len(ranking.orders[ranking.orders["kind"] == "factor"]),
    }


def _pair_halves(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any],
    columns: dict[str, list[int]],
    members: dict[str, list[int]],
    above: np.ndarray,
    *,
    seed: int,
    workers: int,
) -> dict[str, float] | None:
    """Return how rankings from halves of the pairs agree, all halved and only those in focus."""
    given = (matrix, learner, params, {**columns, **members})
    apart = pair_halves(*given, seed=seed, workers=workers)
    if apart is None:
        return None
    factors, groups = np.split(apart, [len(columns)], axis=2)
    found = {
        "pair_halves_tau": halves_tau(factors),
        "pair_halves_tau_told": halves_tau(factors[:, :, above]),
        "pair_halves_tau_groups": halves_tau(groups),
    }
    if not matrix.rows["in_focus"].to_numpy(bool).all():
        shared = pair_halves(*given, seed=seed, workers=workers, share_rest=True)
        assert shared is not None  # the focus pairs are the same
        factors, groups = np.split(shared, [len(columns)], axis=2)
        found["focus_halves_tau"] = halves_tau(factors)
        found["focus_halves_tau_groups"] = halves_tau(groups)
    return found
