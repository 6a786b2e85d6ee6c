"""Spells of years in which a pair has no works, for reasons of its own."""

from __future__ import annotations

import numpy as np

from mlcoop.model.basis import learn_basis
from mlcoop.model.loglinear import fit_mixed
from mlcoop.model.mixed_fit import MixedFit, Rows
from mlcoop.model.mixed_rows import mixed_rows
from mlcoop.model.training import Training

RARE = 0.01
"""Chance that some spell is left out of a panel that has none and is fitted rightly."""
LEVEL_STEPS = 30  # enough for a pair's level, which moves by at most one a step


def without_spells(data: Training) -> tuple[Training, frozenset[tuple[str, int]]]:
    """Return the rows without spells of no works, and the pairs and years of these spells.

    A pair that begins late, pauses or stops, and a count that was never made and stands as zero,
    have years without works that are too many to be chance: by the factors, the years and the
    pair's level in its other years one panel in a hundred has such a spell. They make all counts
    look scattered and all pairs look unlike, so that little could be told. Where they follow a
    factor that the panel holds the fit expects them, and they stay.

    Parameters
    ----------
    data : Training

    Returns
    -------
    Training
        The same where there is no spell, or `data.years` is None. Every pair keeps rows.
    frozenset of (str, int)
    """
    found: set[tuple[str, int]] = set()
    while data.years is not None:
        spell = _longest_spell(data, data.years)
        if not _worth_a_fit(data, spell):
            break
        basis = learn_basis(data.X, weight=data.weight, smooth=False, years=data.years)
        rows = mixed_rows(basis, data)
        gone = spell & _too_rare(rows, fit_mixed(rows), spell)[data.pair]
        if not gone.any():
            break
        names = data.pair_names[data.pair[gone]]
        found |= {(str(p), int(y)) for p, y in zip(names, data.years[gone], strict=True)}
        data = data.take(~gone)  # what they hid of the others shows in the next fit
    return data, frozenset(found)


def _longest_spell(data: Training, years: np.ndarray) -> np.ndarray:
    """Whether a row is in its pair's longest spell without works, shape (n_rows,).

    None is of a pair without any work; of spells as long as one another it is the last.
    """
    order = np.lexsort((years, data.pair))
    pair, none = data.pair[order], data.y[order] == 0
    first = np.r_[True, (pair[1:] != pair[:-1]) | (none[1:] != none[:-1])]
    run = np.cumsum(first) - 1
    works = np.add.reduceat(data.y, data.starts) > 0
    empty, owner = (none & works[pair])[first], pair[first]
    length = np.where(empty, np.bincount(run), 0)
    by_length = np.lexsort((length, owner))
    longest = by_length[np.r_[np.diff(owner[by_length]) > 0, True]]
    spell = np.zeros(len(pair), dtype=bool)
    spell[order] = np.isin(run, longest[empty[longest]])
    return spell


def _worth_a_fit(data: Training, spell: np.ndarray) -> bool:
    """Whether some pair's spell would be too rare at its own rate elsewhere, if it were Poisson.

    Scattered counts have more zeros, so where none would be there is hardly one to find.
    """

    def sums(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(data.weight * values, data.starts)

    exposure = np.exp(data.offset)
    expected = sums(data.y) / sums(exposure * ~spell).clip(1e-300) * sums(exposure * spell)
    return bool((expected > -_log_rare(data.y)).any())


def _too_rare(rows: Rows, fit: MixedFit, spell: np.ndarray) -> np.ndarray:
    """Whether each pair's spell without works is too rare by the fit, shape (n_pairs,)."""
    base = np.exp(np.clip(rows.design @ fit.coef + rows.offset, -25, 25))
    alpha = max(fit.dispersion, 1e-9)
    level = fit.pair_effect
    for _ in range(LEVEL_STEPS):  # the pair's level by its other years, not by the spell itself
        mean = base * np.exp(level[rows.pair])
        weight = rows.weight * ~spell * mean / (1 + alpha * mean)
        score = np.add.reduceat(weight * (rows.y - mean) / mean, rows.starts)
        known = np.add.reduceat(weight, rows.starts) + 1 / fit.effect_variance
        level = level + np.clip((score - level / fit.effect_variance) / known, -1, 1)
    surprise = np.log1p(alpha * base * np.exp(level[rows.pair])) / alpha  # -log chance of no work
    surprise = np.add.reduceat(rows.weight * spell * surprise, rows.starts)
    # The level is known from `known` works, as it were: its exponential is nearly gamma distributed
    # of that shape, over which a Poisson chance averages to this. Of few works little is known.
    chance = -known * np.log1p(surprise / known)
    return np.asarray(chance < _log_rare(rows.y))


def _log_rare(y: np.ndarray) -> float:
    """Return the log of a spell's chance below which it is left out: it may begin in any row."""
    return float(np.log(RARE / len(y)))
