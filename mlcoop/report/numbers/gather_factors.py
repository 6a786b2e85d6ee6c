"""Tables about the factors' own figures to the plain values of a summary."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mlcoop.explain.defence.missing import TREATMENTS
from mlcoop.report.names import base_group, factor_name, optional
from mlcoop.report.numbers.content import Collinear, Gaps, Missing, Neighbours
from mlcoop.report.numbers.gather import need
from mlcoop.schema import Experiment


def collinear(experiment: Experiment, labels: Mapping[str, str]) -> Collinear | None:
    """Return which factors move together, or None where the folder does not say."""
    table, pairs = experiment.collinearity, experiment.correlations
    if table is None or pairs is None or table["spearman"].notna().sum() < 2:
        return None
    need(table, ["factor", "cluster", "neighbour", "spearman", "close", "told"], "collinearity.csv")
    need(pairs, ["factor", "other", "spearman"], "correlations.csv")
    rows = tuple(
        Neighbours(
            key=str(row["factor"]),
            label=factor_name(row["factor"], labels),
            group=base_group(str(row.get("group", ""))),
            cluster=int(row["cluster"]),
            neighbour="" if pd.isna(row["neighbour"]) else factor_name(row["neighbour"], labels),
            spearman=optional(row["spearman"]),
            close=str(row["close"]) == "True",
            told=None if pd.isna(row["told"]) else str(row["told"]) == "True",
        )
        for row in table.sort_values("position", kind="stable").to_dict("records")
    )
    known = pairs.dropna(subset=["spearman"])
    size = {
        (str(a), str(b)): float(rho)
        for a, b, rho in zip(known["factor"], known["other"], known["spearman"], strict=True)
    }
    return Collinear(rows, size)


def missing(experiment: Experiment, labels: Mapping[str, str]) -> Missing | None:
    """Return what is missing and what its treatment does, or None where nothing is missing."""
    known = experiment.coverage.get("known") or {}
    years = known.get("by_year") or []
    if not years:
        return None
    notes = experiment.metrics.get("missing") or {}
    chosen = (experiment.config.get("learner") or {}).get("missing")
    by_country: dict[str, dict[str, float]] = {}
    for row in known.get("by_country") or []:
        for country in (k for k in row if k != "factor"):
            by_country.setdefault(country, {})[factor_name(row["factor"], labels)] = float(
                row[country]
            )
    return Missing(
        treatment=str(notes.get("treatment") or chosen or "own"),
        rows=_gaps(experiment.missing, labels),
        explained={
            how: (int(n), int(notes["pairs"][how])) for how, n in (notes.get("rows") or {}).items()
        },
        between={
            (one, other): row
            for pair, row in (notes.get("between") or {}).items()
            for one, _, other in [pair.partition("/")]
        },
        by_year=tuple(
            (
                factor_name(row["factor"], labels),
                {int(year): float(share) for year, share in row.items() if year != "factor"},
            )
            for row in sorted(years, key=lambda r: sum(v for k, v in r.items() if k != "factor"))
        ),
        by_country=by_country,
    )


def _gaps(table: pd.DataFrame | None, labels: Mapping[str, str]) -> tuple[Gaps, ...]:
    if table is None:
        return ()
    columns = [f"{what}_{how}" for what in ("share", "rank") for how in TREATMENTS]
    need(table, ["factor", "known", "works_where_missing", *columns], "missing.csv")
    rows = []
    for row in table.to_dict("records"):
        ranks = {how: optional(row[f"rank_{how}"]) for how in TREATMENTS}
        rows.append(
            Gaps(
                key=str(row["factor"]),
                label=factor_name(row["factor"], labels),
                known=float(row["known"]),
                works=optional(row["works_where_missing"]),
                shares={how: optional(row[f"share_{how}"]) for how in TREATMENTS},
                ranks={how: None if rank is None else int(rank) for how, rank in ranks.items()},
            )
        )
    return tuple(rows)
