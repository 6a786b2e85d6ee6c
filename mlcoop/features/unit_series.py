"""Counts of pairs or countries over years, looked up by year and never by row."""

from __future__ import annotations

import numpy as np
import pandas as pd


class UnitSeries:
    """Counts of units (pairs, or countries) over years; every answer is one value per row.

    Parameters
    ----------
    unit : Series of int
        Number of each row's unit, from 0.
    year, works : Series
        One row per unit and year.
    """

    def __init__(self, unit: pd.Series, year: pd.Series, works: pd.Series) -> None:
        self.unit, self.year = unit.to_numpy(int), year.to_numpy(int)
        self.first = int(self.year.min())
        self.width = int(self.year.max()) - self.first + 1
        self.wide = np.full((self.unit.max() + 1, self.width), np.nan)
        self.wide[self.unit, self.year - self.first] = works.to_numpy(float)
        self._logs: dict[int, np.ndarray] = {}

    def shifted(self, by: int) -> np.ndarray:
        """Return each row's count `by` years later, NaN outside the table."""
        column = self.year - self.first + by
        inside = (column >= 0) & (column < self.width)
        return np.where(inside, self.wide[self.unit, np.clip(column, 0, self.width - 1)], np.nan)

    def logs(self, by: int) -> np.ndarray:
        """Return log(1 + count) `by` years later."""
        if by not in self._logs:
            self._logs[by] = np.log1p(self.shifted(by))
        return self._logs[by]

    def sums(self) -> np.ndarray:
        """Return the unit's total over all years."""
        return np.nansum(self.wide, axis=1)[self.unit]

    def counts(self) -> np.ndarray:
        """Return in how many years the unit's count is known, at least 1."""
        return np.maximum(np.isfinite(self.wide).sum(axis=1), 1)[self.unit]

    def deviations(self) -> np.ndarray:
        """Return the standard deviation of the unit's counts over the years."""
        known = np.isfinite(self.wide)
        mean = np.nansum(self.wide, axis=1) / np.maximum(known.sum(axis=1), 1)
        square = np.nansum((self.wide - mean[:, None]) ** 2, axis=1)
        return np.sqrt(square / np.maximum(known.sum(axis=1) - 1, 1))[self.unit]

    def up_to_now(self) -> np.ndarray:
        """Return the unit's total up to the row's year, that year among them."""
        return np.nancumsum(self.wide, axis=1)[self.unit, self.year - self.first]

    def firsts(self) -> np.ndarray:
        """Return the position of the first row of each unit."""
        return np.unique(self.unit, return_index=True)[1]

    def constant(self, x: np.ndarray) -> bool:
        """Return whether x does not change over the years of any unit."""
        start = x[self.firsts()][self.unit]
        return bool(np.all((x == start) | (np.isnan(x) & np.isnan(start))))
