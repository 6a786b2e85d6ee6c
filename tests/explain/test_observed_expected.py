"""Works over those that factors suggest: planted pairs, unseen pairs, and known intervals."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad

from mlcoop.explain.pairs.observed_expected import YEARS, observed_over_expected, ratio_interval
from mlcoop.features.build import FeatureMatrix
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.model.learners import LEARNERS


def planted(seed: int, beyond: dict[int, float]) -> pd.DataFrame:
    """Return 40 pairs over six years whose works follow one factor, but for those `beyond` it."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=40)
    rows = []
    for pair in range(40):
        for year in range(2010, 2016):
            x = level[pair] + rng.normal(0, 0.2)
            mean = np.exp(3 + 0.5 * x) * beyond.get(pair, 1.0)
            rows.append((f"a{pair:02d}", "b", year, x, rng.normal(), rng.poisson(mean)))
    return pd.DataFrame(rows, columns=["i", "j", "year", "x", "other", "y"])


def matrix_of(panel: pd.DataFrame) -> FeatureMatrix:
    return matrix_from_ready_panel(
        panel, pair=["i", "j"], year="year", target="y", factors=["x", "other"]
    )


def compare(panel: pd.DataFrame | FeatureMatrix, learner: str = "ppml") -> pd.DataFrame:
    matrix = panel if isinstance(panel, FeatureMatrix) else matrix_of(panel)
    entry = LEARNERS[learner]
    return observed_over_expected(matrix, entry, dict(entry.defaults), level=0.95, seed=3)


@pytest.mark.parametrize("learner", ["ppml", "linear_boosting"])
def test_pairs_planted_beyond_their_factor_are_told(learner: str) -> None:
    """Planted: pair 3 has three times the works of its factor, pair 4 a third, others all."""
    panel = planted(1, {3: 3.0, 4: 1 / 3})
    found = compare(panel, learner).set_index("country_a")
    assert found.loc["a03", "told"] == "more" and found.loc["a04", "told"] == "less"
    assert found.loc["a03", "ratio_low"] < 3 < found.loc["a03", "ratio_high"]
    assert found.loc["a04", "ratio_low"] < 1 / 3 < found.loc["a04", "ratio_high"]
    assert found["ratio"].is_monotonic_decreasing and len(found) == 40
    last = panel[panel["year"] > 2015 - YEARS].groupby("i")["y"].sum()  # by hand
    assert found["works"].to_dict() == last.to_dict()
    assert set(found["first_year"]) == {2013} and set(found["last_year"]) == {2015}


def test_where_factors_say_all_hardly_a_pair_is_told() -> None:
    """Truth: every ratio is one. Of 12 x 40 intervals at 95 % binomial chance leaves 0.92 or more;
    a false discovery rate of 5 % with nothing to discover is a pair told in a world of twenty."""
    worlds = [compare(planted(seed, {})) for seed in range(10, 22)]
    held = np.concatenate([w["ratio_low"].lt(1) & w["ratio_high"].gt(1) for w in worlds])
    assert held.mean() >= 0.92
    assert sum(bool((w["told"] != "").any()) for w in worlds) <= 3  # P(X > 3) = 0.002


def log_spread(found: pd.DataFrame, freedom: int) -> pd.Series:
    """Return half the width of intervals of large counts in standard errors of log works."""
    return np.log(found["ratio_high"] / found["ratio_low"]) / 2 / stats.t.ppf(0.975, freedom)


def test_an_expectation_is_as_uncertain_as_the_mean_of_the_pairs_or_countries_behind_it() -> None:
    """Closed form: where no factor acts it is the mean works, of 60 independent pairs, or of all
    pairs of 24 countries that multiply. Sixty refits know a standard error to 9 %."""
    rng = np.random.default_rng(1)
    level, size = rng.normal(0, 0.3, 60), rng.normal(0, 0.2, 24)
    of_pairs = [(f"a{p:02d}", "b", level[p]) for p in range(60)]
    both = combinations(range(24), 2)
    of_countries = [(f"a{a:02d}", f"a{b:02d}", size[a] + size[b]) for a, b in both]
    for pairs, own, times, freedom in ((of_pairs, level, 1, 58), (of_countries, size, 2, 15)):
        panel = pd.DataFrame(pairs, columns=["i", "j", "level"])
        panel = panel.merge(pd.DataFrame({"year": range(2013, 2016)}), how="cross")
        panel["x"], panel["other"] = rng.normal(size=(2, len(panel)))
        panel["y"] = rng.poisson(1e7 * np.exp(panel["level"]))
        known = times * np.exp(own).std(ddof=1) / np.exp(own).mean() / np.sqrt(len(own))
        spread = log_spread(compare(panel.drop(columns="level")), freedom)
        assert spread.median() == pytest.approx(known, rel=0.3)


@pytest.mark.parametrize("seed", [0, 2])
def test_an_expectation_that_hangs_on_one_pair_is_as_uncertain_as_its_level(seed: int) -> None:
    """Planted: two pairs have a tie, so each is expected by the other; levels of pairs spread by
    0.5, and a prior may shrink the tie. Refits alone, which leave that pair's level, give 0.2."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 0.5, 40)
    pair = np.repeat(np.arange(40), 6)
    panel = pd.DataFrame({"i": [f"a{p:02d}" for p in pair], "j": "b", "year": 2010})
    panel["year"] += np.tile(np.arange(6), 40)
    panel["x"], panel["other"] = (pair < 2).astype(float), rng.normal(size=len(pair))
    panel["y"] = rng.poisson(1e6 * np.exp(level[pair] + 2 * panel["x"]))
    spread = log_spread(compare(panel, "linear_boosting").set_index("country_a"), 38)
    assert spread[["a00", "a01"]].between(0.25, 0.6).all()
    assert spread.drop(["a00", "a01"]).median() < 0.2


def test_a_pair_s_own_works_do_not_move_what_is_expected_of_it() -> None:
    """Invariant: the models that say what to expect of a pair were not trained on it."""
    panel = planted(1, {})
    more = panel.assign(y=panel["y"].where(panel["i"] != "a07", panel["y"] * 9))
    before, after = (compare(p).set_index("country_a") for p in (panel, more))
    assert after.loc["a07", "expected"] == before.loc["a07", "expected"]
    assert after.loc["a07", "works"] == 9 * before.loc["a07", "works"]
    assert (after["expected"] != before["expected"].loc[after.index]).sum() > 20


@pytest.mark.parametrize("seen_twice", [1, 40])
def test_a_year_seen_from_both_ends_counts_once(seen_twice: int) -> None:
    """Invariant: the same rows once more from the other end say the same of every pair."""
    matrix = matrix_of(planted(1, {3: 3.0}))
    rows = matrix.rows
    also = rows["country_a"] < f"a{seen_twice:02d}"
    rows = rows.assign(weight=np.where(also, 0.5, 1.0))
    turned = rows[also].rename(columns={"focal": "partner", "partner": "focal"})
    both = replace(
        matrix,
        rows=pd.concat([rows, turned], ignore_index=True),
        X=pd.concat([matrix.X, matrix.X[also]], ignore_index=True),
    )
    once, twice = (compare(m).set_index("country_a") for m in (matrix, both))
    twice = twice.loc[once.index]
    assert twice["works"].to_dict() == once["works"].to_dict()
    for column in ("expected", "ratio_low", "ratio_high", "p"):
        assert twice[column].to_numpy() == pytest.approx(once[column].to_numpy(), rel=1e-3)


def test_pairs_without_works_of_late_are_left_out_and_few_are_enough() -> None:
    """Planted: three pairs, the only ones with counts of late, have what their factor says."""
    panel = planted(1, {})
    late = panel["year"] > 2015 - YEARS
    kept = panel[~late | panel["i"].isin(["a01", "a02", "a03"])]
    found = compare(kept)
    assert sorted(found["country_a"]) == ["a01", "a02", "a03"]
    assert found["ratio"].between(0.5, 2).all()  # planted: one


def test_where_no_pair_has_works_of_late_none_has_fewer_than_expected() -> None:
    """Truth: at the level that all other pairs have in these years, which is none."""
    panel = planted(1, {})
    found = compare(panel.assign(y=panel["y"].where(panel["year"] <= 2015 - YEARS, 0)))
    assert (found["works"] == 0).all() and (found["told"] == "").all()
    assert found["expected"].sum() < YEARS and (found["ratio_high"] > 1).all()


def first_five_in_focus(panel: pd.DataFrame, exposure: str | None = None) -> FeatureMatrix:
    names = {"pair": ["i", "j"], "year": "year", "target": "y", "exposure": exposure}
    matrix = matrix_from_ready_panel(panel, **names, factors=["x", "other"])
    return replace(matrix, rows=matrix.rows.assign(in_focus=matrix.rows["country_a"] < "a05"))


def test_the_level_of_the_years_is_that_of_all_pairs_and_not_of_the_focus_alone() -> None:
    """Planted: five focus pairs of 40 have twice the works of their factor, all others what it
    says, one of ten times the exposure; pairs that a model has seen raise its level to 52/48 of
    the others'. The focus's last year is not known yet, and of its first pair the one before."""
    panel = planted(1, {**dict.fromkeys(range(5), 2.0), 39: 10.0})
    panel["people"] = np.where(panel["i"] == "a39", 10.0, 1.0)
    focus = panel["i"] < "a05"
    unknown = focus & (panel["year"] == 2015) | (panel["i"] == "a00") & (panel["year"] == 2014)
    panel["y"] = panel["y"].mask(unknown)
    matrix = first_five_in_focus(panel, exposure="people")
    entry = LEARNERS["ppml"]
    found = observed_over_expected(matrix, entry, dict(entry.defaults), level=0.95, seed=3)
    ratio = found["works"].sum() / found["expected"].sum()  # of 600 works: 4 % by chance
    assert len(found) == 5 and ratio == pytest.approx(2 * 48 / 52, rel=0.12)
    own = panel[focus & (panel["year"] > 2014 - YEARS)].groupby("i")["y"].sum()
    assert found.set_index("country_a")["works"].to_dict() == own.to_dict()
    assert found.set_index("country_a")["last_year"].to_dict() == {
        pair: 2013 if pair == "a00" else 2014 for pair in own.index
    }


def test_no_pair_is_told_where_the_factor_turns_round_for_pairs_that_were_not_seen() -> None:
    """Planted: x acts one way in the focus pairs, and the other in all that models learn from."""
    panel = planted(1, {})
    far = panel["x"] * np.where(panel["i"] < "a05", -6, 0)
    panel["y"] = np.random.default_rng(4).poisson(np.exp(np.log(panel["y"] + 1) + far.clip(-9, 9)))
    matrix = first_five_in_focus(panel)
    entry = LEARNERS["ppml"]
    found = observed_over_expected(matrix, entry, dict(entry.defaults), level=0.95, seed=3)
    assert found["p"].min() < 0.01 and (found["told"] == "").all()


def test_the_interval_is_jeffreys_for_a_sure_expectation_and_t_for_a_large_count() -> None:
    """Against scipy: quantiles of the gamma law, and of Student's t on the log scale."""
    works, expected = np.array([0.0, 4.0, 900.0]), np.array([2.0, 2.0, 2.0])
    low, high, p = ratio_interval(works, expected, np.zeros(3), freedom=9, level=0.9)
    law = stats.gamma(works + 0.5, scale=1 / expected)
    assert low[1:] == pytest.approx(law.ppf(0.05)[1:], rel=1e-9) and low[0] == 0
    assert high == pytest.approx(law.ppf(0.95), rel=1e-9)
    assert p == pytest.approx(2 * np.minimum(law.cdf(1), law.sf(1)), abs=1e-12)
    big = np.array([1e9])
    low, high, _ = ratio_interval(big, big / 2, np.array([0.3]), freedom=9, level=0.9)
    wide = 0.3 * stats.t.ppf(0.95, 9)
    # a grid of quantiles even on the logit scale stands for the law of the expectation
    assert np.log(np.r_[low, high] / 2) == pytest.approx([-wide, wide], abs=0.02)


@pytest.mark.parametrize("freedom", [4, 30])
def test_p_is_right_in_the_tails_where_pairs_are_told(freedom: int) -> None:
    """Against scipy: Student's t of a large count, and a small count's integral by quadrature."""
    t = np.array([2.0, 2.7, 3.3, 4.0, 6.0])
    works, spread = np.full(5, 1e7), np.full(5, 0.3)
    p = ratio_interval(works, works * np.exp(-spread * t), spread, freedom=freedom, level=0.95)[2]
    assert p == pytest.approx(2 * stats.t.sf(t, freedom), rel=0.08)  # of steps of that grid

    def fewer(t: float) -> float:
        return stats.t.pdf(t, freedom) * stats.gamma.sf(54 * np.exp(0.55 * t), 2.5)

    told = ratio_interval(*np.array([[2.0], [54.0], [0.55]]), freedom=freedom, level=0.95)[2]
    known = 2 * quad(fewer, -200, 200, points=[-20, -5, 0, 5], limit=500)[0]
    assert told == pytest.approx(known, rel=0.01)
