"""The whole ranking on planted worlds, and its invariants."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import ConfigError, DataError
from mlcoop.explain.crossfit import (
    cross_validated_deviance,
    fold_scores,
    pair_names,
    split_pairs,
)
from mlcoop.explain.judge import judge
from mlcoop.explain.ranking import rank_factors
from mlcoop.explain.replicates import choose_unit
from mlcoop.features.build import Feature, FeatureMatrix
from mlcoop.features.factor import DIMENSION_OF, base_of
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.model.basis import LOGS
from mlcoop.model.imputation import imputing
from mlcoop.model.learners import LEARNERS
from mlcoop.schema import DIMENSIONS_CSV, FACTORS_CSV, GROUPS_CSV
from mlcoop.simulate.world import simulate_world

QUICK = {"resamples": 40}


def matrix_of(world):
    panel = world.panel
    ends = np.sort(panel[["i", "j"]].to_numpy(str), axis=1)
    rows = pd.DataFrame({"focal": panel["i"], "partner": panel["j"]})
    rows["country_a"], rows["country_b"] = ends[:, 0], ends[:, 1]
    rows["year"], rows["works"], rows["exposure"] = panel["year"], panel["y"], panel["exposure"]
    rows["weight"], rows["in_focus"] = 1.0, True
    features = tuple(Feature(f, f, f, f.split("_")[0], "pair") for f in world.factors)
    return FeatureMatrix(rows, panel[list(world.factors)].astype(float), features)


@pytest.fixture(scope="module")
def world():
    return simulate_world("linear", seed=11, factors=8, drivers=4, pairs=60, years=8)


@pytest.fixture(scope="module")
def ranking(world):
    return rank_factors(matrix_of(world), "linear_boosting", seed=1, **QUICK)


def test_tables_have_the_columns_of_the_contract(ranking):
    assert list(ranking.factors.columns[: len(FACTORS_CSV)]) == FACTORS_CSV
    assert list(ranking.groups.columns[: len(GROUPS_CSV)]) == GROUPS_CSV
    assert sorted(ranking.factors["rank"]) == list(range(1, len(ranking.factors) + 1))
    assert ranking.factors["share"].sum() == pytest.approx(1)


def test_pairs_without_works_hardly_count_and_are_named(world):
    """Eight of sixty pairs have none: the ranking's order is that of the other pairs alone.

    They are named as their owner does, also where the names hold what stands between ends here.
    """
    matrix = matrix_of(world)
    none = np.isin(pair_names(matrix.rows), np.unique(pair_names(matrix.rows))[3:60:7][:8])
    ends = matrix.rows[["country_a", "country_b"]].astype(str) + "|x"
    works = matrix.rows["works"].where(~none, 0.0)
    emptied = dataclasses.replace(matrix, rows=matrix.rows.assign(works=works, **ends))
    learner = imputing(LEARNERS["linear_boosting"])  # as studies have it
    found = rank_factors(emptied, learner, seed=1, resamples=20)
    assert set(map(tuple, found.notes["apart"])) == set(map(tuple, ends[none].to_numpy()))
    others = FeatureMatrix(matrix.rows[~none], matrix.X[~none], matrix.features)
    other = rank_factors(others, "linear_boosting", seed=1, resamples=20)
    with_them, without = (r.factors.set_index("factor").sort_index() for r in (found, other))
    apart = (with_them["importance"] - without["importance"]).abs()
    assert (apart < 1.5 * without["importance_se"]).all()
    assert (with_them["above_null"] == without["above_null"]).all()


def test_spells_without_works_are_named_and_do_not_count(world):
    """Ten of sixty pairs stop in the fifth year: ranked as if those years were not there."""
    matrix = matrix_of(world)
    rows = matrix.rows
    gone = (
        np.isin(pair_names(rows), np.unique(pair_names(rows))[3:60:6])
        & (rows["year"] >= rows["year"].min() + 4).to_numpy()
    )
    stopped = dataclasses.replace(matrix, rows=rows.assign(works=rows["works"].where(~gone, 0.0)))
    learner = imputing(LEARNERS["linear_boosting"])  # as studies have it
    found = rank_factors(stopped, learner, seed=1, resamples=20)
    spells = {("|".join(s["pair"]), year) for s in found.notes["spells"] for year in s["years"]}
    assert spells == set(zip(pair_names(rows)[gone], rows["year"][gone].tolist(), strict=True))
    assert not found.notes["apart"]
    others = FeatureMatrix(rows[~gone], matrix.X[~gone], matrix.features)
    other = rank_factors(others, "linear_boosting", seed=1, resamples=20)
    with_them, without = (r.factors.set_index("factor").sort_index() for r in (found, other))
    moved = (with_them["importance"] - without["importance"]).abs()
    assert (moved < without["importance_se"]).all()
    assert (with_them["above_null"] == without["above_null"]).all()


def test_a_dimension_is_the_sum_of_its_groups(world, ranking):
    """By hand: mean size of the sum of its columns' values; of a user's own groups none."""
    assert not len(ranking.dimensions)
    plain = matrix_of(world)
    of = ["proximity", "culture_language", "technology_supply", "research_strength_focal"]
    named = zip(plain.features, 2 * of, strict=True)
    features = [dataclasses.replace(f, group=g) for f, g in named]
    matrix = dataclasses.replace(plain, features=tuple(features))
    found = rank_factors(matrix, "ppml", seed=1, resamples=20)
    table = found.dimensions.set_index("dimension")
    assert list(found.dimensions.columns[: len(DIMENSIONS_CSV)]) == DIMENSIONS_CSV
    values = found.explained.values
    expected = {
        "external_environment": [0, 1, 4, 5],
        "market_environment": [2, 6],
        "research_strength": [3, 7],
    }
    for name, columns in expected.items():
        whole = np.abs(values[:, columns].sum(axis=1)).mean()
        assert table.loc[name, "importance"] == pytest.approx(whole)
    assert table["share"].sum() == pytest.approx(1) and sorted(table["rank"]) == [1, 2, 3]
    dimension = found.groups["group"].map(base_of).map(DIMENSION_OF)
    least = found.groups.groupby(dimension)["null_p"].agg(lambda p: min(1, 2 * len(p) * p.min()))
    assert (table["null_p"] <= least[table.index] + 1e-12).all()
    drawn = found.replicates[found.replicates["kind"] == "dimension"]
    assert set(drawn["name"]) == set(expected) and len(drawn) == 3 * 20
    own = tuple(dataclasses.replace(f, own=True) for f in features[:2])
    assert not len(rank_factors(_few(matrix, own), "ppml", seed=1, resamples=20).dimensions)


def _few(matrix, features):
    return FeatureMatrix(matrix.rows, matrix.X[[f.name for f in features]], features)


def test_planted_drivers_come_first_with_their_sign(world, ranking):
    """Planted truth: four drivers of 0.6 to 0.08; signs from the slope of the true effect."""
    truth = world.truth.set_index("factor")
    table = ranking.factors.set_index("factor")
    assert table.index[0] == truth.index[0]
    top = truth.index[:2]
    assert table.loc[top, "above_null"].all()
    for factor in top:
        slope = np.polyfit(world.panel[factor], world.effects[factor], 1)[0]
        assert table.loc[factor, "direction"] == ("+" if slope > 0 else "-")
        low, high = np.quantile(world.panel[factor], [0.1, 0.9])
        if low == high:  # a rare tie goes from its least to its largest
            low, high = world.panel[factor].min(), world.panel[factor].max()
        true = 100 * np.expm1(slope * (high - low))
        row = table.loc[factor]
        width = row["effect_high"] - row["effect_low"]
        assert row["effect_low"] - width / 2 < true < row["effect_high"] + width / 2


def test_no_wrong_claim_in_a_few_worlds():
    """Stated rate, 95 % of worlds without a wrong order: of 4, at most 1 may have one."""
    wrong = 0
    for seed in range(4):
        world = simulate_world("noisy", seed=seed, factors=8, drivers=4, years=6)
        found = rank_factors(matrix_of(world), "linear_boosting", seed=seed, **QUICK)
        truth = world.truth.set_index("factor")["importance"]
        claims = found.at_once.loc[truth.index, truth.index].to_numpy()
        wrong += bool((claims & (truth.to_numpy()[:, None] <= truth.to_numpy()[None])).any())
    assert wrong <= 1


def test_nothing_is_claimed_where_nothing_matters():
    """Planted truth: no driver; of 3 worlds at most 1 may hold a claim (rate 5 %)."""
    claims = 0
    for seed in range(3):
        world = simulate_world("null", seed=seed, factors=8, years=6)
        found = rank_factors(matrix_of(world), "linear_boosting", seed=seed, **QUICK)
        claims += bool(found.told.to_numpy().any())
    assert claims <= 1


def test_seed_repeats_and_workers_change_nothing(world, ranking):
    again = rank_factors(matrix_of(world), "linear_boosting", seed=1, workers=2, **QUICK)
    pd.testing.assert_frame_equal(ranking.factors, again.factors)
    pd.testing.assert_frame_equal(ranking.replicates, again.replicates)


def test_groups_add_their_members_row_by_row(ranking):
    """Triangle inequality: a group's importance is at most the sum of its members'."""
    members = ranking.factors.groupby("group")["importance"].sum()
    groups = ranking.groups.set_index("group")["importance"]
    assert (groups <= members[groups.index] + 1e-9).all()


@pytest.mark.parametrize("learner", ["ppml", "poisson_boosting"])
def test_every_learner_can_be_ranked(world, learner):
    params = {"trees": 30, "depth": 2} if learner == "poisson_boosting" else {}
    found = rank_factors(matrix_of(world), learner, params, resamples=20)
    assert found.factors["factor"].iloc[0] in set(world.truth["factor"].iloc[:3])


def test_pairs_stay_whole_across_folds():
    pairs = np.repeat([f"A|B{k}" for k in range(11)], 3)
    fold = split_pairs(pairs, 5, 0)
    assert (pd.Series(fold).groupby(pairs).nunique() == 1).all()
    with pytest.raises(DataError, match="cannot make"):
        split_pairs(pairs[:6], 5, 0)


def test_deviance_on_unseen_pairs_is_high_where_factors_rule(world):
    """Planted truth: exposure and drivers explain most; with permuted factors they cannot."""
    matrix = matrix_of(world)
    good = cross_validated_deviance(matrix, "linear_boosting")
    shuffled = matrix.X.sample(frac=1, random_state=0).set_axis(matrix.X.index)
    bad = cross_validated_deviance(
        FeatureMatrix(matrix.rows, shuffled, matrix.features), "linear_boosting"
    )
    assert good > 0.4 > bad


def test_fold_scores_are_one_loss_a_fold_and_repeat(world):
    scores = fold_scores(matrix_of(world), "linear_boosting", 3, 0)
    first = list(scores({}))
    assert len(first) == 3 and min(first) > 0
    assert list(scores({"trees": 50})) == first  # few pairs: trees make no difference


def test_unit_is_country_only_where_both_ends_vary():
    star = pd.DataFrame({"country_a": "A", "country_b": [f"B{k}" for k in range(20)]})
    names = [f"C{k:02d}" for k in range(12)]
    ends = [(a, b) for a in names for b in names if a < b]
    assert choose_unit(star, "auto") == "pair"
    assert choose_unit(pd.DataFrame(ends, columns=["country_a", "country_b"]), "auto") == "country"


@pytest.mark.parametrize("shared", [20, 12])
def test_unit_is_country_where_two_focal_countries_share_their_partners(shared):
    """By hand: with 20 of 20 partners shared 22 countries have 40 pairs, with 12 of 20 32."""
    ends = [("A", f"P{k}") for k in range(20)] + [("B", f"P{k}") for k in range(shared)]
    table = pd.DataFrame(ends, columns=["country_a", "country_b"])
    assert choose_unit(pd.concat([table, table]), "auto") == "country"
    assert choose_unit(table.iloc[:24], "auto") == "pair"  # four of them have a second pair


def test_settings_out_of_range_are_refused(world):
    for bad in ({"level": 1.5}, {"resamples": 3}, {"unit": "year"}):
        with pytest.raises(ConfigError):
            rank_factors(matrix_of(world), "ppml", **bad)


@pytest.mark.parametrize("seed", [1003, 1006, 1025])
def test_terms_that_one_fold_finds_by_chance_are_in_none(seed):
    # nothing is true in these worlds, yet some of five folds find bends or products of their own
    matrix = matrix_of(simulate_world("null", seed=seed, factors=6, pairs=40, years=5))
    alone = []
    fold = split_pairs(pair_names(matrix.rows), 5, seed)
    learner = LEARNERS["linear_boosting"]
    for k in range(5):
        train = fold != k
        fitted = learner.make(learner.defaults, seed).fit(
            matrix.X[train],
            matrix.rows["works"].to_numpy(float)[train],
            exposure=matrix.rows["exposure"].to_numpy(float)[train],
            pairs=pair_names(matrix.rows)[train],
            years=matrix.rows["year"].to_numpy()[train],
        )
        alone.append(frozenset(t for t in fitted.terms if t.kind not in LOGS))
    assert len(set(alone)) > 1
    ranking = rank_factors(matrix, "linear_boosting", resamples=40, seed=seed)
    assert len({e.terms for e in ranking.explained.estimators}) == 1
    assert not ranking.factors["above_null"].any()


def test_a_bend_that_every_fold_finds_is_kept():
    world = simulate_world("threshold", seed=3, factors=8, drivers=4, pairs=60, years=6)
    ranking = rank_factors(matrix_of(world), "linear_boosting", resamples=20, seed=3)
    (terms,) = {e.terms for e in ranking.explained.estimators}
    drivers = {list(world.factors).index(f) for f in world.truth.query("importance > 0").factor}
    bends_and_products = [term for term in terms if term.kind not in LOGS]
    assert bends_and_products
    assert {column for term in bends_and_products for column in term.columns} <= drivers


def test_what_hangs_on_the_deal_of_folds_is_not_told():
    """By hand: repeats say 0, 0, 0, 0 and 1, so the mean 0.2 has a spread of 0.45; refits stand."""
    rng = np.random.default_rng(0)
    sign = np.where(np.arange(10) % 2 == 0, 1.0, -1.0)[:, None]
    said = np.array([0.0, 0.0, 0.0, 0.0, 1.0])[:, None, None] * sign

    def told(by_repeat):
        found = SimpleNamespace(
            values=0.2 * sign, by_repeat=by_repeat, freedom=40.0, years=None,
            replicates=rng.normal(scale=0.001, size=(200, 1, 1)) * sign,
            draws=rng.normal(scale=0.001, size=(200, 1, 1)) * sign,
        )  # fmt: skip
        table = judge(found, {"a": [0]}, level=0.95, seed=0)[0]
        return table["above_null"].iloc[0], table["importance_se"].iloc[0]

    assert told(said) == (False, pytest.approx(np.std([0, 0, 0, 0, 1], ddof=1)))
    assert told(np.stack([0.2 * sign] * 5))[0]


def test_what_resampling_cannot_move_is_judged_by_the_posterior():
    """Hand calculation: two factors of importance 1 and 0.9 over ten rows. Replicates that move by
    0.001 put them in order; a posterior that moves by 0.2, as where only a few pairs have a tie,
    says the order cannot be known, and one that moves by 0.0015 changes nothing."""
    rng = np.random.default_rng(0)
    sign = np.resize([1.0, -1.0], (10, 1))
    values = sign * np.array([1.0, 0.9])

    def judged(posterior: float) -> bool:
        def moves(spread: float) -> np.ndarray:
            return rng.normal(scale=spread, size=(200, 1, 2)) * sign

        found = SimpleNamespace(
            values=values, by_repeat=np.stack([values] * 5), replicates=moves(0.001),
            draws=moves(posterior), freedom=40.0, years=None,
        )  # fmt: skip
        return bool(judge(found, {"a": [0], "b": [1]}, level=0.95, seed=0)[-1].at_once[0, 1])

    assert judged(0.0015) and not judged(0.2)


@pytest.mark.parametrize("learner", ["linear_boosting", "ppml"])
def test_neither_the_unit_of_exposure_nor_a_bar_in_a_name_changes_a_ranking(learner: str) -> None:
    # Invariant: works per dollar squared are works per output, and a name is a name. Products of
    # outputs in dollars are 1e24; a name with bars once broke up into more than two ends.
    world = simulate_world("linear", seed=3, factors=4, drivers=2, pairs=40, years=4)
    given = {
        "pair": ["i", "j"], "year": "year", "target": "y", "factors": list(world.factors),
        "exposure": "exposure",
    }  # fmt: skip
    panel = world.panel.assign(i=world.panel["i"] + "x", j=world.panel["j"] + "x")  # of no place
    other = panel.assign(exposure=panel["exposure"] * 1e24)
    other[["i", "j"]] = other[["i", "j"]].astype(str) + "|x|"
    one, two = (
        rank_factors(matrix_from_ready_panel(p, **given), learner, unit="country", resamples=20)
        for p in (panel, other)
    )
    pd.testing.assert_frame_equal(one.factors, two.factors, rtol=1e-4, atol=1e-6)


def test_names_of_pairs_have_two_ends_and_differ() -> None:
    rows = pd.DataFrame({"country_a": ["a|b", "a"], "country_b": ["c", "b|c"]})
    names = pair_names(rows)
    assert len(set(names)) == 2 and all(name.count("|") == 1 for name in names)
