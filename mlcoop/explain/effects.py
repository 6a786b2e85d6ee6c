"""Accumulated local effects: what works do as a factor rises, with bands from the replicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

BINS = 10
ROWS_PER_BIN = 12
MOST_LEVELS = 12


@dataclass(frozen=True)
class LocalSteps:
    """Rows on which a fitted model is asked what one step of a factor changes.

    Attributes
    ----------
    rows : DataFrame of shape (2 * n_steps, n_features)
        Explained rows with one factor set to the lower edge of the bin that holds it, then the
        same rows with it set to the upper edge.
    base : int array of shape (2 * n_steps,)
        The position of each of these rows among the explained ones.
    step : int array of shape (n_steps,)
        The bin, counted over all factors, of each of these rows.
    factors : tuple of str
        Factors with a curve.
    edges : tuple of arrays
        Of each factor.
    density : tuple of arrays
        Share of explained values nearest to each edge.
    """

    rows: pd.DataFrame
    base: np.ndarray
    step: np.ndarray
    factors: tuple[str, ...]
    edges: tuple[np.ndarray, ...]
    density: tuple[np.ndarray, ...]

    def curves(self, margin: np.ndarray) -> np.ndarray:
        """Return the curves of all factors, end to end, from the margins of `rows`.

        Each is the sum of mean local effects up to an edge, less its own mean over the data.
        """
        change = margin[len(self.step) :] - margin[: len(self.step)]
        total = np.bincount(self.step, change)
        local = total / np.maximum(np.bincount(self.step), 1)
        parts, first = [], 0
        for density in self.density:
            last = first + len(density) - 1
            curve = np.r_[0.0, np.cumsum(local[first:last])]
            parts.append(curve - curve @ density)
            first = last
        return np.concatenate(parts) if parts else np.empty(0)


def local_steps(x: pd.DataFrame, columns: dict[str, list[int]]) -> LocalSteps:
    """Choose the steps at which effects are measured.

    Parameters
    ----------
    x : DataFrame of shape (n_rows, n_features)
        The explained rows; a missing value takes part in no step.
    columns : dict
        Columns of each factor; those of a factor with two ends share edges and are pooled.

    Returns
    -------
    LocalSteps
        Bins between deciles, or between the values of a factor that has few. Of a bin with many
        rows an even share is used.
    """
    base = x.to_numpy(float)
    tables, positions, steps, factors, all_edges, all_density = [], [], [], [], [], []
    first = 0
    for factor, owned in columns.items():
        values = base[:, owned]
        known = values[~np.isnan(values)]
        levels = np.unique(known)
        if len(levels) < 2:
            continue
        few = len(levels) <= MOST_LEVELS
        edges = levels if few else np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
        counts = np.zeros(len(edges) - 1)
        for c, column in zip(owned, values.T, strict=True):
            rows = np.flatnonzero(~np.isnan(column))
            code = np.clip(np.searchsorted(edges, column[rows], side="left") - 1, 0, None)
            counts += np.bincount(code, minlength=len(counts))
            for k in range(len(counts)):
                inside = _spread(rows[code == k])
                pair = np.stack([base[inside], base[inside]])
                pair[0][:, c], pair[1][:, c] = edges[k], edges[k + 1]
                tables.append(pair)
                positions.append(inside)
                steps.append(np.full(len(inside), first + k))
        factors.append(factor)
        all_edges.append(edges)
        shares = np.bincount(np.searchsorted(levels, known)) if few else _halves(counts)
        all_density.append(shares / shares.sum())
        first += len(counts)
    stacked = np.concatenate(tables, axis=1) if tables else np.empty((2, 0, base.shape[1]))
    return LocalSteps(
        pd.DataFrame(stacked.reshape(-1, base.shape[1]), columns=x.columns),
        np.tile(np.concatenate(positions), 2) if positions else np.empty(0, dtype=int),
        np.concatenate(steps) if steps else np.empty(0, dtype=int),
        tuple(factors),
        tuple(all_edges),
        tuple(all_density),
    )


def effect_curves(
    steps: LocalSteps, curves: np.ndarray, moves: np.ndarray, *, quantile: dict[str, float]
) -> pd.DataFrame:
    """Return accumulated local effects with bands, as percent of works.

    Parameters
    ----------
    steps : LocalSteps
    curves : array of shape (n_points,)
        Of the estimate, `LocalSteps.curves`.
    moves : array of shape (n_replicates, n_points)
        Deviations of the replicates' curves.
    quantile : dict
        Of each factor, the half width of the band in standard deviations.

    Returns
    -------
    DataFrame: `factor, value, effect, low, high, density, effect_unit`
        `effect` is percent more works than on average over the explained rows; `density` the
        share of rows nearest to the value. Bands hold point by point.

    References
    ----------
    Apley and Zhu 2020, doi:10.1111/rssb.12377: a step moves each row only within its own bin, so
    no pair is set to a value far from its own, and what moves along with the factor is not
    counted as its effect.
    """
    spread = moves.std(axis=0, ddof=1) if len(moves) > 1 else np.zeros(len(curves))
    value = np.concatenate(steps.edges) if steps.edges else np.empty(0)
    points = [len(e) for e in steps.edges]
    half = np.repeat([quantile[f] for f in steps.factors], points) * spread
    band = curves + half * np.array([[0], [-1], [1]])
    return pd.DataFrame(
        {
            "factor": np.repeat(steps.factors, points),
            "value": value,
            "effect": 100 * np.expm1(band[0]),
            "low": 100 * np.expm1(band[1]),
            "high": 100 * np.expm1(band[2]),
            "density": np.concatenate(steps.density) if steps.density else value,
            "effect_unit": "percent",
        }
    )


def _spread(rows: np.ndarray) -> np.ndarray:
    """Return at most `ROWS_PER_BIN` of the rows, evenly."""
    if len(rows) <= ROWS_PER_BIN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, ROWS_PER_BIN).astype(int)]


def _halves(counts: np.ndarray) -> np.ndarray:
    """Give half of each bin's rows to either of its edges."""
    return (np.r_[counts, 0.0] + np.r_[0.0, counts]) / 2
