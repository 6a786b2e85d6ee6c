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
        "Missing figures are filled from the other factors, as the pairs of each training window "
        "relate them, with a residual drawn from known ones. Whether a figure is missing then "
        "tells the model nothing, so gaps in a small country’s statistics cannot stand in for its "
        "size."
    ),
    "own": (
        "Missing figures are left to the model: trees send them their own way, so a gap can act "
        "as a sign of a small country, and a factor may owe part of its share to its gaps."
    ),
    "complete": (
        "Only rows with every factor known take part, so the ranking is about countries whose "
        "statistics are complete."
    ),
}
BRIEFLY = {
    "own": "Left to the model",
    "impute": "Filled from the other factors",
    "complete": "With complete rows only",
}


def missing_sentences(found: Missing) -> tuple[str, ...]:
    """Return how gaps are treated, and how the order would differ under other treatments."""
    mine = found.treatment
    texts = [TREATED[mine]]
    if not found.rows:  # no ranking was made, or no treatment of it compared
        return tuple(texts)
    texts.append(
        "The orders compared here are each of one cross-fitting alone and of size alone, so even "
        "that of this study’s own treatment may differ a little from the ranking above, which is "
        "the mean of several and puts first what is told from chance."
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
            texts.append(f"{words}, {left}: too few to rank by.")
            continue
        rows, pairs = found.explained[how]
        kept = ""
        if how == "complete" and mine in found.explained:
            of_rows, of_pairs = found.explained[mine]
            kept = f" ({percent(rows / of_rows)} of the rows, {pairs} of {of_pairs} pairs)"
        first, last = (row["to"], row["from"]) if turned else (row["from"], row["to"])
        name = labels.get(str(row["factor"]), str(row["factor"]))
        move = (
            f"; of the leading factors {name} moves most, from rank {first} to {last}"
            if first != last
            else ""
        )
        texts.append(
            f"{words}{kept}, the order agrees with this one by Kendall’s tau "
            f"{number(row['tau'], 2)}, with {row['top']} of the first five the same{move}."
        )
    return tuple(texts)
