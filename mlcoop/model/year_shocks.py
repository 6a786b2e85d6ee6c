"""Year shocks, common to all pairs of a year, and the variance that they add to coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST_FREEDOM = 0.5  # where factors that vary over years alone use up every degree of freedom


class Shocks(NamedTuple):
    """Variance of the year shocks, its upper estimate, and the degrees of freedom of both.

    Attributes
    ----------
    variance, most : float
        Of log works. `variance` has the sampling error subtracted (0 where years differ by less
        than that); `most` has not, and is never below the sampling error itself.
    left : float
        Degrees of freedom: years less those that the columns of the fit use up.
    """

    variance: float
    most: float
    left: float

    def added(self, variance: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return variances with year shocks, and the share of them that comes from years.

        `squares` are the sums over years of the squared effect of a unit shock.
        """
        whole = variance + self.variance * squares
        return whole, np.minimum(self.most * squares / whole, 1.0)


def freedom_with_years(
    share: np.ndarray | float, freedom: np.ndarray | float, left: float
) -> np.ndarray:
    """Return Satterthwaite's degrees of freedom where a share of the variance is from years."""
    return np.minimum(1 / ((1 - share) ** 2 / freedom + share**2 / left), freedom)


def year_shocks(
    own: np.ndarray, shared: np.ndarray, bread: np.ndarray, score: np.ndarray, chance: float = 1.0
) -> Shocks:
    """Estimate the variance of year shocks from the residuals of a fit.

    Parameters
    ----------
    own : array of shape (n_years, n_years)
        Weighted cross products of the years' indicators.
    shared : array of shape (n_years, n_columns)
        Cross products of the years' indicators and the columns of the fit.
    bread : array of shape (n_columns, n_columns)
        Inverse of the columns' cross products, penalised where the fit is.
    score : array of shape (n_years,)
        Weighted sums of each year's residuals.
    chance : float
        Dispersion: the variance of a row's residual, times its weight.

    Notes
    -----
    A shock `d` leaves `kept @ d` in the sums, `kept` being the part that the columns do not absorb;
    its variance is estimated by the method of moments. With few years the estimate is poor, and may
    be zero by chance (Moulton 1990, doi:10.2307/2109724; Donald and Lang 2007,
    doi:10.1162/rest.89.2.221): hence `most` and `left`.
    """
    kept = own - shared @ bread @ shared.T
    inverse = np.linalg.pinv(own)
    left = max(float(np.trace(inverse @ kept)), FEWEST_FREEDOM)
    found = float(score @ inverse @ score)
    per = max(float(np.trace(inverse @ kept @ kept)), 1e-12)
    by_chance = chance * left
    return Shocks(max(found - by_chance, 0.0) / per, max(found, by_chance) / per, left)


class YearDoubt(NamedTuple):
    """How year shocks widen each factor's standard error.

    Attributes
    ----------
    times, share : arrays of shape (n_features,)
        Factor on the standard error, and the share of the widened variance that comes from years;
        1 and 0 for factors that do not vary over years alone.
    left : float
        Degrees of freedom of the year shocks.
    """

    times: np.ndarray
    share: np.ndarray
    left: float


def year_doubt(
    shocks: Shocks, of_years: Sequence[int], pull: np.ndarray, variance: np.ndarray, n_features: int
) -> YearDoubt:
    """Return how year shocks widen the standard errors that coefficients have without them.

    Parameters
    ----------
    shocks : Shocks
    of_years : sequence of int
        Positions of the factors that vary over years alone.
    pull : array of shape (n_years, n_of_years)
        How far a unit shock in a year moves each coefficient.
    variance : array of shape (n_of_years,)
        Variance of the coefficients when the pairs are resampled and the years kept.
    n_features : int
    """
    variance = np.maximum(variance, 1e-18)
    times, share = np.ones(n_features), np.zeros(n_features)
    whole, share[of_years] = shocks.added(variance, (pull**2).sum(axis=0))
    times[of_years] = np.sqrt(whole / variance)
    return YearDoubt(times, share, shocks.left)
