"""Positions of pairs in the network of all works: inputs of the forecast model alone.

They are made of the counts themselves, so the factor model, whose ranking is about what is
associated with collaboration rather than about collaboration, must not see them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlcoop.forecast.history import FloatArray


@dataclass(frozen=True)
class Web:
    """One year's network.

    Attributes
    ----------
    works : float array of shape (n_countries, n_countries)
        Symmetric, zero on the diagonal and where a pair was not observed.
    ends : int array of shape (n_pairs, 2)
    """

    works: FloatArray
    ends: NDArray[np.int64]

    def of_pairs(self, matrix: FloatArray) -> FloatArray:
        """Return a symmetric matrix over countries as one value a pair."""
        return matrix[self.ends[:, 0], self.ends[:, 1]]

    @cached_property
    def totals(self) -> FloatArray:
        """Works of each country with all others."""
        return self.works.sum(axis=1)

    @cached_property
    def passed(self) -> FloatArray:
        """Works that third countries pass on, each spread over all its partners in proportion."""
        return self.works @ (self.works / np.maximum(self.totals, 1)[:, None])

    @cached_property
    def centrality(self) -> FloatArray:
        """Log eigenvector centrality of each country, 0 for the most central."""
        # one work more for every two countries: of a network in parts no leading vector is unique
        _, vectors = np.linalg.eigh(self.works + 1 - np.eye(len(self.works)))
        leading = np.abs(vectors[:, -1])
        return np.log(leading / leading.max() + 1e-6)


@dataclass(frozen=True)
class Position:
    """One network input: what it is, and how it is computed from a year's network.

    The function gives one value a pair and is symmetric in the two countries.
    """

    name: str
    label: str
    unit: str
    definition: str
    reference: str
    function: Callable[[Web], FloatArray]


def through_third_countries(web: Web) -> FloatArray:
    """Return, in logs, the works that third countries would pass on from one to the other."""
    return np.log1p(web.of_pairs(web.passed))


def below_third_countries(web: Web) -> FloatArray:
    """Return the log ratio of what third countries pass on to the pair's own works."""
    return through_third_countries(web) - np.log1p(web.of_pairs(web.works))


def partners_in_common(web: Web) -> FloatArray:
    """Return the number of third countries that both work with more than sizes alone suggest."""
    expected = np.outer(web.totals, web.totals) / max(web.totals.sum(), 1)
    close = (web.works > expected).astype(float)
    return web.of_pairs(close @ close)


def profile_likeness(web: Web) -> FloatArray:
    """Return the affinity, 0 to 1, of how both spread their works over third countries."""
    roots = np.sqrt(web.works)
    elsewhere = web.totals[web.ends] - web.of_pairs(web.works)[:, None]
    return web.of_pairs(roots @ roots) / np.sqrt(np.maximum(elsewhere.prod(axis=1), 1))


def centrality_lower(web: Web) -> FloatArray:
    """Return the log eigenvector centrality of the less central of the two."""
    return web.centrality[web.ends].min(axis=1)


def centrality_higher(web: Web) -> FloatArray:
    """Return the log eigenvector centrality of the more central of the two."""
    return web.centrality[web.ends].max(axis=1)


ZHOU = "Zhou, Lü and Zhang (2009), doi:10.1140/epjb/e2009-00335-8"
ECK = "Van Eck and Waltman (2009), doi:10.1002/asi.21075"
BONACICH = "Bonacich (1987), doi:10.1086/228631"
POSITIONS = (
    Position(
        "through_third",
        "Works through third countries",
        "log(1 + works)",
        "Sum over third countries of the product of their works with both, over all their works: "
        "the resource allocation index of a weighted network.",
        ZHOU,
        through_third_countries,
    ),
    Position(
        "below_third",
        "Works through third countries over own works",
        "log ratio",
        "How far the pair's works lie below what third countries pass on.",
        ZHOU,
        below_third_countries,
    ),
    Position(
        "partners_in_common",
        "Partners in common",
        "countries",
        "Third countries with which the association strength of either is above one.",
        ECK,
        partners_in_common,
    ),
    Position(
        "profile_likeness",
        "Likeness of partner profiles",
        "0 to 1",
        "Bhattacharyya affinity of the shares of third countries in the works of either.",
        "Bhattacharyya (1943), Bulletin of the Calcutta Mathematical Society 35, 99-109",
        profile_likeness,
    ),
    Position(
        "centrality_lower",
        "Centrality, the lower of both",
        "log, 0 for the most central country",
        "Eigenvector centrality in the network weighted by works plus one.",
        BONACICH,
        centrality_lower,
    ),
    Position(
        "centrality_higher",
        "Centrality, the higher of both",
        "log, 0 for the most central country",
        "Eigenvector centrality in the network weighted by works plus one.",
        BONACICH,
        centrality_higher,
    ),
)


def network_inputs(counts: FloatArray, ends: NDArray[np.int64], n_countries: int) -> pd.DataFrame:
    """Return the network inputs of one year, a row per pair, columns by name of the position.

    Parameters
    ----------
    counts : float array of shape (n_pairs,)
        Works of that year; NaN counts as none.
    ends : int array of shape (n_pairs, 2)
        Positions of both countries.
    """
    works = np.zeros((n_countries, n_countries))
    works[ends[:, 0], ends[:, 1]] = works[ends[:, 1], ends[:, 0]] = np.nan_to_num(counts)
    web = Web(works, ends)
    return pd.DataFrame({p.name: p.function(web) for p in POSITIONS})
