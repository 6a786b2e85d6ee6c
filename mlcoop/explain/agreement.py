"""How far rankings of the same names agree: Kendall's tau-b, weighted tau, rank-biased overlap."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

P = 0.9  # RBO persistence: the first ten ranks then carry 86 % of the weight
MEASURES = ("tau_b", "weighted_tau", "rbo")


def agreements(importance: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-b, weighted tau and RBO between all experiments, for each replicate.

    Parameters
    ----------
    importance : array of shape (n_replicates, n_experiments, n_names)
        Larger is more important; the names are the same throughout.

    Returns
    -------
    array of shape (3, n_replicates, n_experiments, n_experiments)
        In the order of `MEASURES`; nan where a ranking is all ties.

    References
    ----------
    Kendall (1945) doi:10.1093/biomet/33.3.239; Vigna (2015) doi:10.1145/2736277.2741088, with the
    hyperbolic additive weights of scipy.stats.weightedtau (names tied in importance share their
    mean rank's weight, where scipy breaks the tie by the other ranking); Webber, Moffat and Zobel
    (2010) doi:10.1145/1852102.1852106, eq. 32, extrapolated, p = 0.9.

    >>> import numpy as np
    >>> agreements(np.array([[[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]]))[0, 0, 0].round(3).tolist()
    [1.0, -1.0]
    """
    n = importance.shape[-1]
    first, second = np.triu_indices(n, 1)
    result = np.empty((3, len(importance), importance.shape[1], importance.shape[1]))
    gains = _rbo_gains(n)
    # On a busy machine BLAS threads wait for each other: measured 5.6 s against 0.1 s.
    with threadpool_limits(limits=1, user_api="blas"):
        every = rankdata(-importance, axis=-1)
        for r, (table, ranks) in enumerate(zip(importance, every, strict=True)):
            signs = np.sign(table[:, first] - table[:, second])
            with np.errstate(invalid="ignore", divide="ignore"):
                same = (signs**2).sum(1)
                result[0, r] = signs @ signs.T / np.sqrt(np.outer(same, same))
                # Weights fall with the rank in either ranking; the two taus are averaged.
                weights = 1 / ranks[:, first] + 1 / ranks[:, second]
                weighted = weights * signs
                own = (weighted * signs).sum(1)
                theirs = weights @ (signs**2).T
                one_way = weighted @ signs.T / np.sqrt(own[:, None] * theirs)
                result[1, r] = (one_way + one_way.T) / 2
            gain = np.interp(ranks, np.arange(1, n + 1), gains)
            result[2, r] = P**n + np.minimum(gain[:, None], gain[None]).sum(-1)
    return result


def chance_agreement(n: int) -> np.ndarray:
    """Return what each of `MEASURES` is on average between unrelated orders of n names.

    >>> chance_agreement(2).round(3).tolist()
    [0.0, 0.0, 0.95]
    """
    gains = _rbo_gains(n)
    return np.array([0.0, 0.0, P**n + np.minimum.outer(gains, gains).sum() / n])


def _rbo_gains(n: int) -> np.ndarray:
    """Return what a name adds to RBO once both rankings of length n have shown it, by that depth.

    With the same n names in both rankings, RBO_ext = p^n + (1 - p)/p Σ_d p^d X_d/d, and X_d counts
    the names that both show by depth d; so each name adds its part from the depth where the later
    of the two shows it.
    """
    depth = np.arange(1, n + 1)
    parts = (1 - P) / P * P**depth / depth
    return parts[::-1].cumsum()[::-1]
