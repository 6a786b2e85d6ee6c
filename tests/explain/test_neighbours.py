"""Moran's I against its definition, and on gaps that run by place or not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlcoop.explain.pairs.neighbours import NEAREST, neighbours_alike
from mlcoop.sources.geography import kilometres_between
from mlcoop.stages.compute import warn_of_neighbours
from mlcoop.tables import group_members

PARTNERS = sorted(set(group_members("belt-and-road")) | set(group_members("africa")))[:40]


def table_of(gaps: np.ndarray, focal: str = "CHN") -> pd.DataFrame:
    """Return works that lie by `gaps` from 1,000 expected ones, half a work added to both."""
    ends = np.sort([[focal, p] for p in PARTNERS], axis=1)
    table = pd.DataFrame(ends, columns=["country_a", "country_b"])
    return table.assign(expected=1000.0, works=1000.5 * np.exp(gaps) - 0.5)


def test_morans_i_is_its_definition() -> None:
    """Moran 1950: n / sum(w) times sum w_ij z_i z_j over sum z_i^2, neighbours found one by one."""
    gaps = np.random.default_rng(0).normal(size=len(PARTNERS))
    far = kilometres_between(PARTNERS)
    z = gaps - gaps.mean()
    together = pulls = 0.0
    for i in range(len(z)):
        others = sorted((far[i, j], j) for j in range(len(z)) if j != i)
        for _, j in others[:NEAREST]:
            together += z[i] * z[j]
            pulls += 1
    found = neighbours_alike(table_of(gaps), seed=0)
    assert found is not None and found["partners"] == len(PARTNERS)
    assert found["moran"] == pytest.approx(len(z) / pulls * together / (z @ z))


def test_what_runs_by_place_is_told_and_what_does_not_is_told_seldom() -> None:
    """Planted: gaps that grow with the distance from South Africa; and gaps of chance."""
    where = kilometres_between([*PARTNERS, "ZAF"])[-1, :-1] / 1e3
    found = neighbours_alike(table_of(where), seed=0)
    assert found is not None and found["moran"] > 0.5 and found["p"] < 0.001
    assert "deviate alike" in warn_of_neighbours(found, 0.95)[0]
    rng = np.random.default_rng(1)
    p = [neighbours_alike(table_of(rng.normal(size=len(PARTNERS))), seed=0)["p"] for _ in range(60)]
    assert (
        np.mean(np.array(p) <= 0.05) <= 0.15
    )  # of 60 at 5 % more than 9 in one of 1,000 such tests
    assert 0.35 < np.mean(p) < 0.65


def test_gaps_that_are_all_the_same_do_not_lie_alike_by_place() -> None:
    """Invariant: what is the same everywhere, but for rounding, does not run by neighbourhood."""
    rounding = 1e-13 * np.arange(len(PARTNERS))
    for gaps in (np.zeros(len(PARTNERS)), np.full(len(PARTNERS), 0.7), rounding):
        assert neighbours_alike(table_of(gaps), seed=0) is None


def test_of_pairs_without_an_end_in_common_nothing_is_said() -> None:
    """By hand: pairs of two focal countries, few partners, and partners that are no countries."""
    table = table_of(np.zeros(len(PARTNERS)) + np.arange(len(PARTNERS)))
    mixed = pd.concat([table, table_of(np.ones(len(PARTNERS)), "USA")])
    labs = table.assign(country_a="CHN", country_b=[f"lab {k}" for k in range(len(table))])
    for other in (mixed, table.head(12), labs, table.head(0)):
        assert neighbours_alike(other, seed=0) is None
    assert warn_of_neighbours(None, 0.95) == []
