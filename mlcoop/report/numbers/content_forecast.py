"""What stands of a forecast, in plain values: errors by set, coverage, and the years to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SetErrors:
    """Errors (WAPE) of model and baselines on one set of pairs, over all years and by year.

    `best` is the baseline with the lowest error on this set, in hindsight. `skill` is
    1 - error of the model / error of `best`, with its interval over origins where one was made.
    `verdict` is "won", "lost" or "undecided" (the interval holds zero, or there is none).
    """

    key: str
    label: str
    errors: Mapping[str, float]
    by_year: Mapping[int, Mapping[str, float]]
    best: str | None
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    verdict: str

    @property
    def methods(self) -> list[str]:
        """Methods that have an error in some year, the model last so that it is drawn on top."""
        named = {method for errors in self.by_year.values() for method in errors}
        return sorted(named, key=lambda method: (method == "model", method))


@dataclass(frozen=True)
class Calibration:
    """Share of held-out counts inside their interval, on one set of pairs."""

    key: str
    label: str
    level: float
    mean: float | None
    width: float | None
    by_year: Mapping[int, float]

    @classmethod
    def read(cls, key: str, label: str, level: float, held: Mapping[str, Any]) -> Calibration:
        """Return what metrics.json holds of one set of pairs."""
        by_year = dict(sorted((int(y), float(v)) for y, v in held["by_year"].items()))
        return cls(key, label, level, held["mean"], held["width_share"], by_year)


@dataclass(frozen=True)
class Expected:
    """The forecast of one pair and year; `change` is relative to the last count."""

    a: str
    b: str
    label: str
    year: int
    last_year: int
    last_observed: float | None
    predicted: float
    lower: float
    upper: float
    level: float
    change: float | None


@dataclass(frozen=True)
class Held:
    """One count and what was forecast for it beforehand."""

    year: int
    observed: float | None
    predicted: float | None
    lower: float | None
    upper: float | None
