"""Whether neighbouring partners lie alike beside what factors suggest: Moran's I."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from mlcoop.schema import PAIR
from mlcoop.sources.geography import kilometres_between

NEAREST = 5
FEWEST = 20  # partners; of fewer a run by neighbourhood would hardly show
PERMUTATIONS = 9_999
EVEN = 1e-9  # gaps that differ by less do so by rounding


def neighbours_alike(table: pd.DataFrame, *, seed: int) -> dict[str, float] | None:
    """Return how alike neighbouring partners deviate, and how often chance does as much.

    Parameters
    ----------
    table : DataFrame
        `country_a, country_b, works, expected`, as `observed_over_expected` returns them.

    Returns
    -------
    dict or None
        `moran`: Moran's I of the log of works over expected works (half a work added to both), a
        partner's neighbours being the `NEAREST` other partners by distance between main cities;
        `p`: one-sided, of deviations permuted; `partners`. None where pairs have no end in common,
        fewer than `FEWEST` partners are countries with a known place, or all deviate the same.

    Notes
    -----
    Resampled pairs count as independent. Where what factors leave is spatially correlated,
    partners share causes that the panel lacks, and a factor that runs by region may stand for them:
    intervals, orders and the null line then promise more than they hold.

    References
    ----------
    Moran 1950, Biometrika 37, 17-23, doi:10.1093/biomet/37.1-2.17.
    """
    pairs = table[PAIR].astype(str).to_numpy()
    shared = set.intersection(*map(set, pairs)) if len(pairs) else set()
    if len(shared) != 1:
        return None
    partner = np.where(np.isin(pairs[:, 0], list(shared)), pairs[:, 1], pairs[:, 0])
    near = kilometres_between(partner)
    placed = np.isfinite(near).any(axis=1)
    if placed.sum() < FEWEST:
        return None
    near = near[np.ix_(placed, placed)]
    np.fill_diagonal(near, np.inf)
    neighbours = np.argsort(near, axis=1, kind="stable")[:, :NEAREST]
    works, expected = (table[name].to_numpy(float)[placed] for name in ("works", "expected"))
    gaps = np.log((works + 0.5) / (expected + 0.5))
    if np.ptp(gaps) < EVEN:
        return None

    def moran(gaps: np.ndarray, axis: int = -1) -> np.ndarray:
        centred = gaps - gaps.mean(axis=axis, keepdims=True)
        around = centred[..., neighbours].mean(axis=-1)
        return np.asarray((centred * around).sum(axis=axis) / (centred**2).sum(axis=axis))

    found = stats.permutation_test(
        (gaps,),
        moran,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=PERMUTATIONS,
        vectorized=True,
        batch=1_000,
        random_state=np.random.default_rng(seed),
    )
    return {
        "moran": float(found.statistic),
        "p": float(found.pvalue),
        "partners": int(placed.sum()),
    }
