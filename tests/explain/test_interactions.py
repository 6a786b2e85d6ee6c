"""Interactions: values against their definition, and the planted pair against all others."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest

from mlcoop.explain.interactions import by_factor, interaction_table
from mlcoop.explain.ranking import rank_factors
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.model import linear_boosting
from mlcoop.model.learners import LEARNERS
from mlcoop.simulate.world import simulate_world


def by_definition(predict, x, background, a, b):
    """Shapley interaction index: the joint gain of a and b, averaged over all coalitions."""
    n = x.shape[1]
    rest = [k for k in range(n) if k not in (a, b)]

    def value(row, coalition):
        mixed = background.copy()
        mixed[:, list(coalition)] = row[list(coalition)]
        return predict(mixed).mean()

    found = np.zeros(len(x))
    for r, row in enumerate(x):
        for size in range(n - 1):
            weight = factorial(size) * factorial(n - size - 2) / factorial(n - 1)
            for s in combinations(rest, size):
                found[r] += weight * (
                    value(row, (*s, a, b))
                    - value(row, (*s, a))
                    - value(row, (*s, b))
                    + value(row, s)
                )
    return found


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("boosted", [False, True])
def test_values_equal_their_definition(name, boosted, monkeypatch):
    """Truth: the index of Grabisch and Roubens (1999), enumerated over 4 features."""
    if boosted:
        monkeypatch.setattr(linear_boosting, "FEWEST_PAIRS_TO_BOOST", 10)
    rng = np.random.default_rng(3)
    x = pd.DataFrame(rng.normal(size=(400, 4)), columns=list("abcd"))
    y = rng.poisson(20 * np.exp(0.5 * x["a"] * x["b"] + 0.3 * x["c"]))
    pair = np.repeat([f"A|{k:02d}" for k in range(40)], 10)
    params = LEARNERS[name].defaults | ({"trees": 30} if "trees" in LEARNERS[name].defaults else {})
    model = LEARNERS[name].make(params, 0).fit(x, y, pairs=pair)
    few, background = x.iloc[:4], x.iloc[50:80]
    pairs, values = model.interactions(few, background)
    assert values.shape == (4, len(pairs))
    summed = by_factor(values, pairs, np.arange(4))
    for a, b in combinations(range(4), 2):
        truth = by_definition(
            lambda v: model.margin(pd.DataFrame(v, columns=x.columns)),
            few.to_numpy(),
            background.to_numpy(),
            a,
            b,
        )
        np.testing.assert_allclose(summed.get((a, b), np.zeros(4)), truth, atol=2e-5)
    if name == "poisson_boosting" or (name == "linear_boosting" and not boosted):
        assert np.abs(summed[0, 1]).mean() > 0.005


def test_planted_products_are_found_and_no_others():
    """Planted truth: two products of drivers, among 105 pairs of factors. (Of spread factors: a
    product with a language that three pairs share can hardly be told from their own effects.)"""
    world = simulate_world("interaction", seed=501)
    matrix = matrix_from_ready_panel(
        world.panel, pair=["i", "j"], year="year", target="y", factors=list(world.factors),
        exposure="exposure",
    )  # fmt: skip
    table = rank_factors(matrix, "linear_boosting", resamples=40, seed=1).interactions
    planted = {
        frozenset((row.factor, row.shape.split(" x ")[1]))
        for row in world.truth.itertuples()
        if " x " in row.shape
    }
    told = table[table["told"]]
    assert {frozenset(p) for p in told[["factor", "other"]].to_numpy()} == planted
    assert (table["low"] <= table["strength"]).all() and (table["strength"] <= table["high"]).all()


def test_noise_is_told_as_none():
    """Stated rate: values that are one more draw of the replicates' noise; 20 tables at 5 %."""
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(20):
        shape = rng.normal(size=(50, 6))
        draws = rng.normal(size=(61, 1, 6)) * shape
        table = interaction_table(
            list("abcd"), list(combinations(range(4), 2)), draws[0], draws[1:],
            tried=6, total=1.0, freedom=60, level=0.95,
        )  # fmt: skip
        told += bool(table["told"].any())
    assert told <= 4  # P(more) < 1 % at a rate of 5 %


def test_no_pair_gives_an_empty_table():
    table = interaction_table(
        ["a"], [], np.empty((5, 0)), np.empty((3, 5, 0)), tried=0, total=1.0, freedom=9, level=0.95
    )
    assert table.empty and "told" in table
