"""Training rows as the log-linear mixed model takes them: terms, countries and years."""

from __future__ import annotations

import numpy as np

from mlcoop.model.basis import Basis
from mlcoop.model.mixed_fit import Rows
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
        Whether countries and years have effects of their own.
    """
    blocks = basis.blocks()
    first = int(blocks.max()) + 1
    extra, extra_blocks = np.empty((len(data.y), 0)), np.empty(0, dtype=int)
    if nuisance:
        extra, extra_blocks = _nuisance(data, first)
        drifts = _drifts(basis, data)
        extra = np.hstack([drifts, extra])
        extra_blocks = np.r_[np.full(drifts.shape[1], first + 2), extra_blocks]
    return Rows(
        design=np.hstack([basis.design(basis.standardise(data.X)), extra]),
        blocks=np.r_[blocks, extra_blocks],
        y=data.y,
        offset=data.offset,
        weight=data.weight,
        starts=data.starts,
        pair=data.pair,
        years=int((extra_blocks == first + 1).sum()),
    )


def _nuisance(data: Training, first_block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return columns for lasting effects of countries and of years, each a block of its own.

    They absorb shocks that a country's pairs, or a year's, share. A country with one pair has no
    effect apart from its pair's, so countries enter only where pairs are many times as many.
    """
    parts, blocks = [], []
    ends = [str(n).split("|") for n in data.pair_names]
    if all(len(e) == 2 for e in ends):
        countries, code = np.unique(np.array(ends), return_inverse=True)
        code = code.reshape(-1, 2)
        if len(ends) >= 2.5 * len(countries):
            of_pair = np.zeros((len(ends), len(countries)))
            np.add.at(of_pair, (np.arange(len(ends)), code[:, 0]), 1.0)
            np.add.at(of_pair, (np.arange(len(ends)), code[:, 1]), 1.0)
            parts.append(of_pair[data.pair])
            blocks += [first_block] * len(countries)
    if data.years is not None:
        names, code = np.unique(data.years, return_inverse=True)
        if len(names) >= FEWEST_YEARS:
            parts.append(np.eye(len(names))[code])
            blocks += [first_block + 1] * len(names)
    if not parts:
        return np.empty((len(data.y), 0)), np.empty(0, dtype=int)
    return np.hstack(parts), np.array(blocks)


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
