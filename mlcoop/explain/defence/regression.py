"""PPML: the field's own regression, as a witness beside the learner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlcoop.explain.crossfit import pair_names
from mlcoop.model.basis import Basis, Term, learn_basis
from mlcoop.model.scales import agreed_scales
from mlcoop.model.training import draw_rows

if TYPE_CHECKING:
    from mlcoop.features.build import FeatureMatrix

STEPS = 50
TOLERANCE = 1e-9
MOST_ROWS = 40_000
RIDGE = 1e-8  # of each column's own weight: decides between columns that repeat each other


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


def cross_products(X: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return weighted cross products with a touch of ridge, so that they have an inverse."""
    cross = (X * weight[:, None]).T @ X
    cross[np.diag_indices_from(cross)] *= 1 + RIDGE
    cross[np.diag_indices_from(cross)] += 1e-10
    return cross


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
    years = rows["year"].to_numpy()[known]
    basis = learn_basis(X, weight=weight, smooth=False, scales=agreed_scales(X, terms), years=years)
    design = basis.design(basis.standardise(X))
    if added is not None:
        design = np.column_stack([design, added[known]])
    y = rows["works"].to_numpy(float)[known]
    exposure = rows["exposure"].to_numpy(float)[known]
    coef, bread = fit_ppml(design, y, exposure, weight)
    mean = weight * exposure * np.exp(np.clip(design @ coef, -30, 30))
    return Regression(
        basis=basis,
        coef=coef,
        bread=bread,
        rows=known,
        design=design,
        mean=mean,
        residual=weight * y - mean,
    )
