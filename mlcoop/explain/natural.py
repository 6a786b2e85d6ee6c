"""Effect sizes in familiar units: per 10 %, per percentage point, yes or no."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlcoop.features.catalogue import FACTORS
from mlcoop.features.factor import base_of

TEN_PERCENT = float(np.log(1.1))
TEN_PERCENT_LESS = -float(np.log(0.9))  # further than 10 % more, in logs
# of factors in log(1 + years) since an event: from not yet to five years
FIVE_YEARS = float(np.log(6.0))
SHORT_UNITS = {
    "hours": "one hour more",
    "standard score": "one standard score more",
    "blocs": "one bloc more",
    "forums": "one forum more",
    "laboratories": "one laboratory more",
    "experiments": "one experiment more",
}


@dataclass(frozen=True)
class Step:
    """A change of a factor in words, and its size in the feature's own unit.

    `opposite` is the change the other way, where words have it, and `opposite_size` its size where
    that is another.
    """

    words: str
    size: float
    opposite: str = ""
    opposite_size: float | None = None


def _ten_percent(more: str, less: str) -> Step:
    return Step(more, TEN_PERCENT, less, TEN_PERCENT_LESS)


TEN_MORE = _ten_percent("10 % more", "10 % less")


def natural_step(factor: str, x: np.ndarray, *, own: bool = False) -> Step:
    """Return a change of a factor in familiar units.

    Parameters
    ----------
    factor : str
        Name in the ranking; a country factor ends in its role.
    x : array of values seen, NaN left out
        They settle the step of a factor that the catalogue does not know, and of one whose unit
        means little: yes rather than no for zeros and ones, else a standard deviation.
    own : bool
        A column of the user's own: the catalogue is not asked.

    Examples
    --------
    >>> natural_step("distance", np.array([7.0, 8.0])).words
    '10 % farther'
    >>> natural_step("my_own", np.array([0.0, 1.0])).words
    'yes rather than no'
    """
    known = None if own else FACTORS.get(factor) or FACTORS.get(base_of(factor))
    if known is not None and known.kind == "years":
        return Step("five years in place rather than none", FIVE_YEARS)
    if set(np.unique(x)) <= {0.0, 1.0}:
        return Step("yes rather than no", 1.0)
    if known is not None:
        if known.unit == "log km":
            return _ten_percent("10 % farther", "10 % closer")
        if known.kind == "log":
            return TEN_MORE
        if known.unit.startswith("absolute"):  # the larger of both over the smaller
            return _ten_percent("a 10 % wider gap", "a 10 % narrower gap")
        if known.unit.startswith("%"):
            return Step("one percentage point more", 1.0, "one percentage point less")
        if known.unit in SHORT_UNITS:
            words = SHORT_UNITS[known.unit]
            return Step(words, 1.0, words.replace(" more", " less"))
    spread = float(x.std()) if len(x) else 0.0
    return Step(
        "one standard deviation more", spread if spread > 0 else 1.0, "one standard deviation less"
    )


def natural_effects(
    x: pd.DataFrame,
    values: np.ndarray,
    replicates: np.ndarray,
    widening: np.ndarray,
    columns: dict[str, list[int]],
    *,
    quantile: np.ndarray,
    own: Collection[str] = (),
    logs: Collection[str] = (),
) -> pd.DataFrame:
    """Return the change of works associated with one natural step of each factor, in percent.

    Parameters
    ----------
    x : DataFrame of shape (n_rows, n_features)
    values : array of shape (n_rows, n_features)
        Shapley values on the log scale.
    replicates : array of shape (n_replicates, n_rows, n_features)
        Their deviations under resampling.
    widening : array of shape (n_factors,)
        By how much the deviations of each factor are widened, at least 1.
    columns : dict
        Columns of each factor; those of a factor with two ends are pooled.
    quantile : array of shape (n_factors,)
        Half width of each factor's interval in standard deviations.
    own : collection of str
        Factors that are columns of the user's own.
    logs : collection of str
        Factors that the model takes in logs: their slope is that over the logarithm.

    Returns
    -------
    DataFrame of shape (n_factors, 4)
        `step, effect_per_step, effect_per_step_low, effect_per_step_high`. The step is taken in
        the direction associated with more works, where words have the opposite.

    Notes
    -----
    The effect is the slope of a factor's Shapley values over its values (least squares over the
    rows), times the step: the mean over the data, not at one point. Where the effect bends, see
    its curve.
    """
    rows = []
    for position, (factor, owned) in enumerate(columns.items()):
        where = np.concatenate([x.iloc[:, c].to_numpy(float) for c in owned])
        if factor in logs:
            where = np.log(np.where(where > 0, where, np.nan))
        seen = ~np.isnan(where)
        step = TEN_MORE if factor in logs else natural_step(factor, where[seen], own=factor in own)
        centred = np.where(seen, where - (where[seen].mean() if seen.any() else 0.0), 0.0)
        power = float(centred @ centred)
        if power <= 0:
            rows.append((step.words, 0.0, 0.0, 0.0))
            continue
        pull = step.size * centred / power
        parts = np.split(pull, len(owned))
        change = float(sum(values[:, c] @ p for c, p in zip(owned, parts, strict=True)))
        moves = sum(replicates[:, :, c] @ p for c, p in zip(owned, parts, strict=True))
        half = quantile[position] * float(np.std(moves, ddof=1)) * widening[position]
        words = step.words
        if change < 0 and step.opposite:
            back = (step.opposite_size or step.size) / step.size
            change, half, words = -change * back, half * back, step.opposite
        rows.append((words, *100 * np.expm1(change + half * np.array([0.0, -1.0, 1.0]))))
    return pd.DataFrame(
        rows,
        columns=["step", "effect_per_step", "effect_per_step_low", "effect_per_step_high"],
        index=list(columns),
    )
