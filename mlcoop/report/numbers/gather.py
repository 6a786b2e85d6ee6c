"""Tables of an experiment to the plain values of a summary, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlcoop.errors import DataError, some
from mlcoop.features.factor import DIMENSIONS
from mlcoop.report.names import (
    base_group,
    factor_name,
    filled,
    from_percent,
    group_name,
    optional,
    plain,
)
from mlcoop.report.numbers.content import (
    Curve,
    FactorData,
    Left,
    Planted,
    Ranked,
    Reference,
    Source,
    Tuning,
)
from mlcoop.report.units import factor_unit
from mlcoop.schema import RANKED, Experiment

DIRECTIONS = {"+": "more", "-": "less", "mixed": "mixed"}


def factor_labels(experiment: Experiment) -> dict[str, str]:
    """Return the words for every factor; see `names.factor_name` for one that has none."""
    return {
        str(row["factor"]): str(row.get("label") or plain(str(row["factor"])))
        for row in experiment.coverage.get("factors") or []
    }


def ranked(
    table: pd.DataFrame | None,
    key: str,
    labels: Mapping[str, str] | None = None,
    focal: str | None = None,
) -> tuple[Ranked, ...]:
    """Return the rows of `factors.csv`, `groups.csv` or `dimensions.csv` in rank order."""
    if not filled(table):
        return ()
    need(table, [key, *RANKED, "above_null"], f"{key}s.csv")
    rows = []
    for row in table.sort_values("rank", kind="stable").to_dict("records"):
        name = str(row[key])
        role = "" if pd.isna(row.get("role")) else str(row["role"])
        own = group_name(name, role, focal) if key == "group" else DIMENSIONS.get(name, plain(name))
        rows.append(
            Ranked(
                key=name,
                label=(labels or {}).get(name) or own,
                group=own if key == "dimension" else base_group(str(row.get("group", name))),
                role=role,
                rank=int(row["rank"]),
                rank_low=int(row["rank_low"]),
                rank_high=int(row["rank_high"]),
                tier=int(row["tier"]),
                share=float(row["share"]),
                share_low=float(row["share_low"]),
                share_high=float(row["share_high"]),
                direction=DIRECTIONS.get(str(row.get("direction")), ""),
                effect=from_percent(row.get("effect_low_to_high")),
                effect_low=from_percent(row.get("effect_low")),
                effect_high=from_percent(row.get("effect_high")),
                above_null=bool(row["above_null"]),
            )
        )
    return tuple(rows)


def need(table: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Raise `DataError` where a table of the folder lacks columns."""
    missing = [c for c in columns if c not in table]
    if missing:
        raise DataError(f"{where}: no column {some(missing)}; run the study again with --force")


def curves(experiment: Experiment, factors: Sequence[Ranked], labels: Mapping[str, str]) -> tuple:
    """Return the effect curves in rank order; effects in percent become relative changes."""
    table = experiment.effects
    if not filled(table):
        return ()
    need(table, ["factor", "value", "effect", "low", "high", "density"], "effects.csv")
    own = bool(experiment.config.get("panel"))
    order = {f.key: f.rank for f in factors}
    groups = {f.key: f.group for f in factors}
    result = []
    for key in sorted(table["factor"].unique(), key=lambda k: (order.get(str(k), 10**6), str(k))):
        part = table[table["factor"] == key].dropna(subset=["value", "effect"])
        part = part.sort_values("value", kind="stable")
        if len(part) < 2:
            continue
        result.append(
            Curve(
                key=str(key),
                label=factor_name(key, labels),
                group=groups.get(str(key), ""),
                value=tuple(float(v) for v in part["value"]),
                **{k: tuple((part[k] / 100).tolist()) for k in ("effect", "low", "high")},
                density=_thickness(*part[["value", "density"]].to_numpy(float).T),
                unit=factor_unit(str(key), own=own),
            )
        )
    return tuple(result)


def _thickness(value: np.ndarray, share: np.ndarray) -> tuple[float, ...]:
    """Return rows per unit of the factor, 1 at the thickest, from the share of rows by bin.

    Bins hold about as many rows each, so their shares alone would draw a plain: what tells where
    the rows lie is how near the bins' values are to each other.
    """
    steps = np.diff(value)
    width = np.concatenate([steps[:1], (steps[:-1] + steps[1:]) / 2, steps[-1:]])
    thick = np.divide(share, width, out=np.zeros_like(share), where=width > 0)
    return tuple(float(v) for v in thick / (thick.max() or 1.0))


def factor_data(coverage: Mapping[str, Any]) -> tuple[FactorData, ...]:
    """Return source, lag and share of values available for every factor, gappiest first."""
    rows = [
        FactorData(
            key=str(row["factor"]),
            label=str(row.get("label") or plain(str(row["factor"]))),
            group=base_group(str(row.get("group") or "")),
            role=str(row.get("role") or ""),
            source=str(row.get("source") or ""),
            lag=str(row["lag"]) if row.get("lag") is not None else "",
            coverage=optional(row.get("coverage")),
        )
        for row in coverage.get("factors") or []
    ]
    return tuple(sorted(rows, key=lambda r: (r.coverage is None, r.coverage or 0.0, r.key)))


def left_out(coverage: Mapping[str, Any]) -> tuple[Left, ...]:
    """Return every dropped country, pair and year with its reason."""
    return tuple(
        Left(
            str(row.get("kind") or ""),
            str(row.get("what") or ""),
            str(row.get("reason") or ""),
            "" if row.get("count") is None else str(row["count"]),
        )
        for row in coverage.get("dropped") or []
    )


def planted(
    coverage: Mapping[str, Any], factors: Sequence[Ranked], labels: Mapping[str, str]
) -> tuple[Planted, ...]:
    """Return the planted order beside the recovered ranks."""
    found = {f.key: f for f in factors}
    rows = []
    for row in sorted(coverage.get("planted") or [], key=lambda r: r["rank"]):
        key = str(row["factor"])
        mine = found.get(key)
        rows.append(
            Planted(
                key=key,
                label=factor_name(key, labels),
                rank=int(row["rank"]),
                importance=optional(row.get("importance")),
                recovered=mine.rank if mine else None,
                low=mine.rank_low if mine else None,
                high=mine.rank_high if mine else None,
            )
        )
    return tuple(rows)


def reference(coverage: Mapping[str, Any]) -> Reference | None:
    """Return the published study beside ours, where the study names one."""
    given = coverage.get("reference")
    if not given:
        return None
    rows = tuple(
        (
            str(row.get("domain", "")),
            int(row["year"]),
            optional(row.get("published")),
            optional(row.get("counted")),
        )
        for row in given.get("rows") or []
    )
    return Reference(
        str(given.get("title", "")),
        str(given.get("source", "")),
        rows,
        tuple(str(claim) for claim in given.get("claims") or []),
    )


def tuning(trials: pd.DataFrame | None) -> tuple[Tuning, ...]:
    """Return for every tuned model how many trials were made and what they gained.

    Losses of different models are on different scales: they are never mixed.
    """
    if not filled(trials):
        return ()
    rows = []
    for name, part in trials.groupby("model", sort=False):
        losses = part["loss"].dropna()
        rows.append(
            Tuning(
                model=str(name),
                trials=len(part),
                best=optional(losses.min()),
                first=optional(losses.iloc[0]) if len(losses) else None,
            )
        )
    return tuple(rows)


def sources(provenance: Mapping[str, Any]) -> tuple[Source, ...]:
    """Return the providers of figures that the provenance names, each once."""
    rows = {}
    for row in provenance.get("inputs") or []:
        if isinstance(row, Mapping) and row.get("source"):
            rows[str(row["source"])] = Source(
                name=plain(str(row["source"])),
                licence=str(row.get("licence") or ""),
                version=str(row.get("version") or ""),
                citation=str(row.get("citation") or ""),
                note=str(row.get("overridden") or ""),
            )
    return tuple(rows.values())
