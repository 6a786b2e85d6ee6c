"""Truths: scipy's rank correlation, a planted tree, and what a warning must name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mlcoop.explain.defence.collinearity import CLOSE, collinearity, weighted_spearman
from mlcoop.features.build import Feature, FeatureMatrix


def matrix_of(X: pd.DataFrame, pairs: list[tuple[str, str]], years: int) -> FeatureMatrix:
    """Return rows of pairs by year around given columns, all in focus."""
    ends = [p for p in pairs for _ in range(years)][: len(X)]
    rows = pd.DataFrame(ends, columns=["country_a", "country_b"])
    rows = rows.assign(focal=rows["country_a"], partner=rows["country_b"], works=1.0)
    rows["year"] = [2000 + i % years for i in range(len(X))]
    rows = rows.assign(exposure=1.0, weight=1.0, in_focus=True)
    features = tuple(Feature(c, c, f"{c}, told", "g", "pair") for c in X)
    return FeatureMatrix(rows, X.astype(np.float32), features)


def ranking_of(names: list[str], low: list[int], high: list[int]) -> pd.DataFrame:
    table = pd.DataFrame({"factor": names, "rank_low": low, "rank_high": high})
    return table.assign(above_null=True)


@given(seed=st.integers(0, 1000), ties=st.booleans())
@settings(max_examples=25)
def test_equal_weights_give_scipys_rank_correlation(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 40))
    if ties:
        x, y = np.round(x), np.round(y)
    assert weighted_spearman(x, y, np.ones(40)) == pytest.approx(spearmanr(x, y).statistic)


def test_whole_weights_are_rows_repeated() -> None:
    # Truth: scipy on the rows written out as often as their weight says.
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 9, 30).astype(float), rng.normal(size=30)
    times = rng.integers(1, 5, 30)
    expected = spearmanr(np.repeat(x, times), np.repeat(y, times)).statistic
    assert weighted_spearman(x, y, times.astype(float)) == pytest.approx(expected)


def test_a_pair_counts_once_however_many_years_it_has() -> None:
    # One pair has 300 rows in which x and y run apart, ten pairs 30 rows each in which they rise
    # together: by pairs they go together, by rows they do not.
    rng = np.random.default_rng(0)
    pairs = [("AAA", f"B{i:02}") for i in range(11)]
    n = [300] + [30] * 10
    x = np.concatenate([rng.normal(size=k) for k in n])
    y = np.concatenate([-x[:300], x[300:]])
    rows = pd.DataFrame(
        [p for p, k in zip(pairs, n, strict=True) for _ in range(k)],
        columns=["country_a", "country_b"],
    )
    rows = rows.assign(focal="AAA", partner=rows["country_b"], year=2000, in_focus=True)
    features = tuple(Feature(c, c, c, "g", "pair") for c in "xy")
    found = collinearity(FeatureMatrix(rows, pd.DataFrame({"x": x, "y": y}), features))
    assert found.correlations["spearman"].iloc[0] > 0.7
    assert spearmanr(x, y).statistic < 0.1


def planted(n: int = 400) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=(2, n))
    noise = 0.25 * rng.normal(size=(6, n))
    X = pd.DataFrame(
        {
            "a1": first + noise[0],
            "b1": np.exp(second + noise[1]),  # any monotone scale
            "lonely": rng.normal(size=n),
            "a2": -(first + noise[2]),  # the other way round
            "b2": second + noise[3],
            "a3": first + noise[4],
        }
    )
    return X, [("AAA", f"B{i:02}") for i in range(n // 10)]


def test_planted_groups_come_back_whatever_their_sign_and_scale() -> None:
    X, pairs = planted()
    found = collinearity(matrix_of(X, pairs, 10)).factors
    sets = found.groupby("cluster")["factor"].agg(frozenset)
    assert set(sets) == {
        frozenset({"a1", "a2", "a3"}),
        frozenset({"b1", "b2"}),
        frozenset({"lonely"}),
    }
    place = found.set_index("factor")["position"]
    assert max(place[["a1", "a2", "a3"]]) - min(place[["a1", "a2", "a3"]]) == 2  # side by side
    lone = found.set_index("factor").loc["lonely"]
    assert not lone["close"] and abs(lone["spearman"]) < 0.2


def test_the_order_of_the_columns_changes_no_group() -> None:
    X, pairs = planted()
    forth = collinearity(matrix_of(X, pairs, 10))
    back = collinearity(matrix_of(X[X.columns[::-1]], pairs, 10))
    groups = [frozenset(t["factor"]) for _, t in forth.factors.groupby("cluster")]
    assert set(groups) == {frozenset(t["factor"]) for _, t in back.factors.groupby("cluster")}


def test_only_close_factors_with_overlapping_rank_sets_are_warned_of() -> None:
    X, pairs = planted()
    names = list(X)
    matrix = matrix_of(X, pairs, 10)
    apart = ranking_of(names, [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert collinearity(matrix, apart).warnings == []
    # a1 and a3 may both be first to third; b1 and b2 are told apart; lonely overlaps with all.
    mixed = ranking_of(names, [1, 6, 1, 4, 5, 2], [3, 6, 6, 4, 5, 3])
    found = collinearity(matrix, mixed)
    (text,) = found.warnings
    assert (
        '"a1, told", "a3, told"' in text
        and "b1" not in text
        and "lonely" not in text
        and str(CLOSE) in text
    )
    told = found.factors.set_index("factor")["told"]
    assert told["b1"] and told["b2"]
    # Nothing is claimed of factors that are not told from chance.
    assert collinearity(matrix, mixed.assign(above_null=False)).warnings == []


def test_what_is_constant_or_hardly_known_stands_alone() -> None:
    X, pairs = planted()
    X["still"] = 1.0
    X["rare"] = X["a1"].where(np.arange(len(X)) < 15)  # fewer rows than a correlation needs
    found = collinearity(matrix_of(X, pairs, 10)).factors.set_index("factor")
    assert found.loc[["still", "rare"], "spearman"].isna().all()
    assert found["cluster"].value_counts()[found.loc["still", "cluster"]] == 1
