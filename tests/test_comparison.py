"""Comparison of rankings; each test names where its truth comes from."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata, weightedtau

from mlcoop.comparison import MEASURES, agreements, compare
from mlcoop.comparison.agreement import agreement_table
from mlcoop.comparison.changes import _turned, changes_of_rank, half_widths
from mlcoop.comparison.common import Common
from mlcoop.comparison.differences import explains_alike
from mlcoop.errors import DataError
from mlcoop.explain.inference import orders_at_once, orders_told
from mlcoop.schema import Experiment

TAU, WEIGHTED, RBO = range(3)


def study(
    name: str,
    importance: dict[str, float],
    *,
    noise: float | None = 0.1,
    seed: int = 0,
    draws: int = 60,
    **coverage: object,
) -> Experiment:
    """Return a study that ranks by `importance`; replicates are that times a lognormal noise."""
    names = list(importance)
    values = np.array([importance[n] for n in names])
    table = pd.DataFrame({"factor": names, "group": "economy_market", "role": "pair"})
    table["share"] = values / values.sum()
    table["share_low"], table["share_high"] = 0.9 * table["share"], 1.1 * table["share"]
    table["rank"] = (-values).argsort().argsort() + 1
    table["rank_low"], table["rank_high"], table["tier"] = table["rank"], table["rank"], 1
    table["above_null"] = True
    groups = pd.DataFrame({"group": ["economy_market", "proximity"], "role": "pair"})
    groups["above_null"] = True
    groups["share"], groups["rank"], groups["tier"] = [0.7, 0.3], [1, 2], [1, 2]
    groups["rank_low"], groups["rank_high"] = groups["rank"], groups["rank"]
    groups["share_low"], groups["share_high"] = 0.9 * groups["share"], 1.1 * groups["share"]
    resamples = None
    if noise is not None:
        rng = np.random.default_rng(seed)
        drawn = values * np.exp(noise * rng.normal(size=(draws, len(names))))
        resamples = pd.DataFrame(drawn, columns=names).rename_axis("replicate").reset_index()
        resamples = resamples.melt("replicate", var_name="name", value_name="importance")
        resamples.insert(1, "kind", "factor")
    return Experiment(
        name=name,
        folder=name,
        config={"name": name, "seed": seed, "explain": {"level": 0.9}},
        provenance={},
        factors=table.sort_values("rank", ignore_index=True),
        groups=groups,
        resamples=resamples,
        metrics={"ranking": {"weights": f"drawn by {seed}"}},
        coverage={"countries": ["CHN", "RUS"], **coverage},
    )


IMPORTANCE = dict(zip("abcdefgh", [20.0, 12, 9, 6, 4, 2, 1, 0.5], strict=True))
REVERSED = dict(zip("abcdefgh", list(IMPORTANCE.values())[::-1], strict=True))


def values_of(comparison, kind: str = "factor") -> dict[str, float]:
    part = comparison.agreement[comparison.agreement["kind"] == kind]
    return dict(zip(part["measure"], part["value"], strict=True))


def test_a_ranking_agrees_perfectly_with_itself() -> None:
    """Truth: an invariant; paired replicates are the same, so their intervals have no width."""
    c = compare([study("one", IMPORTANCE), study("two", IMPORTANCE)])
    assert values_of(c) == pytest.approx(dict.fromkeys(MEASURES, 1.0))
    part = c.agreement[c.agreement["kind"] == "factor"]
    assert part["low"].to_numpy() == pytest.approx(1)
    changes = c.changes[c.changes["kind"] == "factor"]
    assert (changes["change"] == 0).all() and (changes["low"] == 0).all()
    assert not changes["told"].any()


def test_a_reversed_ranking_disagrees_perfectly() -> None:
    """Truth: both taus are -1 by definition; RBO of reversed lists by hand.

    Depth d of two reversed lists of 8 shares max(0, 2d - 8) names; p = 0.9:
    0.9^8 + (0.1/0.9) (2/5 0.9^5 + 4/6 0.9^6 + 6/7 0.9^7 + 8/8 0.9^8) = 0.5895.
    """
    got = values_of(compare([study("one", IMPORTANCE), study("two", REVERSED)]))
    assert got["tau_b"] == pytest.approx(-1)
    assert got["weighted_tau"] == pytest.approx(-1)
    by_hand = 0.9**8 + 0.1 / 0.9 * (
        2 / 5 * 0.9**5 + 4 / 6 * 0.9**6 + 6 / 7 * 0.9**7 + 8 / 8 * 0.9**8
    )
    assert by_hand == pytest.approx(0.5895, abs=1e-4)
    assert got["rbo"] == pytest.approx(by_hand)


def test_rank_biased_overlap_by_hand() -> None:
    """Truth: Webber et al. (2010) eq. 32 for (a, b, c) and (a, c, b): overlaps 1, 1, 3.

    0.9^3 3/3 + (0.1/0.9) (1/1 0.9 + 1/2 0.81 + 3/3 0.729) = 0.729 + 0.226 = 0.955.
    """
    table = np.array([[[3.0, 2, 1], [3, 1, 2]]])
    assert agreements(table)[RBO, 0, 0, 1] == pytest.approx(0.955)
    found = compare(
        [study("one", {"a": 3, "b": 2, "c": 1}), study("two", {"a": 3, "b": 1, "c": 2})]
    )
    assert values_of(found)["rbo"] == pytest.approx(0.955)


def webber(x: np.ndarray, y: np.ndarray, p: float = 0.9) -> float:
    """RBO_ext as in eq. 32 of Webber et al., depth by depth."""
    first, second = np.argsort(-x), np.argsort(-y)
    k = len(x)
    overlap = [len(set(first[:d]) & set(second[:d])) for d in range(1, k + 1)]
    tail = sum(o / d * p**d for d, o in enumerate(overlap, 1))
    return overlap[-1] / k * p**k + (1 - p) / p * tail


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(0, 10**6))
def test_measures_equal_scipy_and_the_definition(n: int, seed: int) -> None:
    """Truth: scipy's kendalltau and weightedtau, and RBO computed depth by depth (no ties)."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    got = agreements(np.stack([x, y])[None])[:, 0, 0, 1]
    assert got[TAU] == pytest.approx(kendalltau(x, y).statistic)
    assert got[WEIGHTED] == pytest.approx(weightedtau(x, y).statistic)
    assert got[RBO] == pytest.approx(webber(x, y))


def test_ties_are_as_in_tau_b() -> None:
    """Truth: scipy's kendalltau, which is tau-b."""
    x, y = np.array([3.0, 3, 2, 1, 1]), np.array([5.0, 4, 4, 1, 2])
    got = agreements(np.stack([x, y])[None])[TAU, 0, 0, 1]
    assert got == pytest.approx(kendalltau(x, y).statistic)


def test_a_change_is_told_where_it_is_large_and_not_where_it_is_noise() -> None:
    """Truth: planted. `h` moves from last to first; `a` to `g` keep their order."""
    moved = {**IMPORTANCE, "h": 60.0}
    c = compare([study("one", IMPORTANCE, seed=1), study("two", moved, seed=2)])
    changes = c.changes[c.changes["kind"] == "factor"].set_index("name")
    assert changes.loc["h", "change"] == -7
    assert changes.loc["h", "told"] is True
    again = compare([study("one", IMPORTANCE, seed=1), study("two", IMPORTANCE, seed=2)])
    assert not again.changes["told"].dropna().any()


def test_simultaneous_intervals_hold_together() -> None:
    """Truth: two studies of one planted order, 400 times; wrong claims at most 10 % + error.

    Points and replicates are draws about the same truth, so any claimed change is wrong. With 400
    repeats at nominal 0.1 the standard error is 0.015; the bound is three of them above.
    """
    rng = np.random.default_rng(5)
    truth = np.log(list(IMPORTANCE.values()))
    wrong = 0
    for _ in range(400):
        points = truth + 0.15 * rng.normal(size=(2, 8))
        one, two = (pd.DataFrame(p + 0.15 * rng.normal(size=(60, 8))) for p in points)
        half = half_widths(one, two, 0.9)
        ranks = (-points).argsort(1).argsort(1)
        wrong += bool((np.abs(ranks[1] - ranks[0]) > half).any())
    assert wrong / 400 <= 0.1 + 3 * 0.015


def test_orders_of_names_that_are_not_shared_turn_nothing_round() -> None:
    """By hand: b above a in the one and a above b in the other; of x, which only one has, nothing.

    One of the two orders has to be among those right at once, whichever.
    """
    orders = {"kind": "factor", "above": ["b", "x", "a"], "below": ["a", "a", "x"], "at_once": True}
    other = pd.DataFrame({"kind": "factor", "above": ["a"], "below": ["b"], "at_once": [False]})
    one, names = pd.DataFrame(orders), ["a", "b"]
    assert _turned(one, other, "factor", names).all() and _turned(other, one, "factor", names).all()
    assert not _turned(one.iloc[1:], other, "factor", names).any()
    swapped = other.rename(columns={"above": "below", "below": "above"})
    assert not _turned(one.iloc[1:], swapped, "factor", names).any()
    assert not _turned(one.assign(at_once=False), other, "factor", names).any()
    assert not _turned(one, other, "group", names).any()


def test_the_half_width_is_a_conformal_quantile_of_paired_replicates() -> None:
    """By hand: of ten paired replicates one turns two names round.

    Changes are 0 nine times and 1 once: 0.1 on average, so 0.1 and 0.9 away. The ninth of ten,
    as 0.8 (10 + 1) = 8.8 asks for, is 0.1, the tenth (0.9 * 11 = 9.9) 0.9.
    """
    one = pd.DataFrame([[2.0, 1.0]] * 10, index=range(10))
    other = pd.DataFrame([[2.0, 1.0]] * 9 + [[1.0, 2.0]] * 4, index=range(13))
    for level, half in ((0.8, 0.1), (0.9, 0.9)):
        np.testing.assert_allclose(half_widths(one, other, level), half)
    assert half_widths(one, other.iloc[10:], 0.9) is None
    # However much names move, what moves them alike in both is no change.
    moved = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 5)))
    np.testing.assert_array_equal(half_widths(moved, moved, 0.9), 0)


def test_each_study_stands_for_itself_among_several() -> None:
    """Invariant: one without replicates beside two others changes nothing of what is said of them.

    By hand: `two` ranks d b f a h e c g, and in `three` all is turned round.
    """
    mixed = dict(zip("dbfahecg", IMPORTANCE.values(), strict=True))
    one, two, three = (
        study(name, importance, noise=0.5, seed=3)
        for name, importance in (("one", IMPORTANCE), ("two", mixed), ("three", REVERSED))
    )
    bare = study("bare", IMPORTANCE, noise=None, seed=9)
    alone, among = compare([one, two]).agreement, compare([bare, one, two]).agreement
    both = among[(among["experiment_a"] == "one") & (among["experiment_b"] == "two")]
    pd.testing.assert_frame_equal(both.reset_index(drop=True), alone)
    assert both.loc[both["kind"] == "factor", ["low", "high"]].notna().all(axis=None)
    assert among.loc[among["experiment_a"] == "bare", ["low", "high"]].isna().all(axis=None)
    changes = compare([one, two, bare, three]).changes.query("kind == 'factor'")
    wide = changes.pivot(index="name", columns="experiment", values="change")
    assert wide["two"].tolist() == [3, 0, 4, -3, 1, -3, 1, -3]
    assert (wide["bare"] == 0).all() and wide["three"].tolist() == [7, 5, 3, 1, -1, -3, -5, -7]
    assert set(changes["reference"]) == {"one"}
    told = changes.groupby("experiment")["told"].agg(lambda t: t.isna().all())
    assert told.to_dict() == {"two": False, "bare": True, "three": False}


def test_intervals_hold_their_figure_and_stay_on_its_scale() -> None:
    """Invariant, of studies that say next to nothing: eight names move by seven ranks at most."""
    near = {**IMPORTANCE, "c": 15.0}
    for seed, other in ((0, REVERSED), (1, near)):
        found = compare(
            [study("one", IMPORTANCE, noise=3, seed=seed), study("two", other, noise=3, seed=9)]
        )
        for table, point in ((found.agreement, "value"), (found.changes, "change")):
            part = table[table["kind"] == "factor"]
            assert (part["low"] <= part[point]).all() and (part[point] <= part["high"]).all()
        floor = found.agreement["measure"].map({"tau_b": -1, "weighted_tau": -1, "rbo": 0})
        assert ((found.agreement["low"] >= floor) | found.agreement["low"].isna()).all()
        assert found.agreement["high"].max() <= 1
        assert found.changes["low"].min() >= -7 and found.changes["high"].max() <= 7


def test_replicates_with_one_number_in_common_carry_no_interval() -> None:
    one, two = study("one", IMPORTANCE), study("two", REVERSED)
    apart = replace(two, resamples=two.resamples.assign(replicate=two.resamples["replicate"] + 59))
    found = compare([one, apart])
    assert found.agreement[["low", "high"]].isna().all(axis=None)
    assert found.changes["told"].isna().all()


def test_the_interval_of_agreement_by_hand_where_draws_are_shared() -> None:
    """By hand, of four names: two swaps leave a tau of 1/3; of sixty draws six agree wholly and six
    turn four of six orders round. So at 0.9 the replicates go from -1/3 to 1, reflected from
    2/3 - 1 to 2/3 + 1/3. A replicate that only one has is paired with none."""
    orders = {"badc": 48, "abcd": 6, "dbac": 6}
    drawn = [dict(zip(order, [8.0, 4, 2, 1], strict=True)) for order in orders]
    tables = [pd.DataFrame([d] * n) for d, n in zip(drawn, orders.values(), strict=True)]
    one, two = (
        replace(
            study(name, point, noise=None),
            resamples=table.sample(frac=1, random_state=0, ignore_index=True)
            .rename_axis("replicate")
            .reset_index()
            .melt("replicate", var_name="name", value_name="importance")
            .assign(kind="factor"),
        )
        for name, point, table in (
            ("one", drawn[1], pd.DataFrame([drawn[1]] * 60)),
            ("two", drawn[0], pd.concat(tables)),
        )
    )
    lone = two.resamples.assign(replicate=two.resamples["replicate"] + 60)
    two = replace(two, resamples=pd.concat([two.resamples, lone.assign(importance=1.0)]))
    row = compare([one, two]).agreement.iloc[0]
    assert row[["value", "low", "high"]].to_list() == pytest.approx([1 / 3, -1 / 3, 1.0])


@pytest.mark.parametrize("same_draws", [False, True], ids=["apart", "same draws, other counts"])
def test_the_interval_of_agreement_makes_good_what_noise_takes(same_draws: bool) -> None:
    """Planted: both studies have one order of 15 names, 8 of them without effect, so tau-b is 1.

    Effects fall from 1 to 0.2 with a standard error of 0.1, 50 times; nominal 0.95, three standard
    errors of 0.031 below. Reflected alone the interval holds 1 in 0.25.
    """
    rng = np.random.default_rng(11)
    truth = np.r_[np.linspace(1, 0.2, 7), np.zeros(8)]
    seeds, fields = ((0, 0), ("x", "y")) if same_draws else ((1, 2), ("x", "x"))
    both = [
        Experiment(f, f, {"seed": seed, "target": {"field": f}}, {})
        for seed, f in zip(seeds, fields, strict=True)
    ]
    held = 0
    for _ in range(50):
        points = np.abs(truth + 0.1 * rng.normal(size=(2, 15)))
        draws = [pd.DataFrame(np.abs(p + 0.1 * rng.normal(size=(60, 15)))) for p in points]
        row = agreement_table(in_common(both, points, draws), 0.95).iloc[0]
        held += row["low"] <= 1 <= row["high"]
    assert held / 50 >= 0.95 - 3 * 0.031, held


def in_common(
    experiments: list[Experiment], points: np.ndarray, draws: list[pd.DataFrame]
) -> Common:
    """Return what studies have in common that rank the same names by `points`."""
    names = [f"n{i}" for i in range(points.shape[1])]
    tables = [pd.DataFrame({"rank": rankdata(-p)}, index=names) for p in points]
    return Common("factor", names, {n: (n, "g") for n in names}, experiments, tables, draws)


def orders_of(*told: str) -> pd.DataFrame:
    """Return orders from words such as "a>b", those with "a>>b" at once."""
    rows = [("factor", *t.replace(">>", ">").split(">"), ">>" in t) for t in told]
    return pd.DataFrame(rows, columns=["kind", "above", "below", "at_once"])


def test_of_independent_studies_a_change_is_told_where_an_order_turns_round() -> None:
    """By hand: the rankings are reversed; of all orders a and h turn round, and of them b is none.

    c and d turn round too, but neither study tells their order at once with the others.
    """
    one, two = study("one", IMPORTANCE, noise=0.01), study("two", REVERSED, noise=0.01, seed=1)
    assert compare([one, two]).changes.query("kind == 'factor'")["told"].all()  # no orders kept
    one = replace(one, orders=orders_of("a>>h", "a>>b", "c>d"))
    assert compare([one, two]).changes.query("kind == 'factor'")["told"].all()  # in one of them
    two = replace(two, orders=orders_of("h>a", "h>>b", "d>c"))
    changes = compare([one, two]).changes.query("kind == 'factor'").set_index("name")
    assert changes.index[changes["told"].astype(bool)].tolist() == ["a", "h"]
    # with shared draws replicates tell how far ranks move
    shared = replace(two, config={**two.config, "seed": 0})
    assert compare([one, shared]).changes.query("kind == 'factor'")["told"].all()
    # ... but not where other works are counted, whose noise is their own
    life, column = {"target": {"field": "life"}}, {"panel": {"target": "patents"}}
    for other in (life, column):
        apart = replace(shared, config={**shared.config, **other})
        changes = compare([one, apart]).changes.query("kind == 'factor'").set_index("name")
        assert changes.index[changes["told"].astype(bool)].tolist() == ["a", "h"]
        assert any("counts" in note for note in compare([one, apart]).notes)
    file = {"inputs": [{"source": "own counts", "sha256": "a"}]}
    assert not explains_alike(shared, replace(shared, provenance=file))


def test_equal_factors_of_independent_studies_change_no_rank() -> None:
    """Planted: seven equal effects and eight of none, of a standard error of 0.04, 50 times.

    At 5 % and three standard errors of 0.031; by the replicates alone a change is told in 0.4.
    """
    rng = np.random.default_rng(7)
    truth = np.r_[np.full(7, 0.5), np.zeros(8)]
    given = {"level": 0.95, "freedom": 45.0}

    wrong = 0
    for _ in range(50):
        points = truth + 0.04 * rng.normal(size=(2, 15))
        both, draws, aboves = [], [], []
        for seed, (size, sign) in enumerate(zip(np.abs(points), np.sign(points), strict=True)):
            signed = 0.04 * rng.normal(size=(60, 15)) * sign
            above = size > 2.5 * 0.04
            told, _ = orders_told(size, signed, **given, eligible=above)
            at_once = orders_at_once(size, signed, **given, eligible=above, seed=0)
            rows = [("factor", f"n{i}", f"n{j}", at_once[i, j]) for i, j in np.argwhere(told)]
            orders = pd.DataFrame(rows, columns=["kind", "above", "below", "at_once"])
            both.append(Experiment(f"{seed}", "", {"seed": seed}, {}, orders=orders))
            draws.append(pd.DataFrame(size + signed))
            aboves.append(above)
        common = in_common(both, np.abs(points), draws)
        for table, above in zip(common.tables, aboves, strict=True):
            table["above_null"] = above
        wrong += bool(changes_of_rank(common, 0.95)["told"].any())
    assert wrong / 50 <= 0.05 + 3 * 0.031, wrong


def test_pairing_by_number_cancels_what_is_shared() -> None:
    """Truth: an invariant. Same draws in both make the interval narrower than other draws do."""
    near = {**IMPORTANCE, "c": 9.5}
    shared = compare([study("one", IMPORTANCE, seed=3), study("two", near, seed=3)])
    apart = compare([study("one", IMPORTANCE, seed=3), study("two", near, seed=4)])

    def width(c) -> float:
        return float((c.changes["high"] - c.changes["low"]).sum())

    assert width(shared) < 0.5 * width(apart)
    assert shared.changes["paired"].all() and not apart.changes["paired"].any()
    assert any("independent" in note for note in apart.notes)


def test_windows_that_drew_the_same_weights_are_not_called_independent() -> None:
    """Truth: the key of the weights that a ranking leaves.

    That other years draw the same is shown in tests/explain/test_weights.py.
    """
    one, two, three = (
        dataclasses.replace(
            study(name, IMPORTANCE, years=[start, start + 7]),
            metrics={"ranking": {"weights": key}},
        )
        for name, start, key in (("a", 2001, "k"), ("b", 2003, "k"), ("c", 2001, "l"))
    )
    found = compare([one, two, three])
    paired = found.changes.groupby("experiment")["paired"].all().to_dict()
    assert paired == {"b": True, "c": False}
    (note,) = [n for n in found.notes if "independent" in n]
    assert note.startswith("c:")


def test_different_factors_compare_the_common_ones_and_say_so() -> None:
    """Truth: by hand. Without `a`, ranks count from `b`."""
    more = {**IMPORTANCE, "z": 100.0}
    less = {k: v for k, v in IMPORTANCE.items() if k != "a"}
    c = compare([study("more", more), study("less", less)])
    ranks = c.ranks[(c.ranks["kind"] == "factor") & (c.ranks["experiment"] == "more")]
    assert ranks.set_index("name")["rank"].to_dict()["b"] == 1
    assert set(ranks["name"]) == set("bcdefgh") and set(ranks["group"]) == {"economy_market"}
    assert (c.changes["change"] == 0).all()
    assert any("groups do not hold the same factors" in n for n in c.notes)
    said = [n for n in c.notes if n.startswith("more:")]
    assert said and '"A", "Z"' in said[0] and "7 in common" in said[0]


@pytest.mark.parametrize(
    ("experiments", "words"),
    [
        ([study("one", IMPORTANCE)], "1 experiment given"),
        ([study("one", IMPORTANCE), study("one", IMPORTANCE)], "of the same name"),
        ([study("one", IMPORTANCE), study("two", {"y": 2.0, "z": 1.0})], "no factor in common"),
        ([study(str(i), IMPORTANCE) for i in range(51)], "51 experiments"),
    ],
)
def test_refusals_say_why(experiments: list[Experiment], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        compare(experiments)
    assert "\n" not in str(caught.value)


def test_without_ranking_or_replicates() -> None:
    bare = study("two", IMPORTANCE, noise=None)
    c = compare([study("one", IMPORTANCE), bare])
    assert c.changes["told"].isna().all()
    assert any("No replicates in two" in note for note in c.notes)
    none = Experiment("three", "three", {}, {})
    with pytest.raises(DataError, match="no factor ranking in three; .*: true, or .*--force"):
        compare([study("one", IMPORTANCE), none])


def test_no_change_is_told_of_what_neither_study_tells_from_chance() -> None:
    """By hand: the orders are reversed, but only `a` and `h` stand above the null line anywhere."""
    one, two = study("one", IMPORTANCE, noise=0.01), study("two", REVERSED, noise=0.01)
    one.factors["above_null"] = one.factors["factor"].isin(["a", "h"])
    two.factors["above_null"] = two.factors["factor"] == "h"
    changes = compare([one, two]).changes.query("kind == 'factor'").set_index("name")
    assert changes.index[changes["told"].astype(bool)].tolist() == ["a", "h"]
    # Without a null line in both every one of them would be told.
    plain = study("two", REVERSED, noise=0.01)
    for first in (study("one", IMPORTANCE, noise=0.01), one):
        assert compare([first, plain]).changes.query("kind == 'factor'")["told"].all()


def test_one_factor_in_common_has_no_agreement() -> None:
    c = compare([study("one", {"a": 2.0, "b": 1.0}), study("two", {"a": 1.0, "c": 2.0})])
    assert not (c.agreement["kind"] == "factor").any()
    assert any("no agreement can be computed" in note for note in c.notes)
    about = {"factors": [{"factor": "c", "label": "Sea, in km"}]}
    c = compare([study("one", {"a": 2.0, "b": 1.0}), study("two", {"a": 1.0, "c": 2.0}, **about)])
    assert any('"Sea, in km"' in note for note in c.notes)
    assert any('Only one factor in common ("A")' in note for note in c.notes)


@pytest.mark.parametrize(
    ("part", "given", "alike"),
    [
        ("config", {"seed": 1}, False),
        ("config", {"explain": {"unit": "country"}}, False),
        ("config", {"explain": {"resamples": 100}}, False),
        ("config", {"focus": {"focal": "CHN"}}, False),
        ("coverage", {"countries": ["CHN", "KAZ"]}, False),
        ("coverage", {"years": [2001, 2009]}, False),
        ("coverage", {"pairs": 3}, False),
        ("config", {"target": {"field": "life"}}, False),
        ("config", {"simulated": {"kind": "linear"}}, False),
        ("config", {"panel": {"target": "patents"}}, False),
        ("config", {"panel": {"exposure": "people"}}, False),
        ("provenance", {"inputs": [{"source": "own counts", "sha256": "a"}]}, False),
        ("provenance", {"inputs": [{"source": "worldbank", "sha256": "a"}]}, True),
        ("config", {"target": {"path": "moved.csv"}}, True),
        ("config", {"title": "Another title"}, True),
        ("coverage", {"countries": ["RUS", "CHN"]}, True),
    ],
)
def test_what_makes_draws_or_counts_others(part: str, given: dict, alike: bool) -> None:
    """By hand: weights go by seed, number, unit and pairs; counts by field, column and file."""
    one = study("one", IMPORTANCE, noise=None)
    other = replace(one, name="two", **{part: {**getattr(one, part), **given}})
    assert explains_alike(one, other) is alike


def test_config_and_data_differences() -> None:
    """Truth: by hand; name and title are no difference."""
    a = study("one", IMPORTANCE, years=[2001, 2019], pairs=1)
    a.provenance["inputs"] = [{"sha256": s, "date": "2026-01-01"} for s in ("ab", "cd")]
    b = study("two", IMPORTANCE, years=[2001, 2021], countries=["RUS", "CHN", "KAZ"], pairs=3)
    b.provenance["inputs"] = [{"sha256": s, "date": "2026-02-02"} for s in ("cd", "ab")]
    table = compare([a, b]).differences.set_index("key")
    assert "input checksums" not in table.index
    assert "name" not in table.index
    assert table.loc["years", "two"] == "2001, 2021"
    assert table.loc["focus countries", "two"] == "CHN, KAZ, RUS"
    assert table.loc["pairs", ["one", "two"]].tolist() == ["1", "3"]
    same = study("three", IMPORTANCE, years=[2001, 2019], pairs=1, countries=["RUS", "CHN"])
    same.provenance["inputs"] = [{"sha256": "ef"}]
    assert compare([a, same]).differences["key"].tolist() == ["input checksums"]


def test_levels_that_differ_are_told() -> None:
    """Truth: by hand; the first study's level is that of what is computed here."""
    one, other = study("one", IMPORTANCE), study("two", REVERSED)
    assert not any("explain.level" in note for note in compare([one, other]).notes)
    other.config["explain"] = {"level": 0.995}
    (note,) = [n for n in compare([one, other]).notes if "explain.level" in n]
    assert "that of one (0.9)" in note and "two (0.995) use their own" in note
    (note,) = [n for n in compare([other, one]).notes if "explain.level" in n]
    assert "that of two (0.995)" in note and "one (0.9) use" in note
    assert compare([other, one]).level == 0.995


def test_countries_that_only_one_trains_on_are_named() -> None:
    """Truth: by hand; what is in the config (a group, the most active) names none of them."""
    both = ["CHN", "KAZ", "KGZ", "TJK", "TKM", "UZB"]
    a = study("one", IMPORTANCE, trained_on=[*both, "USA"])
    b = study("two", IMPORTANCE, trained_on=["IRN", "LAO", "MMR", "MNG", "PAK", "RUS", *both])
    table = compare([a, b]).differences.set_index("key")
    assert table.loc["training countries", ["one", "two"]].tolist() == [
        "7, also USA",
        "12, also IRN, LAO, MMR, MNG, PAK and 1 more (6 in all)",
    ]
    older = study("three", IMPORTANCE)
    assert "training countries" not in compare([a, older]).differences["key"].tolist()


def test_of_long_lists_only_what_they_do_not_share_is_told() -> None:
    """Truth: by hand."""

    def partners(*lists: list[str] | str) -> list[str]:
        studies = [study(f"s{i}", IMPORTANCE) for i in range(len(lists))]
        for one, own in zip(studies, lists, strict=True):
            one.config["focus"] = {"partners": own}
        table = compare(studies).differences.set_index("key")
        return list(table.loc["focus.partners"].iloc[1:])

    long = ["KAZ", "KGZ", "TJK", "TKM", "UZB", "MNG"]
    assert partners(long, [*long, "RUS"]) == ["6", "7, also RUS"]
    assert partners(long[:3], long) == ["KAZ, KGZ, TJK", "6, also TKM, UZB, MNG"]
    assert partners("asean", long) == ["asean", "KAZ, KGZ, TJK, TKM, UZB and 1 more (6 in all)"]
    # Another order of the same names is a difference all the same.
    assert partners(long, long[::-1]) == [", ".join(long), ", ".join(long[::-1])]


def test_a_share_is_short_where_that_hides_no_difference() -> None:
    """Truth: by hand."""

    def zeros(*values: float) -> list[str]:
        studies = [study(f"s{i}", IMPORTANCE, zeros=v) for i, v in enumerate(values)]
        return list(compare(studies).differences.set_index("key").loc["zeros"].iloc[1:])

    assert zeros(1 / 3, 0.25) == ["0.3333", "0.25"]
    assert zeros(0.12341, 0.12342) == ["0.12341", "0.12342"]


def test_groups_with_roles_are_told_apart() -> None:
    """Truth: by hand; one group stands once for the partner and once for the focal country."""

    def labels(*focal: str | None) -> set[str]:
        studies = []
        for i, country in enumerate(focal):
            e = study(f"s{i}", IMPORTANCE)
            groups = e.groups.assign(group="economy_market", role=["partner", "focal"])
            config = {**e.config, "focus": {"focal": country}}
            studies.append(Experiment(**{**e.__dict__, "groups": groups, "config": config}))
        ranks = compare(studies).ranks
        return set(ranks.loc[ranks["kind"] == "group", "label"])

    partner = "Economy and market (partner)"
    assert labels("CHN", "CHN") == {partner, "Economy and market (China)"}
    for focal in (("CHN", "KOR"), (None, None)):
        assert labels(*focal) == {partner, "Economy and market (focal country)"}


def test_an_institution_beside_a_country_is_told() -> None:
    """By hand: one of the two, or both of them, is an institution."""
    country, other = study("one", IMPORTANCE), study("two", IMPORTANCE)
    home = study("unc", IMPORTANCE, institution={"name": "UNC"})
    notes = compare([country, home]).notes
    assert sum("unc: study of an institution, whose articles" in n for n in notes) == 1
    for alike in ([country, other], [home, study("mit", IMPORTANCE, institution={"name": "MIT"})]):
        assert not any("of an institution" in n for n in compare(alike).notes)


def test_dimensions_stand_beside_each_other_where_all_rank_them() -> None:
    """By hand: the market comes first in one study and last in the other."""
    names = ["market_environment", "research_strength", "external_environment"]
    table = pd.DataFrame(
        {"dimension": names, "rank": [1, 2, 3], "tier": 1, "share": [0.5, 0.3, 0.2]}
    )
    table = table.assign(rank_low=1, rank_high=3, share_low=0.1, share_high=0.6, above_null=True)
    one = replace(study("one", IMPORTANCE), dimensions=table)
    other = replace(study("two", IMPORTANCE), dimensions=table.assign(rank=[3, 2, 1]))
    found = compare([one, other])
    changes = found.changes[found.changes["kind"] == "dimension"].set_index("label")["change"]
    assert changes["Market environment"] == 2 and changes["External environment"] == -2
    assert "dimension" not in set(found.agreement["kind"])
    without = compare([one, study("two", IMPORTANCE)])
    assert set(without.ranks["kind"]) == {"factor", "group"} and "imension" not in str(
        without.notes
    )


def test_to_dict_is_json_with_the_tables_numbers() -> None:
    c = compare([study("one", IMPORTANCE), study("two", REVERSED, noise=None)])
    document = json.loads(json.dumps(c.to_dict(), allow_nan=False))
    assert document["experiments"] == ["one", "two"]
    assert len(document["ranks"]) == len(c.ranks)
    assert [r["change"] for r in document["changes"]] == c.changes["change"].tolist()
    assert document["changes"][0]["low"] is None


def test_inputs_are_not_changed_and_order_of_rows_does_not_matter() -> None:
    a, b = study("one", IMPORTANCE), study("two", REVERSED)
    before = a.factors.copy()
    shuffled = Experiment(
        **{
            **b.__dict__,
            "factors": b.factors.sample(frac=1, random_state=1),
            "resamples": b.resamples.sample(frac=1, random_state=2),
        }
    )
    pd.testing.assert_frame_equal(compare([a, b]).changes, compare([a, shuffled]).changes)
    pd.testing.assert_frame_equal(a.factors, before)
