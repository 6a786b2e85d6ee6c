"""Effect curves: what works do as a factor rises, with bands from the replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd

BINS = 12


def effect_curves(
    x: pd.DataFrame,
    values: np.ndarray,
    replicates: np.ndarray,
    draws: np.ndarray,
    columns: dict[str, list[int]],
    *,
    quantile: float,
) -> pd.DataFrame:
    """Return the mean Shapley value along each factor, as percent of works.

    Parameters
    ----------
    x : DataFrame of shape (n_rows, n_features)
        The explained rows.
    values : array of shape (n_rows, n_features)
        Their Shapley values, log scale.
    replicates, draws : arrays of shape (n, n_rows, n_features)
        Deviations under resampling, and under the learner's posterior (may be empty). The wider
        of the two makes the band.
    columns : dict
        Columns of each factor; those of a factor with two ends are pooled.
    quantile : float
        Half width of the band in standard deviations.

    Returns
    -------
    DataFrame: `factor, value, effect, low, high, density, effect_unit`
        `effect` is percent more works than on average over the explained rows; `density` the
        share of rows at the value. Bands hold point by point.

    Notes
    -----
    Values of one bin are averaged over the rows that lie there, so a factor is never set to a
    value that its pair could not have, as in accumulated local effects (Apley and Zhu 2020,
    doi:10.1111/rssb.12377); unlike those, a bin's mean of a product term follows the company
    that its rows keep.
    """
    parts = []
    for factor, owned in columns.items():
        where = np.concatenate([x.iloc[:, c].to_numpy(float) for c in owned])
        seen = ~np.isnan(where)
        levels = np.unique(where[seen])
        if len(levels) < 2:
            continue
        if len(levels) > BINS:
            edges = np.unique(np.quantile(where[seen], np.linspace(0, 1, BINS + 1)))
            code = np.clip(np.searchsorted(edges, where, side="right") - 1, 0, len(edges) - 2)
        else:
            code = np.searchsorted(levels, np.where(seen, where, levels[0]))
        effect = np.concatenate([values[:, c] for c in owned])
        moved = np.concatenate([replicates[:, :, c] for c in owned], axis=1)
        drawn = np.concatenate([draws[:, :, c] for c in owned], axis=1)
        for b in np.unique(code[seen]):
            inside = seen & (code == b)
            middle = float(effect[inside].mean())
            spread = float(moved[:, inside].mean(axis=1).std(ddof=1))
            if len(drawn):
                spread = max(spread, float(drawn[:, inside].mean(axis=1).std(ddof=1)))
            band = middle + quantile * spread * np.array([0, -1, 1])
            parts.append((factor, where[inside].mean(), *100 * np.expm1(band), inside.mean()))
    table = pd.DataFrame(parts, columns=["factor", "value", "effect", "low", "high", "density"])
    return table.assign(effect_unit="percent")
