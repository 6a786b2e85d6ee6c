"""What happened in a year to all its pairs, and how far that moves what a fit says of a factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST_FREEDOM = 0.5  # where factors that move over years leave no year over, nothing is told


class Shocks(NamedTuple):
    """Variance of what years share, of which chance is no part or all, and years left to tell it.

    Attributes
    ----------
    variance, most : float
        Of log works. `most` has the chance of a year's rows in it, all of it where the years
        differ by less than chance.
    left : float
        Years less what the columns of the fit take of them.
    """

    variance: float
    most: float
    left: float

    def added(self, variance: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return variances with shocks, and the share of their doubt that is of years.

        `squares` are sums over years of what a shock of one does, squared.
        """
        whole = variance + self.variance * squares
        return whole, np.minimum(self.most * squares / whole, 1.0)


def freedom_with_years(
    share: np.ndarray | float, freedom: np.ndarray | float, left: float
) -> np.ndarray:
    """Return degrees of freedom where a share of the doubt is of years (Satterthwaite)."""
    return np.minimum(1 / ((1 - share) ** 2 / freedom + share**2 / left), freedom)


def year_shocks(
    own: np.ndarray, shared: np.ndarray, bread: np.ndarray, score: np.ndarray, chance: float = 1.0
) -> Shocks:
    """Return how large shocks of years are, by what a fit leaves of them.

    Parameters
    ----------
    own : array of shape (n_years, n_years)
        Weighted cross products of the years' indicators.
    shared : array of shape (n_years, n_columns)
        Those of the years and the columns of the fit.
    bread : array of shape (n_columns, n_columns)
        Inverse of those of the columns, a penalty added where there is one.
    score : array of shape (n_years,)
        Weighted sums of each year's residuals.
    chance : float
        Variance of a row's residual over one over its weight.

    Notes
    -----
    A shock `d` leaves `kept @ d` in the sums, `kept` being what the columns do not take; its
    variance is the one at which the sums are as large as expected (method of moments). Few years
    tell it badly, and by chance as none (Moulton 1990, doi:10.2307/2109724; Donald and Lang 2007,
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
    """Of each factor: by what shocks of years widen it, and what share of its doubt is of years.

    Attributes
    ----------
    times, share : arrays of shape (n_features,)
        1 and 0 for factors that are not of years.
    left : float
        Years left to tell shocks.
    """

    times: np.ndarray
    share: np.ndarray
    left: float


def year_doubt(
    shocks: Shocks, of_years: Sequence[int], pull: np.ndarray, variance: np.ndarray, n_features: int
) -> YearDoubt:
    """Return what shocks add to the variance that coefficients have without them.

    Parameters
    ----------
    shocks : Shocks
    of_years : sequence of int
        Positions of the factors that are of years.
    pull : array of shape (n_years, n_of_years)
        By what a shock of one in a year moves each coefficient.
    variance : array of shape (n_of_years,)
        Of the coefficients over other pairs of the same years.
    n_features : int
    """
    variance = np.maximum(variance, 1e-18)
    times, share = np.ones(n_features), np.zeros(n_features)
    whole, share[of_years] = shocks.added(variance, (pull**2).sum(axis=0))
    times[of_years] = np.sqrt(whole / variance)
    return YearDoubt(times, share, shocks.left)
