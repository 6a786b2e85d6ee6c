"""Rankings beside each other on the terminal."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from mlcoop.comparison import Comparison
from mlcoop.report.names import base_group, number, percent, ranks_within
from mlcoop.terminal.tables import say, stdout, text_table

LARGEST = 30  # changes of rank shown
BESIDE = 6  # experiments whose ranks still fit beside each other
MEASURES = {
    "tau_b": "Kendall’s tau-b",
    "weighted_tau": "weighted tau",
    "rbo": "rank-biased overlap",
}


def print_comparison(comparison: Comparison) -> None:
    """Print ranks side by side, the changes of rank, and how closely the rankings agree."""
    console = stdout()
    many = len(comparison.names) > BESIDE
    for kind in comparison.ranks["kind"].unique():
        console.print((_told if many else _ranks_beside)(comparison, kind))
    if len(comparison.agreement):
        console.print((_agreement_range if many else _agreement)(comparison))
    if len(comparison.differences):
        rows = comparison.differences.astype(str).to_numpy().tolist()
        console.print(text_table("What differs", comparison.differences.columns, rows))
    for note in comparison.notes:
        say(console, f"- {note}")
    say(
        console,
        "A star marks a change of rank that is distinguishable from zero "
        f"({percent(comparison.level)} confidence, simultaneous over all names of a column).",
    )


def _ranks_beside(comparison: Comparison, kind: str) -> Table:
    ranks = comparison.ranks[comparison.ranks["kind"] == kind]
    changes = comparison.changes[comparison.changes["kind"] == kind]
    known = changes.set_index(["name", "experiment"])
    wide = ranks.pivot(index="name", columns="experiment", values="rank")
    first = ranks.drop_duplicates("name")
    rows = []
    for name, label, group in zip(first["name"], first["label"], first["group"], strict=True):
        row = [label, *([base_group(group)] if kind == "factor" else [])]
        row.append(number(wide.loc[name, comparison.names[0]]))
        for other in comparison.names[1:]:
            change = known.loc[(name, other)]
            row += [number(wide.loc[name, other]), _change(change)]
        rows.append(row)
    heads = [kind, *(["group"] if kind == "factor" else []), comparison.names[0]]
    for other in comparison.names[1:]:
        heads += [other, f"change ({percent(comparison.level)})"]
    title = f"\nRank of {kind}s, and change relative to {comparison.names[0]}"
    return text_table(title, heads, rows, right=set(heads) - {kind, "group"})


def _told(comparison: Comparison, kind: str) -> Table:
    """Return the changes distinguishable from zero, largest first; all would be too many."""
    changes = comparison.changes[comparison.changes["kind"] == kind]
    told = changes[changes["told"].fillna(False).astype(bool)]
    order = told["change"].abs().sort_values(ascending=False, kind="stable").index
    rows = [
        [str(row["label"]), str(row["experiment"]), _change(row)]
        for _, row in told.loc[order].head(LARGEST).iterrows()
    ]
    heads = [kind, "experiment", f"change of rank ({percent(comparison.level)})"]
    title = (
        f"\n{len(told)} of {len(changes)} changes in {kind} rank relative to "
        f"{comparison.names[0]} are distinguishable from zero"
    )
    title += f"; the {len(rows)} largest" if len(rows) < len(told) else ""
    return text_table(title, heads, rows, right={heads[2]})


def _agreement_range(comparison: Comparison) -> Table:
    """Return the range of every measure over all pairs of experiments."""
    rows = []
    for (kind, measure), part in comparison.agreement.groupby(["kind", "measure"], sort=False):
        low, high = part.loc[part["value"].idxmin()], part.loc[part["value"].idxmax()]
        row = [str(kind), MEASURES[str(measure)], number(part["value"].median(), 2)]
        for end in (low, high):
            row.append(f"{number(end['value'], 2)} ({end['experiment_a']}, {end['experiment_b']})")
        rows.append(row)
    heads = ["kind", "measure", "median", "lowest", "highest"]
    return text_table(
        f"\nPairwise agreement of {len(comparison.names)} rankings", heads, rows, {"median"}
    )


def _change(row: pd.Series) -> str:
    change = float(row["change"])
    text = f"{'+' if change > 0 else ''}{number(change)}"
    if pd.notna(row["low"]):
        text += f" ({ranks_within(row['low'], row['high'])})"
    return text + (" *" if row["told"] is True else "  ")


def _agreement(comparison: Comparison) -> Table:
    words = MEASURES
    rows = []
    for (kind, a, b), part in comparison.agreement.groupby(
        ["kind", "experiment_a", "experiment_b"], sort=False
    ):
        row = [str(kind), str(a), str(b)]
        for measure in words:
            found = part[part["measure"] == measure].iloc[0]
            text = number(found["value"], 2)
            if pd.notna(found["low"]):
                text += f" ({number(found['low'], 2)} to {number(found['high'], 2)})"
            row.append(text)
        rows.append(row)
    heads = ["kind", "experiment", "compared with", *words.values()]
    title = f"\nAgreement, with {percent(comparison.level)} intervals"
    return text_table(title, heads, rows, right=set(words.values()))
