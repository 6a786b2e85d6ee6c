"""Sentences about the factors' own figures: which move together."""

from __future__ import annotations

from mlcoop.report.content import Collinear
from mlcoop.report.names import listing


def collinear_sentences(found: Collinear) -> tuple[str, ...]:
    """Return what the tree of rank correlations says beside the catalogue's groups."""
    texts = []
    clusters = found.clusters
    alone = len(found.rows) - sum(len(rows) for rows in clusters.values())
    mixed = sum(len({r.group for r in rows}) > 1 for rows in clusters.values())
    if clusters:
        text = (
            f"The figures suggest {len(clusters)} groups of two or more factors and leave {alone} "
            "factors to themselves"
        )
        if mixed:
            text += (
                f"; {mixed} of them hold factors from more than one group of the catalogue, whose "
                "shares are hard to part"
            )
        texts.append(f"{text}.")
    untold = [r for r in found.rows if r.close and r.told is False]
    if untold:
        texts.append(
            f"For {len(untold)} factors the data cannot tell the rank from that of the closest "
            f"neighbour: {listing([r.label for r in untold], most=6)}."
        )
    return tuple(texts)
