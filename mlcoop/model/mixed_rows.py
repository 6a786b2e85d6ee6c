"""Training rows as the log-linear mixed model takes them: terms, countries, places and years."""

from __future__ import annotations

import numpy as np

from mlcoop.model.basis import Basis
from mlcoop.model.mixed_fit import Rows
from mlcoop.model.spatial import countries_of, spatial_columns
from mlcoop.model.training import Training

FEWEST_YEARS = 3  # of fewer, a year cannot be told from the others


def mixed_rows(basis: Basis, data: Training, *, nuisance: bool = True) -> Rows:
    """Return training rows as columns of the log-linear model.

    Parameters
    ----------
    basis : Basis
        Of the columns of `data.X`.
    data : Training
    nuisance : bool
        Whether countries, places and years have effects of their own.
    """
    blocks = basis.blocks()
    parts = [basis.design(basis.standardise(data.X))]
    years = np.empty((len(data.y), 0))
    if nuisance:
        years = _years(data)
        parts += [_drifts(basis, data), *_of_countries(data), years]
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
    """Return columns for lasting effects that countries share, and for those of each country.

    A country with one pair has no effect apart from its pair's, so countries enter only where pairs
    are many times as many.
    """
    found = countries_of(data.pair_names)
    if found is None:
        return []
    countries, inside = found
    parts = [spatial_columns(countries, inside)]
    if len(inside) >= 2.5 * len(countries):
        parts.append(inside)
    return [part[data.pair] for part in parts]


def _years(data: Training) -> np.ndarray:
    """Return a column for each year, whose effect all of its pairs share."""
    if data.years is None:
        return np.empty((len(data.y), 0))
    names, code = np.unique(data.years, return_inverse=True)
    return np.eye(len(names))[code] if len(names) >= FEWEST_YEARS else np.empty((len(code), 0))


def _drifts(basis: Basis, data: Training) -> np.ndarray:
    """Return what drifts of slopes over the years do to each row.

    The product of a factor with another that rises within pairs, such as an agreement that more
    and more of them have, would pass for a slope that fades or grows.
    """
    if data.years is None or len(np.unique(data.years)) < FEWEST_YEARS:
        return np.empty((len(data.y), 0))
    since = np.asarray(data.years, dtype=float)
    since = (since - since.mean()) / since.std()
    return basis.standardise(data.X)[:, list(basis.drifts)] * since[:, None]
