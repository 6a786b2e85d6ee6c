"""What a regression says of every factor: coefficient, size and test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from mlcoop.explain.crossfit import pair_ends, pair_names
from mlcoop.explain.defence.clusters import (
    Errors,
    errors_by_country,
    errors_by_pair,
    shared_country,
    untested,
)
from mlcoop.explain.defence.regression import Regression
from mlcoop.model.year_shocks import Shocks, freedom_with_years, year_shocks

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix


def regression_table(
    matrix: FeatureMatrix,
    fit: Regression,
    x: pd.DataFrame,
    columns: dict[str, list[int]],
    *,
    unit: str,
    level: float,
) -> pd.DataFrame:
    """Return coefficient, size and test of every factor.

    Parameters
    ----------
    matrix, fit
        What `regress` was given, and what it returned.
    x : DataFrame of shape (n_rows, n_features)
        The explained rows: effects are stated for their spread.
    columns : dict
        Columns of each factor.
    unit : {"pair", "country"}
    level : float
        1 - level is the false discovery rate at which a factor is distinguishable from zero.

    Returns
    -------
    DataFrame indexed by factor: `ppml_coef` (log works per standard deviation over the explained
    rows), `ppml_effect, ppml_low, ppml_high` (the same in percent, with the interval of `level`),
    `ppml_z, ppml_p, ppml_q, ppml_size` (standard deviation of what the factor contributes),
    `ppml_stands_out`. A factor with two ends has the sum of both coefficients, and a joint test
    with the smallest of their degrees of freedom. Interval, z, p and q are NaN, and the factor
    is not significant, where it cannot be tested: its information rests on one pair (or one
    country), or there are no more pairs than coefficients.

    Notes
    -----
    Errors are those of `mlcoop.explain.defence.clusters`. On worlds without drivers tests at 5 %
    find 2.5 to 7 % (10 to 200 pairs, 5 to 60 factors), and 1 to 4 % with countries as the unit.
    What the pairs of a year share is added for factors that move over years (`year_shocks`).
    """
    names = pair_names(matrix.rows.iloc[fit.rows])
    errors = _errors(fit, names, unit)
    of_years = fit.basis.of_years
    shared = _shocks(fit, names, matrix.rows["year"].to_numpy()[fit.rows]) if of_years else None
    z = fit.basis.standardise(x.to_numpy(float))
    rows = {}
    for factor, owned in columns.items():
        at = np.array(owned) + 1
        scale = z[:, owned].std(axis=0)
        coef = float(fit.coef[at] @ scale)
        size = float((z[:, owned] @ fit.coef[at]).std())
        if size <= 1e-12:
            rows[factor] = (coef, 0.0, 0.0, 0.0, 0.0, 1.0, size)
            continue
        # the sum over ends first, then every end by itself
        combinations = np.zeros((len(fit.coef), 1 + len(at)))
        combinations[at, 0] = scale
        combinations[at, 1 + np.arange(len(at))] = 1.0
        found = errors(combinations)
        error = 0.0 if found is None else float(np.sqrt(max(found[0][0, 0], 0.0)))
        if found is None or error <= 1e-12:
            rows[factor] = (coef, 100 * np.expm1(coef), *[np.nan] * 4, size)
            continue
        covariance, freedom = found
        if shared and of_years.intersection(owned):
            shocks, pull = shared[0], shared[1] @ combinations
            squares = pull.T @ pull
            _, share = shocks.added(np.diag(covariance), np.diag(squares))
            covariance = covariance + shocks.variance * squares
            freedom = freedom_with_years(share, freedom, shocks.left)
            error = float(np.sqrt(covariance[0, 0]))
        wald = fit.coef[at] @ np.linalg.pinv(covariance[1:, 1:]) @ fit.coef[at] / len(at)
        p = float(stats.f.sf(wald, len(at), freedom[1:].min()))
        quantile = float(stats.t.ppf(0.5 + level / 2, freedom[0]))
        bounds = coef + quantile * error * np.array([0.0, -1.0, 1.0])
        rows[factor] = (coef, *100 * np.expm1(np.clip(bounds, -20, 20)), coef / error, p, size)
    named = ["coef", "effect", "low", "high", "z", "p", "size"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[f"ppml_{n}" for n in named])
    table["ppml_q"] = np.nan
    tested = table["ppml_p"].notna()
    table.loc[tested, "ppml_q"] = stats.false_discovery_control(table.loc[tested, "ppml_p"])
    table["ppml_stands_out"] = table["ppml_q"] <= 1 - level
    return table


def _shocks(fit: Regression, names: np.ndarray, years: np.ndarray) -> tuple[Shocks, np.ndarray]:
    """Return shocks of years, which all clusters share, and what one does to each coefficient."""
    code = np.unique(years, return_inverse=True)[1]
    Z = np.eye(code.max() + 1)[code]
    own = np.diag(np.bincount(code, fit.mean))
    shared = Z.T @ (fit.design * fit.mean[:, None])
    # chance within pairs: what a pair has in all years alike is no part of their differences
    pair = np.unique(names, return_inverse=True)[1]
    levels = np.bincount(pair, fit.residual) ** 2 / np.bincount(pair, fit.mean)
    within = (fit.residual**2 / fit.mean).sum() - levels.sum()
    chance = float(within / max(len(code) - len(levels), 1))
    return year_shocks(own, shared, fit.bread, Z.T @ fit.residual, chance), shared @ fit.bread


def _errors(fit: Regression, names: np.ndarray, unit: str) -> Errors:
    pairs, code = np.unique(names, return_inverse=True)
    if len(pairs) <= len(fit.coef):
        return untested
    if unit == "pair" or shared_country(pairs):  # by its own country all pairs would be one
        return errors_by_pair(fit, code)
    ends = pair_ends(pairs)
    return errors_by_country(fit, code, np.unique(ends, return_inverse=True)[1].reshape(ends.shape))
