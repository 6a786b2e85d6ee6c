"""Training rows as the log-linear mixed model takes them: terms, countries, places and years."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mlcoop.model.basis import Basis
from mlcoop.model.mixed_fit import Rows
from mlcoop.model.spatial import countries_of, spatial_columns
from mlcoop.model.training import MANY_PAIRS, Training

SHOCK_YEARS = 3.0  # in which a country's shock fades to 1/e
MOST_OF_COURSES = 120  # columns for them: more would take too long
FEWEST_YEARS = 3


def mixed_rows(basis: Basis, data: Training, *, nuisance: bool = True) -> Rows:
    """Return training rows as columns of the log-linear model.

    Parameters
    ----------
    basis : Basis
        Of the columns of `data.X`.
    data : Training
    nuisance : bool
        Whether countries, places and years have effects of their own, and all pairs a trend.
        Without it a rise that all pairs share would go to whichever factor rises most like it.
    """
    blocks = basis.blocks()
    parts = [basis.design(basis.standardise(data.X))]
    years = np.empty((len(data.y), 0))
    if nuisance:
        years = _years(data)
        trend = _since(data)[:, None] if years.shape[1] else years
        parts += [trend, _drifts(basis, data), *_of_countries(data), years]
    for part in parts[1:]:  # each with a spread of its own
        blocks = np.r_[blocks, np.full(part.shape[1], blocks.max() + 1)]
    return Rows(
        design=np.hstack(parts),
        blocks=blocks,
        y=data.y,
        offset=data.offset,
        weight=data.weight,
        starts=data.starts,
        pair=data.pair,
        years=years.shape[1],
    )


def _of_countries(data: Training) -> list[np.ndarray]:
    """Return columns for effects that near countries share, of each country, and of its years.

    A country with one pair has no effect apart from its pair's, so countries enter only where pairs
    are many times as many. What befalls one touches all of its pairs for some years, and would go
    to whichever national figure moves like it, as surely as if pairs were independent.
    """
    found = _by_pair(tuple(data.pair_names))
    if found is None:
        return []
    near, inside = found
    n_pairs, n_countries = inside.shape
    parts = [near[data.pair]]
    if n_pairs >= 2.5 * n_countries:
        own = inside[data.pair]
        parts.append(own)
        if _has_years(data) and n_pairs < MANY_PAIRS:
            course = _course(np.asarray(data.years), most=MOST_OF_COURSES // n_countries)
            parts.append((own[:, :, None] * course[:, None, :]).reshape(len(own), -1))
    return parts


@lru_cache(maxsize=8)  # every stage of a fit asks for the same pairs
def _by_pair(pair_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what near countries share, and the countries of each pair; both begin with n_pairs."""
    found = countries_of(pair_names)
    return None if found is None else (spatial_columns(*found), found[1])


def _course(years: np.ndarray, most: int) -> np.ndarray:
    """Return columns whose independent normal coefficients make a course that fades over years.

    An autoregression of order one: `exp(-1 / SHOCK_YEARS)` of it is left after a year. Centred,
    its largest principal components, `most` at most; shape (n_rows, n_columns).
    """
    when, code = np.unique(years, return_inverse=True)
    alike = np.exp(-np.abs(when[:, None] - when) / SHOCK_YEARS)
    alike -= alike.mean(axis=0)
    alike -= alike.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(alike)
    kept = slice(1, None) if len(when) - 1 <= most else slice(len(when) - most, None)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None)))[code][:, kept])


def _years(data: Training) -> np.ndarray:
    """Return a column for each year, whose effect all of its pairs share."""
    if not _has_years(data):
        return np.empty((len(data.y), 0))
    names, code = np.unique(np.asarray(data.years), return_inverse=True)
    return np.eye(len(names))[code]


def _drifts(basis: Basis, data: Training) -> np.ndarray:
    """Return what drifts of slopes over the years do to each row.

    The product of a factor with another that rises within pairs, such as an agreement that more
    and more of them have, would pass for a slope that fades or grows.
    """
    if not _has_years(data):
        return np.empty((len(data.y), 0))
    return basis.standardise(data.X)[:, list(basis.drifts)] * _since(data)[:, None]


def _has_years(data: Training) -> bool:
    """Whether years are known, and enough to be told from one another."""
    return data.years is not None and len(np.unique(data.years)) >= FEWEST_YEARS


def _since(data: Training) -> np.ndarray:
    """Return years, standardised over the rows, shape (n_rows,)."""
    since = np.asarray(data.years, dtype=float)
    return np.asarray((since - since.mean()) / since.std())
