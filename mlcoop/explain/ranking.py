"""Rank factors by mean absolute Shapley value, claiming only what the data establish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlcoop.errors import ConfigError
from mlcoop.explain.crossfit import find_learner, shown_ends
from mlcoop.explain.effects import effect_curves
from mlcoop.explain.interactions import interaction_table
from mlcoop.explain.judge import Judged, interval_widths, judge
from mlcoop.explain.natural import natural_effects
from mlcoop.explain.replicates import Explained, explain_replicates
from mlcoop.explain.stability import replicate_stability
from mlcoop.features.build import columns_by
from mlcoop.features.factor import DIMENSION_OF, base_of
from mlcoop.model.basis import LOGS, learn_basis
from mlcoop.model.learners import Learner
from mlcoop.schema import FACTORS_CSV, ORDERS_CSV

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

FEWEST_RESAMPLES = 20


@dataclass(frozen=True)
class Ranking:
    """Ranking of factors and groups.

    Attributes
    ----------
    factors : DataFrame
        `factor, group, role, rank, rank_low, rank_high, tier, share, share_low, share_high,
        direction, effect_low_to_high, effect_low, effect_high, effect_unit, importance,
        importance_se, null_p, null_q, above_null, step, effect_per_step, effect_per_step_low,
        effect_per_step_high`, most important first. Effects are percent more works when the factor
        goes from its 10th to its 90th percentile over the focus rows, or by one `step`, a change
        in words.
    groups : DataFrame
        `group, role, rank, rank_low, rank_high, tier, share, share_low, share_high, importance,
        importance_se, null_p, null_q, above_null`.
    dimensions : DataFrame
        The same of the catalogue's dimensions (`dimension` in place of `group, role`); empty where
        factors are of one or none.
    replicates : DataFrame
        Long: `replicate, kind` (factor, group or dimension), `name, importance`. Signed: below
        zero where the replicate's effect runs against the estimate's.
    told, at_once : DataFrames of shape (n_factors, n_factors), bool
        Row above column: of the established orders at most `1 - level` are wrong on average; those
        at once are all right with probability `level`, and rank sets and tiers rest on them.
    notes : dict
        `level, resamples, unit, learner, rows_explained`; `scales`: factors that are taken in logs,
        "log" or "started log"; `of_years`: factors that hardly differ between pairs, each with the
        number of years behind it; `spatial`: whether near countries share effects in the model;
        `apart`: both ends of pairs without works that hardly count;
        `spells`: `pair` (both ends) and `years` of spells without works that do not count;
        `weights`, the `weights_key` of the refits; and `stability`: what `replicate_stability`
        says of factors, groups and dimensions.
    effects : DataFrame
        Effect curves: `factor, value, effect, low, high, density, effect_unit`.
    orders : DataFrame
        `kind` (factor, group or dimension), `above`, `below`, `at_once`, `p`: every established
        order, and its one-sided p-value in a test of its own.
    explained : Explained
        What all of this was made from.
    columns, members : dict
        Columns of X by factor, and by group and role as `group/role`.
    interactions : DataFrame
        The strongest: `factor, other, strength, low, high, share, p, q, told, strength_unit`.
    """

    factors: pd.DataFrame
    groups: pd.DataFrame
    dimensions: pd.DataFrame
    replicates: pd.DataFrame
    told: pd.DataFrame
    at_once: pd.DataFrame
    notes: dict[str, Any]
    effects: pd.DataFrame
    orders: pd.DataFrame
    explained: Explained
    columns: dict[str, list[int]]
    members: dict[str, list[int]]
    interactions: pd.DataFrame

    def signed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return importance, and its signed deviations by replicate, in the order of `columns`."""
        rows = self.replicates[self.replicates["kind"] == "factor"]
        drawn = rows.pivot(index="replicate", columns="name", values="importance")
        names = list(self.columns)
        own = self.factors.set_index("factor").loc[names, "importance"].to_numpy(float)
        return own, drawn[names].to_numpy(float) - own


def rank_factors(
    matrix: FeatureMatrix,
    learner: str | Learner,
    params: dict[str, Any] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 100,
    unit: str = "auto",
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Ranking:
    """Rank factors over the focus rows, with simultaneous rank sets and tiers.

    Parameters
    ----------
    matrix : FeatureMatrix
        Trained on all rows with known works, explained on those in focus.
    learner, params
        Entry of `LEARNERS` (or its name) and parameters that differ from its defaults.
    level : float in (0.5, 1)
        Probability with which all rank sets and tiers hold at once; one less it is the false
        discovery rate of the null line and of the established orders.
    resamples : int
        Refits, at least 20.
    unit : {"auto", "pair", "country"}
        What is resampled whole; `auto` takes countries where they have several pairs each.
    seed, workers : int
        The seed settles every number; workers change none.
    progress : callable (done, of), optional

    Returns
    -------
    Ranking

    Raises
    ------
    ConfigError
        Settings out of range.
    DataError
        No focus row with known works, or fewer pairs than folds.

    Notes
    -----
    Shapley values describe the fitted model, hence associations; they show no cause. A factor
    below the null line (Benjamini-Hochberg at 1 - level) is claimed to be above none; groups and
    dimensions pass it by their sum or by their parts (`null_p_of_parts`). Orders that
    are right at once take the line by Holm: with probability `level` no null passes it.
    """
    if not 0.5 < level < 1:
        raise ConfigError(f"explain.level: {level} is not between 0.5 and 1")
    if resamples < FEWEST_RESAMPLES:
        raise ConfigError(f"explain.resamples: {resamples} is below {FEWEST_RESAMPLES}")
    if unit not in ("auto", "pair", "country"):
        raise ConfigError(f"explain.unit: {unit!r} is not one of auto, pair, country")
    entry = find_learner(learner)
    columns = columns_by(matrix.features, lambda f: f.factor)
    explained = explain_replicates(
        matrix,
        entry,
        {**entry.defaults, **(params or {})},
        columns,
        resamples=resamples,
        unit=unit,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    members = columns_by(matrix.features, lambda f: f"{f.group}/{f.role}")
    dimensions = _dimensions_of(matrix)
    sides = {"factor": columns, "group": members, "dimension": dimensions}
    found = _judge_each(explained, {k: s for k, s in sides.items() if s}, level=level, seed=seed)
    names, orders = found["factor"].names, found["factor"].orders
    scales = _scales(explained, matrix)
    wide, widening = interval_widths(explained, columns, level)
    factors = _described(found["factor"].table, matrix, explained, columns, scales, wide, widening)
    groups = found["group"].table.copy()
    parts = [side.rpartition("/") for side in members]
    groups.insert(0, "group", [group for group, _, _ in parts])
    groups.insert(1, "role", [role for _, _, role in parts])
    dimension_table = pd.DataFrame()
    if dimensions:
        dimension_table = found["dimension"].table.copy()
        dimension_table.insert(0, "dimension", list(dimensions))
        dimension_table = dimension_table.sort_values("rank", ignore_index=True)
    return Ranking(
        factors=factors.sort_values("rank", ignore_index=True),
        groups=groups.sort_values("rank", ignore_index=True),
        dimensions=dimension_table,
        replicates=pd.concat(
            [_long(kind, judged) for kind, judged in found.items()], ignore_index=True
        ),
        told=pd.DataFrame(orders.told, index=names, columns=names),
        at_once=pd.DataFrame(orders.at_once, index=names, columns=names),
        notes={
            "level": level,
            "resamples": resamples,
            "unit": explained.unit,
            "weights": explained.weights_key,
            "learner": entry.name,
            "rows_explained": len(explained.rows),
            "scales": scales,
            "of_years": _of_years_alone(matrix),
            "spatial": explained.spatial,
            "apart": shown_ends(explained.apart),
            "spells": [
                {"pair": ends, "years": years}
                for ends, years in zip(
                    shown_ends(explained.spells), explained.spells.values(), strict=True
                )
            ],
            "stability": {
                f"{kind}s": replicate_stability(
                    judged.importance, judged.deviations, judged.table["tier"].to_numpy()
                )
                for kind, judged in found.items()
            },
        },
        effects=effect_curves(
            explained.steps,
            explained.curves,
            explained.curve_replicates,
            quantile=dict(zip(columns, wide, strict=True)),
        ),
        orders=pd.concat(
            [_listed(kind, judged) for kind, judged in found.items()], ignore_index=True
        ),
        explained=explained,
        columns=columns,
        members=members,
        interactions=interaction_table(
            list(columns),
            explained.pairs,
            explained.together,
            explained.together_replicates,
            tried=explained.pairs_tried,
            total=float(found["factor"].importance.sum()),
            freedom=explained.freedom,
            level=level,
        ),
    )


def _described(
    judged: pd.DataFrame,
    matrix: FeatureMatrix,
    explained: Explained,
    columns: dict[str, list[int]],
    scales: dict[str, str],
    wide: np.ndarray,
    widening: np.ndarray,
) -> pd.DataFrame:
    """Return judged factors with group, role, direction and effects; see `Ranking.factors`.

    `wide` and `widening` are what `interval_widths` returns.
    """
    x = matrix.X.iloc[explained.rows]
    about = {f.factor: f for f in matrix.features}
    factors = judged.copy()
    factors.insert(0, "factor", list(columns))
    factors.insert(1, "group", [about[n].group for n in columns])
    factors.insert(2, "role", [about[n].role for n in columns])
    factors["direction"] = [
        _direction(x, explained.values, owned) if up else "none"
        for owned, up in zip(columns.values(), factors["above_null"], strict=True)
    ]
    half = wide * explained.low_to_high_replicates.std(axis=0, ddof=1)
    centre = explained.low_to_high
    factors["effect_low_to_high"] = 100 * np.expm1(centre)
    factors["effect_low"] = 100 * np.expm1(centre - half)
    factors["effect_high"] = 100 * np.expm1(centre + half)
    factors["effect_unit"] = "percent more works, 10th to 90th percentile"
    steps = natural_effects(
        x,
        explained.values,
        explained.replicates,
        widening,
        columns,
        quantile=wide,
        own={f.factor for f in matrix.features if f.own},
        logs={factor for factor, kind in scales.items() if kind == "log"},
    )
    factors[list(steps.columns)] = steps.loc[list(columns)].to_numpy()
    return factors[[*FACTORS_CSV, *(c for c in factors.columns if c not in FACTORS_CSV)]]


def _judge_each(
    explained: Explained, sides: dict[str, dict[str, list[int]]], *, level: float, seed: int
) -> dict[str, Judged]:
    """Judge the players of every kind, each kind made of those of the kind before."""
    found = {}
    before: list[tuple[set[int], float]] = []
    for kind, players in sides.items():
        parts = {
            name: [p for inner, p in before if inner <= set(owned)]
            for name, owned in players.items()
        }
        found[kind] = judge(explained, players, level=level, seed=seed, parts=parts)
        null_p = found[kind].table["null_p"]
        before = [(set(o), float(p)) for o, p in zip(players.values(), null_p, strict=True)]
    return found


def _listed(kind: str, judged: Judged) -> pd.DataFrame:
    """List the established orders, the more important first."""
    names, orders = judged.names, judged.orders
    order = np.argsort(-judged.importance, kind="stable")
    above, below = np.nonzero(orders.told[np.ix_(order, order)])
    above, below = order[above], order[below]
    return pd.DataFrame(
        {
            "kind": kind,
            "above": [names[k] for k in above],
            "below": [names[k] for k in below],
            "at_once": orders.at_once[above, below],
            "p": orders.p[above, below],
        },
        columns=ORDERS_CSV,
    )


def _dimensions_of(matrix: FeatureMatrix) -> dict[str, list[int]]:
    """Return the columns of each dimension, none where groups are a user's own or of one."""
    if any(f.own or base_of(f.group) not in DIMENSION_OF for f in matrix.features):
        return {}
    dimensions = columns_by(matrix.features, lambda f: DIMENSION_OF[base_of(f.group)])
    return dimensions if len(dimensions) > 1 else {}


def _scales(explained: Explained, matrix: FeatureMatrix) -> dict[str, str]:
    logs = sorted(t for t in explained.terms if t.kind in LOGS)
    return {matrix.features[t.columns[0]].factor: t.kind for t in logs}


def _of_years_alone(matrix: FeatureMatrix) -> dict[str, int]:
    """Return the factors that move over years and hardly between pairs, with how many years."""
    rows = matrix.rows[matrix.rows["works"].notna()]
    years = rows["year"].to_numpy()
    X = matrix.X.loc[rows.index].to_numpy(float)
    basis = learn_basis(X, weight=rows["weight"].to_numpy(float), smooth=False, years=years)
    names = dict.fromkeys(matrix.features[k].factor for k in sorted(basis.of_years))
    return dict.fromkeys(names, len(np.unique(years)))


def _direction(x: pd.DataFrame, values: np.ndarray, columns: list[int]) -> str:
    """Return whether works rise with the factor, from the slope of its Shapley values."""
    rising = falling = 0.0
    for c in columns:
        feature, value = x.iloc[:, c].to_numpy(float), values[:, c]
        seen = ~np.isnan(feature)
        if seen.sum() < 3 or feature[seen].std() == 0 or value[seen].std() == 0:
            continue
        r = float(np.corrcoef(feature[seen], value[seen])[0, 1])
        size = float(np.abs(value).mean())
        rising, falling = rising + size * max(r, 0), falling + size * max(-r, 0)
    total = sum(float(np.abs(values[:, c]).mean()) for c in columns)
    if total == 0:
        return "none"
    slope = (rising - falling) / total
    return "+" if slope > 0.3 else "-" if slope < -0.3 else "mixed"


def _long(kind: str, judged: Judged) -> pd.DataFrame:
    """Return the importance in every replicate; see `Ranking.replicates`."""
    table = pd.DataFrame(judged.importance + judged.deviations, columns=judged.names)
    table.insert(0, "replicate", np.arange(len(table)))
    long = table.melt(id_vars="replicate", var_name="name", value_name="importance")
    long.insert(1, "kind", kind)
    return long
