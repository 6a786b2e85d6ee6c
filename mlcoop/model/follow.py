"""Shifts that follow the last errors of a country and of the focus set.

A model that is trained on all countries treats a country's growth as mostly noise, which it is
for most. China, India, Iran or Pakistan went on growing faster than it expected for years: their
residuals follow one another (autocorrelation 0.3 to 0.5), while those of the European Union's
pairs, which come from single papers with thousands of authors, do not. The shifted forecast is
one more expert; the blend decides how far a set of pairs needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcoop.model.growth import Growth, country_effects, weighted_median
from mlcoop.model.history import FloatArray

GAIN = 0.3
"""Share of the last residual that is carried on; constants from 0.3 to 0.4 did alike on 22 sets,
gains estimated country by country did worse."""


@dataclass(frozen=True)
class Shift:
    """What is added to the mean of the fitted experts at an origin.

    Attributes
    ----------
    countries : float array of shape (n_countries,)
    focus : float
    """

    countries: FloatArray
    focus: float

    def of_pairs(self, growth: Growth) -> FloatArray:
        """Return the shift of every pair, log units."""
        one, two = growth.history.ends[:, 0], growth.history.ends[:, 1]
        own = np.where(growth.history.in_focus, self.focus, 0.0)
        return self.countries[one] + self.countries[two] + own


def no_shift(growth: Growth) -> Shift:
    """Return the shift before any outcome is known."""
    return Shift(np.zeros(len(growth.history.countries)), 0.0)


def follow_errors(
    growth: Growth, mean: FloatArray, shift: Shift, origin: int, horizon: int
) -> Shift:
    """Return the shift that the outcome of column `origin + horizon` teaches.

    Parameters
    ----------
    mean : float array of shape (n_pairs,)
        Mean of the fitted experts at column `origin`, relative log growth.
    shift : Shift
        That stood at column `origin`; the focus follows what it left over.
    """
    history = growth.history
    came = growth.relative[:, origin + horizon] - growth.relative[:, origin]
    came = np.where(np.isfinite(history.counts[:, origin + horizon]), came, np.nan)
    last = growth.counts[:, origin]
    effects = country_effects(came - mean, last, history.ends, len(history.countries))
    rest = (came - mean - Shift(shift.countries, 0.0).of_pairs(growth))[history.in_focus]
    left = weighted_median(rest, np.nan_to_num(last[history.in_focus]))
    # With all pairs in focus their common error is the common growth's, which does not last.
    focus = 0.0 if history.in_focus.all() else GAIN * left
    return Shift(GAIN * effects, float(np.clip(focus, -0.1, 0.1)))
