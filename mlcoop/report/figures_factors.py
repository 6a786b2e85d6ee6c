"""Figures about the factors' own figures, as drawn by `figures.draw_figures`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mlcoop.features.distribution import Distribution
from mlcoop.features.factor import Factor
from mlcoop.report.names import percent
from mlcoop.report.numbers.content import Summary

BLUE = "#1f5f8b"


def distribution(factor: Factor, spread: Sequence[Distribution], study: str) -> Figure:
    """Draw how a factor is spread over focus pairs and years, a panel for each end that it has."""
    figure = Figure(figsize=(7.2, 0.6 + 2.6 * len(spread)))
    for i, part in enumerate(spread):
        axes = figure.add_subplot(len(spread), 1, i + 1)
        bars = part.bars
        if len(bars) and (bars["low"] < bars["high"]).all():
            width = bars["high"] - bars["low"]
            axes.bar(bars["low"], bars["rows"], width, align="edge", color=BLUE, edgecolor="white")
        else:
            axes.bar([f"{v:g}" for v in bars["low"]], bars["rows"], 0.6, color=BLUE)
        known = percent(part.known / part.rows) if part.rows else "–"
        axes.set_title(f"{part.label} (known in {known})")
        axes.set_xlabel(factor.unit)
        axes.set_ylabel("pairs and years")
        axes.grid(axis="x", visible=False)
    figure.suptitle(f"Focus pairs of {study}", x=0.01, ha="left", fontsize=8, color="#566072")
    return figure


def known_map(s: Summary) -> Figure:
    """Draw the share of focus rows in which each factor with gaps is known, by year."""
    assert s.missing is not None
    rows = s.missing.by_year
    years = sorted({year for _, shares in rows for year in shares})
    table = np.array([[shares.get(year, np.nan) for year in years] for _, shares in rows])
    figure = Figure(figsize=(7.2, 1.2 + 0.19 * len(rows)))
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=7)
    step = max(1, len(years) // 6)
    axes.set_xticks(range(0, len(years), step), [str(year) for year in years[::step]])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, format=lambda v, _: percent(v))
    axes.set_title(f"Values available by year{' (simulated)' if s.simulated else ''}")
    return figure


def correlation_map(s: Summary) -> Figure:
    """Draw the rank correlations of all factors in the tree's order, suggested groups framed."""
    found = s.collinear
    assert found is not None
    rows = found.drawn
    n = len(rows)
    table = np.full((n, n), np.nan)
    place = {row.key: i for i, row in enumerate(rows)}
    for (a, b), rho in found.correlations.items():
        table[place[a], place[b]] = table[place[b], place[a]] = rho
    size = max(4.5, 2.6 + 0.11 * n)
    figure = Figure(figsize=(size + 2.4, size - 0.6))
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap="RdBu", vmin=-1, vmax=1)
    axes.set_yticks(range(n), [row.label for row in rows], fontsize=6 if n > 30 else 8)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    start = 0
    for i in range(1, n + 1):
        if i == n or rows[i].cluster != rows[start].cluster:
            if i - start > 1:
                x = [start - 0.5, i - 0.5, i - 0.5, start - 0.5, start - 0.5]
                y = [start - 0.5, start - 0.5, i - 0.5, i - 0.5, start - 0.5]
                axes.plot(x, y, color="#1c2430", lw=1)
            start = i
    bar = figure.colorbar(image, ax=axes, shrink=0.5)
    bar.set_label("rank correlation (white: none, or not known)")
    axes.set_title(
        f"Collinearity: factors that move together{' (simulated)' if s.simulated else ''}"
    )
    return figure
