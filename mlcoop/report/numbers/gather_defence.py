"""Tables of an experiment to what stands beside its ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mlcoop.report.names import base_group, factor_name, filled, from_percent, group_name, optional
from mlcoop.report.numbers.content import Ranked
from mlcoop.report.numbers.content_defence import (
    Agreement,
    Defence,
    Interaction,
    OrderCount,
    Orders,
    Player,
    Step,
    Witness,
)
from mlcoop.schema import Experiment

WITNESSES = {
    "shap": "SHAP values",
    "permutation": "Permutation",
    "conditional": "Permutation within the group",
    "ppml": "PPML",
}
PLAYERS = {
    "members": "Total of factors",
    "as_one": "As one player",
    "dropped": "Left out of the learner",
    "dropped_ppml": "Left out of PPML",
}


def defence(
    experiment: Experiment,
    factors: Sequence[Ranked],
    labels: Mapping[str, str],
    focal: str | None,
) -> Defence | None:
    """Return what stands beside the ranking; None where there is no ranking, or nothing beside."""
    beside = (experiment.orders, experiment.witnesses, experiment.group_players)
    if not factors or all(table is None for table in beside):
        return None
    notes = experiment.metrics.get("ranking") or {}
    agreement = notes.get("agreement") or {}
    orders, groups, players = experiment.orders, experiment.groups, experiment.group_players
    told = orders[orders["kind"] == "factor"] if filled(orders) else None
    return Defence(
        steps=_steps(experiment.factors, factors, labels),
        witnesses=_witnesses(experiment.witnesses, labels),
        agreement=_agreement(agreement.get("factors"), WITNESSES),
        group_agreement=_agreement(agreement.get("groups"), PLAYERS),
        players=_players(players, groups, focal) if filled(players) else (),
        all_explained=_first(players, "learner_all"),
        all_explained_ppml=_first(players, "ppml_all"),
        interactions=_interactions(experiment.interactions_with_focus, labels),
        orders=_orders(told, factors, labels),
        order_counts=_order_counts(
            orders, {"factor": len(factors), "group": 0 if groups is None else len(groups)}
        ),
        level=experiment.rank_level,
        wide=notes.get("wide"),
        stability=notes.get("stability") or {},
        pair_halves=notes.get("pair_halves"),
        counts=agreement,
    )


def _first(table: pd.DataFrame | None, column: str) -> float | None:
    return optional(table[column].iloc[0]) if filled(table) else None


def _records(table: pd.DataFrame | None) -> Iterable[dict[str, Any]]:
    return () if table is None else table.to_dict("records")


def _steps(
    table: pd.DataFrame | None, factors: Sequence[Ranked], labels: Mapping[str, str]
) -> tuple[Step, ...]:
    """Return the steps of the factors above the null line, in rank order."""
    if table is None or "step" not in table:
        return ()
    told = {f.key for f in factors if f.above_null}
    rows = [r for r in _records(table) if str(r["factor"]) in told]
    return tuple(
        Step(
            key=str(r["factor"]),
            label=factor_name(r["factor"], labels),
            words=str(r["step"]),
            effect=float(r["effect_per_step"]) / 100,
            low=float(r["effect_per_step_low"]) / 100,
            high=float(r["effect_per_step_high"]) / 100,
        )
        for r in rows
    )


def _witnesses(table: pd.DataFrame | None, labels: Mapping[str, str]) -> tuple[Witness, ...]:
    rows = []
    for r in _records(table):
        said = r["disagreement"]
        rows.append(
            Witness(
                key=str(r["factor"]),
                label=factor_name(r["factor"], labels),
                ranks={name: int(r[f"{name}_rank"]) for name in WITNESSES},
                share=float(r["shap_share"]),
                loss=float(r["permutation"]),
                conditional=float(r["conditional"]),
                effect=float(r["ppml_effect"]) / 100,
                low=from_percent(r["ppml_low"]),
                high=from_percent(r["ppml_high"]),
                z=optional(r["ppml_z"]),
                p=optional(r["ppml_p"]),
                stands_out={name: bool(r[f"{name}_stands_out"]) for name in WITNESSES},
                disagreement="" if pd.isna(said) else str(said),
            )
        )
    return tuple(rows)


def _agreement(rows: Any, names: Mapping[str, str]) -> tuple[Agreement, ...]:
    return tuple(
        Agreement(
            names.get(r["a"], r["a"]),
            names.get(r["b"], r["b"]),
            optional(r["tau_b"]),
            optional(r["weighted_tau"]),
            optional(r["rbo"]),
        )
        for r in rows or ()
    )


def _players(
    table: pd.DataFrame, groups: pd.DataFrame | None, focal: str | None
) -> tuple[Player, ...]:
    # What stands once per end in the ranking of groups is here one player with all of it.
    ends = groups["group"].value_counts() if groups is not None and "role" in groups else {}
    rows = []
    for r in _records(table.sort_values("as_one", ascending=False, kind="stable")):
        key = str(r["group"])
        side = "partner" if key.endswith("_partner") else "focal" if key.endswith("_focal") else ""
        rows.append(
            Player(
                key=key,
                label=group_name(key, side, focal)
                if side
                else base_group(key) + (" (both sides)" if ends.get(key, 0) > 1 else ""),
                members=float(r["members_sum"]),
                as_one=float(r["as_one"]),
                as_one_error=float(r["as_one_error"]),
                cancelled=float(r["cancelled"]),
                lost=float(r["learner_lost"]),
                lost_ppml=float(r["ppml_lost"]),
            )
        )
    return tuple(rows)


def _interactions(table: pd.DataFrame | None, labels: Mapping[str, str]) -> tuple[Interaction, ...]:
    if not filled(table):
        return ()
    return tuple(
        Interaction(
            key=str(r["factor"]),
            label=factor_name(r["factor"], labels),
            difference=float(r["difference"]),
            z=float(r["z"]),
            p=float(r["p"]),
            q=float(r["q"]),
            differs=bool(r["differs"]),
        )
        for r in _records(table.sort_values("p", kind="stable"))
    )


def _order_counts(orders: pd.DataFrame | None, sizes: Mapping[str, int]) -> dict[str, OrderCount]:
    """Count the orders of every kind (factor, group) of which there are two or more."""
    if orders is None:
        return {}
    counts = {}
    for kind, n in sizes.items():
        told = orders[orders["kind"] == kind]
        if n > 1:
            counts[kind] = OrderCount(n * (n - 1) // 2, len(told), int(told["at_once"].sum()))
    return counts


def _orders(
    table: pd.DataFrame | None, factors: Sequence[Ranked], labels: Mapping[str, str]
) -> tuple[Orders, ...]:
    """Return, in rank order, every factor of which an order is told."""
    if not filled(table):
        return ()
    words = {f.key: labels.get(f.key, f.label) for f in factors}
    rows = []
    for f in factors:
        before = table.loc[table["above"] == f.key, "below"].astype(str)
        after = table.loc[table["below"] == f.key, "above"].astype(str)
        if len(before) or len(after):
            rows.append(
                Orders(
                    f.key,
                    words[f.key],
                    tuple(words.get(k, k) for k in before),
                    tuple(words.get(k, k) for k in after),
                )
            )
    return tuple(rows)
