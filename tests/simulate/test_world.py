"""Planted worlds: the truth they state is the truth they were drawn with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import ConfigError
from mlcoop.simulate.recipes import RECIPES, Recipe
from mlcoop.simulate.world import _product_shares, plant_world, simulate_world


@pytest.mark.parametrize("kind", RECIPES)
def test_truth_is_the_mean_absolute_centred_effect(kind):
    """Definition, recomputed from the effects that the world hands out."""
    world = simulate_world(kind, seed=4)
    truth = world.truth.set_index("factor")["importance"]
    by_hand = (world.effects - world.effects.mean()).abs().mean()
    np.testing.assert_allclose(by_hand[truth.index], truth, atol=1e-12)
    assert truth.is_monotonic_decreasing
    assert world.truth["driver"].sum() == RECIPES[kind].drivers
    assert not world.panel.duplicated(["i", "j", "year"]).any()
    assert (world.panel["y"] >= 0).all() and (world.panel["exposure"] > 0).all()


def test_counts_follow_the_planted_mean():
    """Closed form: without noise the count over its expectation has mean 1 and variance 1 / mu."""
    world = simulate_world("linear", seed=2, pair_noise=0.0, dispersion=0.0, mean_works=200.0)
    mean = 200.0 * world.panel["exposure"] * np.exp(world.effects.sum(axis=1))
    z = (world.panel["y"] - mean) / np.sqrt(mean)
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert abs(z.var() - 1) < 0.25  # 5 standard errors of a variance over 826 rows


def test_worlds_are_neither_trivial_nor_hopeless():
    """The largest driver alone explains some of the log rate, never most of it."""
    shares = []
    for seed in range(5):
        world = simulate_world("linear", seed=seed)
        rate = np.log((world.panel["y"] + 0.5) / world.panel["exposure"])
        top = world.truth["factor"].iloc[0]
        shares.append(np.corrcoef(rate, world.panel[top])[0, 1] ** 2)
    assert 0.05 < np.mean(shares) < 0.8


def test_seed_repeats_a_world_and_moves_it():
    first, again, other = (simulate_world("mixed", seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first.panel, again.panel)
    assert not first.panel["y"].equals(other.panel["y"])


def test_twins_are_collinear_with_their_drivers():
    """Construction: a null twin has correlation 0.9 with a driver."""
    world = simulate_world("collinear", seed=3)
    truth = world.truth.set_index("factor")
    r = world.panel[list(world.factors)].corr().abs()
    drivers, nulls = truth.index[truth["driver"]], truth.index[~truth["driver"]]
    twins = r.loc[nulls, drivers].max(axis=1).sort_values().iloc[-3:]
    assert twins.between(0.75, 0.98).all()


def test_product_shares_add_up_and_are_centred():
    """Closed form: shares of a product add to the product less its mean."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500)) + 0.3
    first, second = _product_shares(a, b)
    np.testing.assert_allclose(first + second, a * b - (a * b).mean(), atol=1e-12)


def test_counts_over_covariates_of_ones_own():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"i": "A", "j": [f"B{k}" for k in range(30)], "year": 2000})
    table["near"], table["idle"] = rng.normal(size=(2, 30))
    world = plant_world(table, Recipe("own"), kind="own", seed=1, drivers=["near"])
    assert world.truth["factor"].tolist() == ["near", "idle"]
    assert world.truth["driver"].tolist() == [True, False]


def test_the_drivers_asked_for_matter_in_the_order_asked_for():
    asked = ["population", "distance", "pair_04"]
    world = simulate_world("linear", seed=6, chosen=asked)
    assert world.truth["factor"].tolist()[:3] == asked
    assert world.truth["driver"].sum() == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "square"}, "unknown kind"),
        ({"kind": "treshold"}, 'Did you mean "threshold"'),
        ({"par_noise": 3}, 'par_noise: unknown setting. Did you mean "pair_noise"'),
        ({"pair_noise": 9}, r"pair_noise: input should be less than or equal to 3 \(got 9\)"),
        ({"shapes": "linear,curvy"}, "shapes: input should be .* \\(got 'curvy'\\)"),
        ({"drivers": 20}, "drivers: 20 of 15 factors"),
        ({"smallest": 0.9}, "smallest: 0.9 lies above largest"),
        ({"pairs": 900}, "pairs: 900 are more than the .* there are; set countries"),
        ({"collinear": 0.9}, "collinear: 0.9 with 0 twins changes nothing"),
        ({"twins": 3}, "collinear: 0 with 3 twins changes nothing"),
        ({"countries": 2}, "countries: all pairs of 2 are too few"),
        ({"chosen": ["distance", "distance"]}, "'distance' stands twice"),
        ({"chosen": ["distence"]}, 'no factor .distence. .* Did you mean "distance"'),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        simulate_world(**{"kind": "linear", "seed": 0, **settings})


def test_figures_left_out_of_logs_are_the_same_world_as_they_are():
    logs, plain = (simulate_world("unlogged", seed=5, logged=on) for on in (True, False))
    pd.testing.assert_frame_equal(logs.truth, plain.truth)
    moved = [n for n in logs.factors if not logs.panel[n].equals(plain.panel[n])]
    assert {"distance", "population", "gdp"} <= set(moved) and "rule_of_law" not in moved
    np.testing.assert_allclose(np.exp(logs.panel[moved]), plain.panel[moved])
    pd.testing.assert_frame_equal(logs.panel.drop(columns=moved), plain.panel.drop(columns=moved))
    assert plain.panel["gdp"].skew() > 2 > logs.panel["gdp"].skew()


def test_regional_noise_is_that_of_countries_and_shared_by_neighbours():
    """Planted: nothing else lifts a pair; levels of large counts over 200 draws."""
    table = pd.DataFrame({"i": "CHN", "j": ["FRA", "BEL", "NZL"], "year": 2010, "f": [0.0, 1, 2]})
    recipe = Recipe("", drivers=0, pair_noise=0, dispersion=0, mean_works=1e5, regional_noise=0.5)
    panels = [plant_world(table, recipe, kind="x", seed=s).panel for s in range(200)]
    levels = np.array([np.log(p["y"] / p["exposure"]) for p in panels])
    levels -= np.log(1e5)
    alike = np.corrcoef(levels[:, 0] - levels[:, 2], levels[:, 1] - levels[:, 2])[0, 1]
    assert alike > 0.95  # but for counting, near ones are as far from New Zealand
    assert np.std(levels[:, 0] - levels[:, 2]) == pytest.approx(0.5 * np.sqrt(2), rel=0.15)
