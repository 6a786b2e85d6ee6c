"""Rows drawn for a fit: as many as wanted, standing for all, and saying more than an even draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcoop.model.learners import LEARNERS
from mlcoop.model.training import MANY_PAIRS, draw_rows


def skewed(seed: int, pairs: int, years: int = 6):
    """Counts of pairs whose sizes differ as those of the world do: by powers of ten."""
    rng = np.random.default_rng(seed)
    name = np.repeat([f"A|B{k:04d}" for k in range(pairs)], years)
    x = np.repeat(rng.normal(size=pairs), years) + 0.3 * rng.normal(size=len(name))
    z = rng.normal(size=len(name))
    size = np.repeat(rng.normal(1.0, 2.0, size=pairs), years)
    y = rng.poisson(np.exp(size + 0.5 * x - 0.3 * z)).astype(float)
    return pd.DataFrame({"size": size, "x": x, "z": z}), y, name


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    pairs=st.sampled_from([40, MANY_PAIRS, MANY_PAIRS + 300]),
    share=st.floats(0.01, 0.99),
)
def test_as_many_rows_as_wanted_once_each_with_the_same_mean_weight(seed, pairs, share):
    _, y, name = skewed(seed, pairs)
    weight = np.random.default_rng(seed).uniform(0.2, 2, len(y))
    most = max(int(share * len(y)), 1)
    chosen, drawn = draw_rows(y, weight, name, most, seed)
    assert len(chosen) == len(drawn) == most
    assert (np.diff(chosen) > 0).all() and (drawn > 0).all()
    if pairs >= MANY_PAIRS:
        np.testing.assert_allclose(drawn.mean(), weight.mean())


def test_fewer_rows_than_wanted_are_all_taken():
    _, y, name = skewed(0, 600)
    weight = np.full(len(y), 0.5)
    chosen, drawn = draw_rows(y, weight, name, len(y), 0)
    np.testing.assert_array_equal(chosen, np.arange(len(y)))
    np.testing.assert_array_equal(drawn, weight)


def test_drawn_rows_stand_for_all():
    """Truth: the mean over all rows, within the spread of 400 draws (a ratio of two totals)."""
    X, y, name = skewed(1, 800)
    weight = np.ones(len(y))
    found = []
    for seed in range(400):
        chosen, drawn = draw_rows(y, weight, name, 700, seed)
        found.append([np.average(v[chosen], weights=drawn) for v in (y, X["x"].to_numpy())])
    for column, truth in zip(np.array(found).T, (y.mean(), X["x"].mean()), strict=True):
        assert abs(column.mean() - truth) < 4 * column.std(ddof=1) / 20


def test_a_second_draw_from_drawn_rows_stands_for_all_too():
    """Filling gaps draws first, the learner then draws fewer: the same truth as above."""
    _, y, name = skewed(2, 800)
    found = []
    for seed in range(400):
        first, weight = draw_rows(y, np.ones(len(y)), name, 1500, seed)
        second, weight = draw_rows(y[first], weight, name[first], 500, seed + 1)
        found.append(np.average(y[first][second], weights=weight))
    assert abs(np.mean(found) - y.mean()) < 4 * np.std(found, ddof=1) / 20


def test_a_fit_on_rows_drawn_by_size_is_nearer_to_that_on_all():
    """Peer: the fit on all rows, at which an even draw of as many rows aims no better.

    Neyman's allocation leaves E(sqrt(m))^2 / E(m) of the squared distance, about 0.35 for these
    sizes; twelve draws tell that from 0.7.
    """
    X, y, name = skewed(3, 1000)
    entry = LEARNERS["ppml"]

    def margin(seed: int, rows: np.ndarray, most: int) -> np.ndarray:
        params = {**entry.defaults, "most_rows": most}
        return entry.make(params, seed).fit(X.iloc[rows], y[rows], pairs=name[rows]).margin(X)

    everything = np.arange(len(y))
    whole = margin(0, everything, len(y))
    rng = np.random.default_rng(0)
    by_size, even = 0.0, 0.0
    for seed in range(12):
        by_size += (np.exp(whole) * (margin(seed, everything, 600) - whole) ** 2).sum()
        some = np.sort(rng.choice(len(y), 600, replace=False))
        even += (np.exp(whole) * (margin(seed, some, 600) - whole) ** 2).sum()
    assert by_size < 0.7 * even
