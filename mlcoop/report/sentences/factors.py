"""Sentences about the factors' own figures: which move together, and what is missing."""

from __future__ import annotations

from mlcoop.errors import counted
from mlcoop.explain.defence.collinearity import CLOSE
from mlcoop.report.names import in_quotes, listing, number, percent
from mlcoop.report.numbers.content import Collinear, Missing


def collinear_sentences(found: Collinear) -> tuple[str, ...]:
    """Return what the tree of rank correlations says beside the catalogue's groups."""
    texts = []
    clusters = found.clusters
    alone = len(found.rows) - sum(len(rows) for rows in clusters.values())
    mixed = sum(len({r.group for r in rows}) > 1 for rows in clusters.values())
    if clusters:
        text = (
            f"The correlations suggest {counted(len(clusters), 'group')} of two or more factors "
            f"and leave {counted(alone, 'factor')} on {'its' if alone == 1 else 'their'} own."
        )
        if mixed:
            text += (
                f" Of these groups, {mixed} {'combines' if mixed == 1 else 'combine'} factors from "
                "more than one group of the catalogue, whose shares are hard to separate."
            )
        texts.append(text)
    untold = [r for r in found.rows if r.close and r.told is False]
    if untold:
        texts.append(
            f"Of the factors with a close neighbour (absolute rank correlation of {CLOSE} or "
            f"more), {len(untold)} {'is' if len(untold) == 1 else 'are'} not distinguishable "
            f"from it in rank: {listing([in_quotes(r.label) for r in untold], most=6)}."
        )
    return tuple(texts)


TREATED = {
    "impute": (
        "Missing values are imputed from the other factors, using their relation in each training "
        "window, with a residual drawn from known ones. Whether a value is missing then tells the "
        "model nothing, so missing statistics of a small country cannot stand in for its size."
    ),
    "own": (
        "Missing values are left to the model. Trees send them their own way, so a missing value "
        "can act as a sign of a small country, and a factor may owe part of its share to its "
        "missing values."
    ),
    "complete": (
        "Only rows with every factor known are used, so the ranking is about countries with "
        "complete statistics."
    ),
}
BRIEFLY = {
    "own": "With missing values left to the model",
    "impute": "With missing values imputed from the other factors",
    "complete": "With complete rows only",
}


def missing_sentences(found: Missing) -> tuple[str, ...]:
    """Return how missing values are treated, and how other treatments would have ranked."""
    mine = found.treatment
    texts = [TREATED[mine]]
    if not found.rows:  # no ranking was made, or no treatment of it compared
        return tuple(texts)
    texts.append(
        "The rankings compared here each come from a single cross-fitting and order factors by "
        "size alone. Even that of this study’s own treatment may therefore differ a little from "
        "the ranking above, which is the mean of several and puts first the factors "
        "distinguishable from chance."
    )
    labels = {row.key: row.label for row in found.rows}
    for how, words in BRIEFLY.items():
        if how == mine or how not in found.explained:
            continue
        row, turned = found.between.get((mine, how)), False
        if row is None:
            row, turned = found.between.get((how, mine)), True
        if row is None:
            pairs = found.explained[how][1]
            left = f"{counted(pairs, 'focus pair')} {'is' if pairs == 1 else 'are'} left"
            texts.append(f"{words}, {left}: too few for a ranking.")
            continue
        rows, pairs = found.explained[how]
        kept = ""
        if how == "complete" and mine in found.explained:
            of_rows, of_pairs = found.explained[mine]
            kept = f" ({percent(rows / of_rows)} of the rows, {pairs} of {of_pairs} pairs)"
        first, last = (row["to"], row["from"]) if turned else (row["from"], row["to"])
        name = in_quotes(labels.get(str(row["factor"]), str(row["factor"])))
        move = (
            f". Of the leading factors, {name} moves most, from rank {first} to {last}"
            if first != last
            else ""
        )
        texts.append(
            f"{words}{kept}, the ranking agrees with this one (Kendall’s tau "
            f"{number(row['tau'], 2)}), and {row['top']} of the first five factors are the "
            f"same{move}."
        )
    return tuple(texts)
