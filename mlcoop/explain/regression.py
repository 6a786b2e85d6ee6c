"""PPML with clustered errors: the field's own regression, as a witness beside the learner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from mlcoop.explain.clusters import (
    Errors,
    cross_products,
    errors_by_country,
    errors_by_pair,
    untested,
)
from mlcoop.explain.crossfit import pair_names
from mlcoop.model.basis import Basis, Term, learn_basis
from mlcoop.model.scales import agreed_scales
from mlcoop.model.training import draw_rows

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

STEPS = 50
TOLERANCE = 1e-9
MOST_ROWS = 40_000


@dataclass(frozen=True)
class Regression:
    """A fitted PPML on standardised columns.

    Attributes
    ----------
    basis : Basis
        Means and scales; a missing value counts as the mean.
    coef : array of shape (n_columns,)
        Of the constant, of one standard deviation (training rows) of each feature, and of
        whatever column was added.
    bread : array of shape (n_columns, n_columns)
        Inverse of the weighted cross products.
    rows : int array of shape (n_used,)
        Positions in the matrix of the rows used.
    design : array of shape (n_used, n_columns)
    mean, residual : arrays of shape (n_used,)
        Expected works, and observed less expected, both times the row's weight.
    """

    basis: Basis
    coef: np.ndarray
    bread: np.ndarray
    rows: np.ndarray
    design: np.ndarray
    mean: np.ndarray
    residual: np.ndarray


def fit_ppml(
    X: np.ndarray, y: np.ndarray, exposure: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and bread of a Poisson regression with a log link, by Newton steps.

    Parameters
    ----------
    X : array of shape (n_rows, n_columns), the constant among them
    y, exposure, weight : arrays of shape (n_rows,)

    References
    ----------
    Santos Silva and Tenreyro 2006, doi:10.1162/rest.88.4.641.
    """
    total = (weight * y).sum()
    margin = np.full(len(y), np.log(max(total, 1e-6) / (weight * exposure).sum()))
    coef = np.zeros(X.shape[1])
    for step in range(STEPS):
        mean = exposure * np.exp(np.clip(margin, -30, 30))
        cross = cross_products(X, weight * mean)
        # a count far above its mean would throw the first steps out
        response = margin + (np.clip((y - mean) / mean, -1, 5) if step < 3 else (y - mean) / mean)
        new = np.linalg.solve(cross, X.T @ (weight * mean * response))
        change = np.abs(new - coef).max()
        coef, margin = new, X @ new
        if step > 3 and change < TOLERANCE * max(1.0, np.abs(coef).max()):
            break
    mean = exposure * np.exp(np.clip(margin, -30, 30))
    return coef, np.linalg.inv(cross_products(X, weight * mean))


def regress(
    matrix: FeatureMatrix,
    *,
    seed: int,
    added: np.ndarray | None = None,
    terms: Collection[Term] = (),
    most_rows: int = MOST_ROWS,
) -> Regression:
    """Fit PPML on the rows with known works.

    Parameters
    ----------
    matrix : FeatureMatrix
    seed : int
    added : array of shape (n_rows,), optional
        A column beside the features, as it stands.
    terms : collection of Term
        What a learner has chosen: its scales of the factors are taken.
    most_rows : int
        Where there are more, rows outside the focus are drawn and weighted up.
    """
    rows = matrix.rows
    known = np.flatnonzero(rows["works"].notna().to_numpy())
    focus = rows["in_focus"].to_numpy(bool)[known]
    weight = rows["weight"].to_numpy(float)[known]
    rest = np.flatnonzero(~focus)
    room = max(most_rows - int(focus.sum()), most_rows // 4)
    if len(rest) > room:
        others = rows.iloc[known[rest]]
        works, names = others["works"].to_numpy(float), pair_names(others)
        drawn, heavy = draw_rows(works, weight[rest], names, room, seed)
        weight[rest[drawn]] = heavy * len(rest) / room
        chosen = np.sort(np.r_[np.flatnonzero(focus), rest[drawn]])
        known, weight = known[chosen], weight[chosen]
    X = matrix.X.iloc[known].to_numpy(float)
    basis = learn_basis(X, weight=weight, smooth=False, scales=agreed_scales(X, terms))
    design = basis.design(basis.standardise(X))
    if added is not None:
        design = np.column_stack([design, added[known]])
    y = rows["works"].to_numpy(float)[known]
    exposure = rows["exposure"].to_numpy(float)[known]
    coef, bread = fit_ppml(design, y, exposure, weight)
    mean = weight * exposure * np.exp(np.clip(design @ coef, -30, 30))
    return Regression(basis, coef, bread, known, design, mean, weight * y - mean)


def clustered(scores: np.ndarray, pairs: np.ndarray, unit: str, fixed: str = "") -> np.ndarray:
    """Return the covariance of a sum of scores whose rows depend on each other in clusters.

    Parameters
    ----------
    scores : array of shape (n_pairs, n_columns)
        Sums over each pair's rows.
    pairs : array of shape (n_pairs,), "A|B"
    unit : {"pair", "country"}
        With countries any two pairs that share one may move together (dyadic clusters).
    fixed : str
        A country whose pairs count as independent all the same: what is said holds for it, and
        not for countries of its kind.

    Notes
    -----
    Times G / (G - 1) for G clusters, as is usual. A dyadic covariance may come out indefinite; its
    negative part is left out. With few countries a variance may by chance come out as next to
    none, which makes anything stand out: none is less than with independent pairs.

    References
    ----------
    Aronow, Samii and Assenova 2015, doi:10.1093/pan/mpv018 (dyads); Cameron and Miller 2015,
    doi:10.3368/jhr.50.2.317.
    """
    meat = scores.T @ scores
    if unit == "pair":
        return meat * len(scores) / max(len(scores) - 1, 1)
    ends = np.array([str(p).split("|") for p in pairs])
    names, code = np.unique(ends, return_inverse=True)
    code = code.reshape(ends.shape)
    by_country = np.zeros((len(names), scores.shape[1]))
    np.add.at(by_country, code[:, 0], scores)
    np.add.at(by_country, code[:, 1], scores)
    of_pair = -meat  # a pair is counted once through either end
    for position, name in enumerate(names):
        if name == fixed:
            own = scores[(code == position).any(axis=1)]
            of_pair += own.T @ own
            by_country[position] = 0.0
    size, vectors = np.linalg.eigh(by_country.T @ by_country + of_pair)
    dyadic = (vectors * np.maximum(size, 0.0)) @ vectors.T
    lacking = np.maximum(np.diag(meat) - np.diag(dyadic), 0.0)
    return (dyadic + np.diag(lacking)) * len(names) / max(len(names) - 1, 1)


def shared_country(pairs: np.ndarray) -> str:
    """Return the one country that is in every pair, "" where there is none.

    >>> shared_country(np.array(["A|B", "B|C"])), shared_country(np.array(["A|B", "C|D"]))
    ('B', '')
    """
    shared = sorted(set.intersection(*(set(str(p).split("|")) for p in pairs)))
    return shared[0] if len(shared) == 1 else ""


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
        1 - level is the false discovery rate at which a factor stands out.

    Returns
    -------
    DataFrame indexed by factor: `ppml_coef` (log works per standard deviation over the explained
    rows), `ppml_effect, ppml_low, ppml_high` (the same in percent, with the interval of `level`),
    `ppml_z, ppml_p, ppml_q, ppml_size` (standard deviation of what the factor contributes),
    `ppml_stands_out`. A factor with two ends has the sum of both coefficients, and a joint test
    with the smallest of their degrees of freedom. Interval, z, p and q are NaN, and the factor
    does not stand out, where it cannot be tested: its information hangs on one pair (or one
    country), or there are no more pairs than coefficients.

    Notes
    -----
    Errors are those of `mlcoop.explain.clusters`. On worlds without drivers tests at 5 % find
    2.5 to 7 % (10 to 200 pairs, 5 to 60 factors), and 1 to 4 % with countries as the unit.
    """
    names = pair_names(matrix.rows.iloc[fit.rows])
    errors = _errors(fit, names, unit)
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


def _errors(fit: Regression, names: np.ndarray, unit: str) -> Errors:
    pairs, code = np.unique(names, return_inverse=True)
    if len(pairs) <= len(fit.coef):
        return untested
    if unit == "pair" or shared_country(pairs):  # by its own country all pairs would be one
        return errors_by_pair(fit, code)
    ends = np.array([str(p).split("|") for p in pairs])
    return errors_by_country(fit, code, np.unique(ends, return_inverse=True)[1].reshape(ends.shape))
