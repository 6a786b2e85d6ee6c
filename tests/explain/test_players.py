"""Groups as players, against brute force over all orders and against shap's exact explainer."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from worlds import wide_matrix

from mlcoop.explain.defence.players import drop_groups, group_players, group_shapley
from mlcoop.features.build import Feature, FeatureMatrix
from mlcoop.model.learners import LEARNERS

RNG = np.random.default_rng(0)
X, BACKGROUND = RNG.normal(size=(4, 6)), RNG.normal(size=(5, 6))
PLAYERS = [[0, 1], [2], [3, 5], [4]]


def margin(table: np.ndarray) -> np.ndarray:
    """A model with products of two and of three features, within and between the groups."""
    return (
        table[:, 0] * table[:, 1]
        + 2 * table[:, 2]
        + table[:, 0] * table[:, 2] * table[:, 3]
        - np.tanh(table[:, 4]) * table[:, 5]
    )


def brute_force() -> np.ndarray:
    """Mean over all orders of what each player adds, over all background rows."""
    values = np.zeros((len(X), len(PLAYERS)))
    orders = list(permutations(range(len(PLAYERS))))
    for order in orders:
        for row in range(len(X)):
            for other in BACKGROUND:
                table = other.copy()
                before = margin(table[None])[0]
                for player in order:
                    table[PLAYERS[player]] = X[row, PLAYERS[player]]
                    after = margin(table[None])[0]
                    values[row, player] += after - before
                    before = after
    return values / len(orders) / len(BACKGROUND)


def test_all_coalitions_give_the_brute_force_value():
    values, error = group_shapley(margin, X, BACKGROUND, PLAYERS)
    assert values == pytest.approx(brute_force(), abs=1e-10)
    assert not error.any()
    gap = margin(X) - margin(BACKGROUND).mean()
    assert values.sum(axis=1) == pytest.approx(gap, abs=1e-10)


def test_drawn_orders_lie_within_their_error():
    """Invariant: of 16 values nearly all lie within four standard errors of the exact ones."""
    values, error = group_shapley(margin, X, BACKGROUND, PLAYERS, most_exact=2, draws=400, seed=1)
    assert (error > 0).any()
    assert (np.abs(values - brute_force()) <= 4 * error + 1e-9).mean() > 0.9
    # orders in pairs with their reverse still add up in expectation only: one background row each
    exact = brute_force()
    assert np.abs(values - exact).mean() < 0.1 * np.abs(exact).mean() + 0.1


def test_single_features_are_shaps_exact_values():
    """shap's exact explainer over the same background (any version with explainers.Exact)."""
    import shap

    explainer = shap.explainers.Exact(margin, shap.maskers.Independent(BACKGROUND, max_samples=5))
    other = explainer(X).values
    values, _ = group_shapley(margin, X, BACKGROUND, [[k] for k in range(6)])
    assert values == pytest.approx(other, abs=1e-8)


def test_without_products_of_three_a_player_is_the_sum_of_its_members():
    """Closed form: a product of two gives half to each side, whether these are groups or not."""

    def two(table: np.ndarray) -> np.ndarray:
        return table[:, 0] * table[:, 1] + table[:, 1] * table[:, 4] - table[:, 3]

    one, _ = group_shapley(two, X, BACKGROUND, PLAYERS)
    single, _ = group_shapley(two, X, BACKGROUND, [[k] for k in range(6)])
    sums = np.column_stack([single[:, p].sum(axis=1) for p in PLAYERS])
    assert one == pytest.approx(sums, abs=1e-10)


def test_drawn_orders_find_no_interaction_where_there_is_none():
    """Closed form: an order and its reverse halve a product of two, so any drawing is exact."""

    def two(table: np.ndarray) -> np.ndarray:
        return table[:, 0] * table[:, 1] + table[:, 1] * table[:, 4] - table[:, 3]

    exact, _ = group_shapley(two, X, BACKGROUND, PLAYERS)
    drawn, error = group_shapley(two, X, BACKGROUND, PLAYERS, most_exact=2, draws=10, seed=3)
    assert drawn == pytest.approx(exact, abs=1e-10)
    assert error == pytest.approx(np.zeros_like(error), abs=1e-7)


def test_members_that_offset_each_other_are_shown_as_cancelled():
    """Hand case: effects x0 - x1 with x1 = x0 exactly cancel; a lone group does not."""
    matrix = wide_matrix([0.4, 0.2, 0.3, 0.0], countries=8)
    matrix.X["x1"] = matrix.X["x0"]

    class Linear:
        def margin(self, table):
            return table["x0"].to_numpy() - table["x1"].to_numpy() + 0.5 * table["x2"].to_numpy()

        def shap_values(self, rows, background):
            return (rows - background.mean()) * np.array([1.0, -1.0, 0.5, 0.0]), 0.0

    explained = SimpleNamespace(
        rows=np.arange(40), estimators=(Linear(),), fold_of_row=np.zeros(40, dtype=int)
    )
    table = group_players(matrix, explained, {"g0": [0, 1], "g1": [2, 3]}, seed=0)
    assert table.loc["g0", "as_one"] == pytest.approx(0, abs=1e-12)
    assert table.loc["g0", "cancelled"] == pytest.approx(1)
    assert table.loc["g1", "cancelled"] == pytest.approx(0, abs=1e-9)
    assert table["interaction"].iloc[1] == pytest.approx(0, abs=1e-9)


def test_the_error_of_drawing_is_how_far_other_draws_lie():
    """Truth: 150 other draws (6 %), of each row and of the mean over rows, which err by themselves:
    by orders that all rows share the mean over these ten, much alike, erred three times as far."""

    def three(table: np.ndarray) -> np.ndarray:
        return table[:, 0] * table[:, 2] * table[:, 4] + table[:, 3]

    rng = np.random.default_rng(4)
    rows, around = rng.normal(2, 0.1, size=(10, 6)), rng.normal(0, 0.1, size=(5, 6))
    drawn = [
        group_shapley(three, rows, around, PLAYERS, most_exact=2, draws=30, seed=seed)
        for seed in range(150)
    ]
    values, error = (np.array(part) for part in zip(*drawn, strict=True))
    own = values.std(axis=0, ddof=1)[:, [0, 1, 3]].mean(axis=0)
    assert own == pytest.approx(np.sqrt((error**2).mean(axis=(0, 1)))[[0, 1, 3]], rel=0.1)
    mean = values.mean(axis=1).std(axis=0, ddof=1)
    stated = np.sqrt((error**2).sum(axis=1).mean(axis=0)) / len(rows)
    assert mean == pytest.approx(stated, rel=0.25, abs=1e-6)


def test_shares_of_what_members_do_together_have_no_unit():
    """Invariant: a model of ten times the size says the same of cancelling and interaction."""
    x = pd.DataFrame(np.random.default_rng(4).normal(2, 1, size=(8, 3)))

    class Product:
        def __init__(self, size):
            self.size = size

        def margin(self, table):
            return self.size * np.asarray(table).prod(axis=1)

        def shap_values(self, rows, background):
            values, _ = group_shapley(self.margin, rows.to_numpy(), background.to_numpy(), alone)
            return pd.DataFrame(values), 0.0

    alone = [[0], [1], [2]]

    def shares(size):
        explained = SimpleNamespace(
            rows=np.arange(8), estimators=(Product(size),), fold_of_row=np.zeros(8, dtype=int)
        )
        table = group_players(SimpleNamespace(X=x), explained, {"a": [0, 1], "b": [2]}, seed=0)
        return table[["cancelled", "interaction"]].to_numpy()

    assert shares(1.0) == pytest.approx(shares(10.0)) and (shares(1.0)[:, 1] > 0.05).all()


def test_what_is_lost_is_of_unseen_pairs_at_the_level_of_the_others():
    """By construction: a learner that remembers rows, and says the mean of works elsewhere."""
    matrix = wide_matrix([0.8, 0.0, 0.0, 0.0], countries=12)
    weight = np.random.default_rng(0).uniform(0.2, 2, len(matrix.rows))
    rows = matrix.rows.assign(in_focus=True, weight=weight)

    class Memory:
        def fit(self, X, y, *, exposure, weight, **_):
            self.rate = (weight * y).sum() / (weight * exposure).sum()
            self.seen = {tuple(row): v for row, v in zip(X.to_numpy(), y, strict=True)}
            return self

        def predict(self, X, *, exposure):
            at = enumerate(X.to_numpy())
            return np.array([self.seen.get(tuple(r), self.rate * exposure[k]) for k, r in at])

    learner = SimpleNamespace(make=lambda params, seed: Memory())
    wide = FeatureMatrix(rows, matrix.X, matrix.features, matrix.focal)
    for groups in ({"g0": [0, 1], "g1": [2, 3]}, {"all": [0, 1, 2, 3]}):
        table = drop_groups(wide, {"m": (learner, {})}, groups, seed=0, workers=1)
        assert table.to_numpy() == pytest.approx(0, abs=1e-9)


def test_what_is_lost_without_a_group_is_what_it_alone_knew():
    """Planted truth: slopes 0.8 in the first group, none in the second; 16 focus pairs."""
    matrix = wide_matrix([0.8, 0.0, 0.0, 0.0], countries=17)
    ppml = LEARNERS["ppml"]
    groups = {"g0": [0, 1], "g1": [2, 3]}
    table = drop_groups(matrix, {"ppml": (ppml, ppml.defaults)}, groups, seed=0, workers=1)
    assert table.loc["g0", "ppml_lost"] > 0.4
    assert abs(table.loc["g1", "ppml_lost"]) < 0.05
    assert (table["ppml_all"] == table["ppml_all"].iloc[0]).all()


def test_a_group_is_left_out_for_the_end_that_it_is_of():
    """Planted truth: works go with both ends' size; the focal country's is the mean of all.

    So nothing is lost without its group, and without the partners' all that differs between pairs.
    """
    rng = np.random.default_rng(0)
    names = [f"C{k:02d}" for k in range(20)]
    size = dict(zip(names, [0.0, *rng.normal(size=19)], strict=True))
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    works = [rng.poisson(np.exp(3 + 0.8 * (size[a] + size[b]))) for a, b in pairs]
    rows = pd.DataFrame(pairs, columns=["country_a", "country_b"]).assign(
        works=np.array(works, float), year=2001, exposure=1.0, weight=0.5
    )
    rows["in_focus"] = rows["country_a"] == "C00"
    there = rows.assign(focal=rows["country_a"], partner=rows["country_b"])
    back = rows.assign(focal=rows["country_b"], partner=rows["country_a"])
    both = pd.concat([there, back], ignore_index=True)
    roles = ("focal", "partner")
    matrix = FeatureMatrix(
        both,
        pd.DataFrame({role: both[role].map(size) for role in roles}),
        tuple(Feature(role, role, role, f"size_{role}", role) for role in roles),
        "C00",
    )
    ppml = LEARNERS["ppml"]
    groups = {"size_focal": [0], "size_partner": [1]}
    table = drop_groups(matrix, {"ppml": (ppml, ppml.defaults)}, groups, seed=0, workers=1)
    assert abs(table.loc["size_focal", "ppml_lost"]) < 0.1
    assert table.loc["size_partner", "ppml_lost"] > 0.8
