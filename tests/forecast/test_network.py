"""The network inputs: networkx, values worked by hand, and invariants."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlcoop.forecast.network import POSITIONS, network_inputs

N = 6
ENDS = np.array(list(itertools.combinations(range(N), 2)))


def graph(counts: np.ndarray) -> nx.Graph:
    found = nx.Graph()
    found.add_nodes_from(range(N))
    for (a, b), works in zip(ENDS, counts, strict=True):
        if works > 0:
            found.add_edge(int(a), int(b), weight=float(works))
    return found


def test_without_weights_works_through_third_countries_are_networkx_resource_allocation() -> None:
    """Reference: networkx.resource_allocation_index on a graph whose edges all weigh one."""
    counts = np.random.default_rng(1).integers(0, 2, len(ENDS)).astype(float)
    pairs = [(int(a), int(b)) for a, b in ENDS]
    expected = [v for _, _, v in nx.resource_allocation_index(graph(counts), pairs)]
    found = network_inputs(counts, ENDS, N)
    assert np.expm1(found["through_third"]).to_numpy() == pytest.approx(expected)
    assert found["below_third"].to_numpy() == pytest.approx(np.log1p(expected) - np.log1p(counts))


def test_centrality_is_networkx_eigenvector_centrality() -> None:
    """Reference: networkx.eigenvector_centrality_numpy, over its largest value."""
    counts = np.random.default_rng(2).integers(0, 50, len(ENDS)).astype(float)
    of = nx.eigenvector_centrality_numpy(graph(counts + 1), weight="weight")
    most = max(of.values())
    both = np.log(np.array([[of[int(a)], of[int(b)]] for a, b in ENDS]) / most)
    found = network_inputs(counts, ENDS, N)
    assert found["centrality_lower"].to_numpy() == pytest.approx(both.min(axis=1), abs=1e-4)
    assert found["centrality_higher"].to_numpy() == pytest.approx(both.max(axis=1), abs=1e-4)


def test_partners_in_common_and_likeness_by_hand() -> None:
    """Countries 0 and 1 work with 2 and 3 alone, 4 with 5."""
    counts = pd.Series(0.0, index=pd.MultiIndex.from_arrays(ENDS.T))
    counts.loc[[(0, 2), (0, 3), (1, 2), (1, 3)]] = [9.0, 1.0, 9.0, 1.0]
    counts.loc[(4, 5)] = 5.0
    found = network_inputs(counts.to_numpy(), ENDS, N).set_index(counts.index)
    # totals 10 and 10, of 2: 18, of 3: 2, all 50: 9 > 10 * 18 / 50 and 1 > 10 * 2 / 50
    assert found.loc[(0, 1), "partners_in_common"] == 2
    assert found.loc[(0, 4), "partners_in_common"] == 0
    # the same shares, 0.9 and 0.1, then nothing in common
    assert found.loc[(0, 1), "profile_likeness"] == pytest.approx(1.0)
    assert found.loc[(0, 4), "profile_likeness"] == 0
    # 2 passes on half of 0's nine works, 3 half of its one: 9 * 9 / 18 + 1 * 1 / 2
    assert np.expm1(found.loc[(0, 1), "through_third"]) == pytest.approx(5.0)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(float, len(ENDS), elements=st.floats(0, 1e6) | st.just(float("nan"))),
    st.permutations(range(N)),
)
def test_names_and_orientation_of_countries_do_not_matter(
    counts: np.ndarray, order: list[int]
) -> None:
    other = np.array(order)[ENDS][:, ::-1]
    one, two = network_inputs(counts, ENDS, N), network_inputs(counts, other, N)
    assert np.isfinite(one.to_numpy()).all()
    assert list(one) == [p.name for p in POSITIONS]
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-4)
