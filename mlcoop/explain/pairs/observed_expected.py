"""Which pairs have more or fewer works than their factors lead one to expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special, stats

from mlcoop.explain.crossfit import (
    fit_rows,
    fold_of_pairs,
    pair_ends,
    pair_names,
    split_pairs,
)
from mlcoop.explain.repeated import FOLDS
from mlcoop.explain.replicates import choose_unit
from mlcoop.explain.weights import resampling_weights, spread_freedom
from mlcoop.features.build import explain_rows
from mlcoop.model.deviance import lead_astray
from mlcoop.model.learners import Learner
from mlcoop.schema import OBSERVED_EXPECTED_CSV, PAIR

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

YEARS = 3
REFITS = 60
# Quantiles that stand for the law of an expectation, and the share of each: even on the logit
# scale, since of many pairs those are told whose p is small, and that is a matter of tails.
LOGIT = np.linspace(-20, 20, 301)
GRID = special.expit(LOGIT)
SHARE = GRID * special.expit(-LOGIT) / (GRID * special.expit(-LOGIT)).sum()


def observed_over_expected(
    matrix: FeatureMatrix,
    learner: Learner,
    params: dict[str, Any],
    *,
    level: float,
    unit: str = "auto",
    seed: int = 0,
    workers: int = 1,
) -> pd.DataFrame:
    """Return observed and expected works of the focus pairs in the last years.

    Parameters
    ----------
    matrix : FeatureMatrix
        Trained on all rows with known works. At least as many focus pairs as `FOLDS` have some.
    learner, params
        Entry of `LEARNERS` and all its parameters.
    level : float in (0.5, 1)
        Of the intervals; one less it is the false discovery rate of `told`.
    unit : {"auto", "pair", "country"}
        What is resampled whole.

    Returns
    -------
    DataFrame
        `country_a, country_b, first_year, last_year, works, expected, ratio, ratio_low,
        ratio_high, p, told`, a row per focus pair with known works in the last `YEARS` years, the
        largest ratio first. `expected` comes from models that were not trained on the pair, at the
        level that all other pairs have in the same years, and is a mean: where pairs differ much,
        most lie below it. `told` is "more" or "less" where the ratio is distinguishable from one,
        else ""; always "" where `lead_astray`.

    Notes
    -----
    The interval is of the pair's mean works over the expected ones: Jeffreys' for a Poisson mean,
    over an expectation that is uncertain by refits on resampled pairs or countries (or by the
    learner's posterior where that is wider). Between counts of one pair more may vary than a
    Poisson law has it; for small counts the interval is then too narrow. A ratio shows what the
    study's factors leave unexplained, which may be an omitted factor as well as room to grow.

    References
    ----------
    Brown, Cai and DasGupta 2003, Statistica Sinica 13, 19-49 (Jeffreys' interval); Egger 2002,
    doi:10.1111/1467-9701.00432 (why gravity residuals are no trade potentials).
    """
    rows, X = matrix.rows, matrix.X
    known = rows["works"].notna().to_numpy()
    focus = known & explain_rows(matrix).to_numpy(bool)
    last = np.sort(rows.loc[focus, "year"].unique())[-YEARS:]
    shown = focus & rows["year"].isin(last).to_numpy()
    pairs = pair_names(rows)
    # all focus pairs are dealt into folds: in the last years alone there may be too few
    everywhere = fold_of_pairs(pairs, pairs[focus], split_pairs(pairs[focus], FOLDS, seed))
    names, at, of_pair = np.unique(pairs[shown], return_index=True, return_inverse=True)
    fold = everywhere[shown][at]
    # a year that is seen from both ends counts once
    once = 1 / rows[shown].groupby([*PAIR, "year"])["year"].transform("size").to_numpy(float)
    recent = np.flatnonzero(known & rows["year"].isin(last))
    year = np.searchsorted(last, rows["year"].to_numpy()[recent])
    of_shown = np.flatnonzero(shown[recent])
    works, weight, exposure = (
        rows[name].to_numpy(float)[recent] for name in ("works", "weight", "exposure")
    )
    every = pd.Index(np.unique(pairs[known]))
    of_every = every.get_indexer(pairs[recent])

    def expected(estimator: Any, k: int, times: np.ndarray | None = None) -> np.ndarray:
        by_row = estimator.predict(X.iloc[recent], exposure=exposure)
        # what is expected of a year adds up to what came, over the pairs that the model has seen
        count = weight * (everywhere[recent] != k)
        count = count if times is None else count * times[of_every]
        came, said = (np.bincount(year, count * v, len(last)) for v in (works, by_row))
        came = np.where(came > 0, came, 0.5)  # of a year without any, hardly any are expected
        level = np.divide(came, said, out=np.ones(len(last)), where=said > 0)
        of_pairs = once * (by_row * level[year])[of_shown]
        return np.log(np.maximum(np.bincount(of_pair, of_pairs, len(names)), 1e-12))

    def fit(k: int) -> Any:
        train = np.flatnonzero(known & (everywhere != k))
        return fit_rows(matrix, learner, params, seed, train, pairs)

    estimators = Parallel(n_jobs=workers)(delayed(fit)(k) for k in range(FOLDS))
    said = np.array([expected(e, k) for k, e in enumerate(estimators)])
    unit = choose_unit(rows[known], unit)
    spread, drawn = _doubt(estimators, expected, said, every, unit, seed=seed, workers=workers)
    n_factors = len({f.factor for f in matrix.features})
    freedom = spread_freedom(pair_ends(every), unit, n_factors, drawn)
    table = rows[shown].assign(pair=of_pair).groupby("pair")
    counted = np.bincount(of_pair, once * rows.loc[shown, "works"].to_numpy(float), len(names))
    mean = np.exp(said[fold, np.arange(len(names))])
    low, high, p = ratio_interval(counted, mean, spread, freedom=freedom, level=level)
    told = stats.false_discovery_control(p) <= 1 - level
    told &= not lead_astray(counted, mean)
    found = pd.DataFrame(
        {
            **{end: table[end].first() for end in PAIR},
            "first_year": table["year"].min(),
            "last_year": table["year"].max(),
            "works": counted,
            "expected": mean,
            "ratio": counted / mean,
            "ratio_low": low,
            "ratio_high": high,
            "p": p,
            "told": np.where(told, np.where(counted > mean, "more", "less"), ""),
        },
        columns=OBSERVED_EXPECTED_CSV,
    )
    return found.sort_values(["ratio", *PAIR], ascending=[False, True, True], ignore_index=True)


def _doubt(
    estimators: list[Any],
    expected: Callable[..., np.ndarray],
    said: np.ndarray,
    pairs: pd.Index,
    unit: str,
    *,
    seed: int,
    workers: int,
) -> tuple[np.ndarray, int]:
    """Return the standard error of what folds said by refits, or their posterior where it is wider.

    With it come the degrees of freedom of the refits; see `resampling_weights`.
    """
    weights, scale, freedom = resampling_weights(pair_ends(pairs), unit, REFITS, FOLDS, seed)

    def again(b: int) -> np.ndarray:
        k = b % FOLDS
        refitted = estimators[k].refit(pd.Series(weights[b], index=pairs), seed + b + 1)
        return expected(refitted, k, weights[b]) - said[k]

    moves = scale * np.array(Parallel(n_jobs=workers)(delayed(again)(b) for b in range(REFITS)))
    spread = moves.std(axis=0, ddof=1)
    if all(getattr(e, "has_posterior", False) for e in estimators):
        draws = [
            expected(estimators[b % FOLDS].draw(seed + b + 1), b % FOLDS) - said[b % FOLDS]
            for b in range(REFITS)
        ]
        spread = np.maximum(spread, np.std(draws, axis=0, ddof=1))
    return spread, freedom


def ratio_interval(
    works: np.ndarray, expected: np.ndarray, spread: np.ndarray, *, freedom: float, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the interval of Poisson means over uncertain expectations, and p of a ratio of one.

    Parameters
    ----------
    works : array of shape (n_pairs,)
        Counts, not below zero.
    expected, spread : arrays of shape (n_pairs,)
        Expected works, and the standard error of their logarithm, on `freedom` degrees of it.

    Returns
    -------
    low, high, p : arrays of shape (n_pairs,)
        `low` is 0 where there are no works. `p` is two-sided.

    Examples
    --------
    Of 100 works where 100 were expected for sure (Jeffreys' interval, by R's qgamma):

    >>> low, high, p = ratio_interval(*np.array([[100.0], [100.0], [0.0]]), freedom=9, level=0.95)
    >>> low.round(3), high.round(3)
    (array([0.818]), array([1.211]))
    """
    shape = works[:, None] + 0.5
    about = np.log(expected)[:, None] + spread[:, None] * stats.t.ppf(GRID, freedom)

    def below(log_ratio: np.ndarray) -> np.ndarray:
        up_to = np.exp(np.clip(log_ratio[:, None] + about, -700, 700))
        return special.gammainc(shape, up_to) @ SHARE

    def quantile(q: float) -> np.ndarray:
        # between bounds that hold it for sure, by halving
        poisson = np.log(special.gammaincinv(shape, q)[:, 0])
        low, high = poisson - about.max(axis=1), poisson - about.min(axis=1)
        for _ in range(36):
            middle = (low + high) / 2
            under = below(middle) < q
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return np.exp((low + high) / 2)

    tail = (1 - level) / 2
    one = below(np.zeros(len(works)))
    low = np.where(works > 0, quantile(tail), 0.0)
    return low, quantile(1 - tail), np.clip(2 * np.minimum(one, 1 - one), 0.0, 1.0)
