"""Truths: leaks planted on purpose, and planted worlds and builds that have none."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_panels import random_panel

from mlcoop.features.audit import audit
from mlcoop.features.build import FeatureMatrix, build_features
from mlcoop.features.catalogue import FACTORS, select_factors
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.schema import PAIR
from mlcoop.simulate.recipes import RECIPES
from mlcoop.simulate.world import simulate_world


def world_matrix(kind: str, seed: int, exposure: bool = True) -> FeatureMatrix:
    world = simulate_world(kind, seed=seed)
    return matrix_from_ready_panel(
        world.panel,
        pair=["i", "j"],
        year="year",
        target="y",
        factors=world.factors,
        exposure="exposure" if exposure else None,
    )


def shifted(rows: pd.DataFrame, by: int) -> np.ndarray:
    """Return the works of the same pair `by` years later."""
    then = rows[[*PAIR, "year", "works"]].assign(year=rows["year"] - by)
    return rows[[*PAIR, "year"]].merge(then, how="left")["works"].to_numpy()


def country_total(rows: pd.DataFrame, by: int, end: str = "country_a") -> np.ndarray:
    """Return the total works of one country of the pair `by` years later."""
    ends = [rows[[c, "year", "works"]].set_axis(["c", "year", "works"], axis=1) for c in PAIR]
    total = pd.concat(ends).groupby(["c", "year"], as_index=False)["works"].sum()
    total["year"] -= by
    keys = rows[[end, "year"]].set_axis(["c", "year"], axis=1)
    return keys.merge(total, how="left")["works"].to_numpy()


def works_of_pair(rows: pd.DataFrame):
    return rows.groupby(PAIR, sort=False)["works"]


def noise(rows: pd.DataFrame, scale: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, scale, len(rows))


def filled_with_mean(rows: pd.DataFrame) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=len(rows))
    hole = rng.random(len(rows)) < 0.1
    x[hole] = x[~hole].mean()
    return x


Plant = Callable[[pd.DataFrame], object]
PLANTS: dict[str, tuple[set[str], Plant]] = {
    "target": ({"target"}, lambda r: r["works"]),
    "target, square root, turned round": ({"target"}, lambda r: -np.sqrt(r["works"])),
    "target with a little noise": (
        {"target"},
        lambda r: np.log1p(r["works"]) + noise(r, 0.02),
    ),
    "target with much noise": (
        {"too_good", "target"},
        lambda r: r["works"] * np.exp(noise(r, 0.1)),
    ),
    "target over exposure": ({"target"}, lambda r: r["works"] / r["exposure"]),
    "share of the country's works": (
        {"target"},
        lambda r: r["works"] / country_total(r, 0, "country_b"),
    ),
    "rank in the year": ({"target"}, lambda r: r.groupby("year")["works"].rank(pct=True)),
    "growth to the year": (
        {"target"},
        lambda r: np.log1p(r["works"]) - np.log1p(shifted(r, -1)),
    ),
    "mean of this year and the last": ({"target"}, lambda r: (r["works"] + shifted(r, -1)) / 2),
    "next year": ({"future"}, lambda r: np.log1p(shifted(r, 1))),
    "in two years": ({"future"}, lambda r: shifted(r, 2)),
    "change to the next year": ({"future"}, lambda r: shifted(r, 1) - r["works"]),
    "centred moving average": (
        {"future"},
        lambda r: (shifted(r, -1) + r["works"] + shifted(r, 1)) / 3,
    ),
    "mean over all years": ({"fitted_over_years"}, lambda r: works_of_pair(r).transform("mean")),
    "mean over the other years": (
        {"fitted_over_years", "future"},
        lambda r: works_of_pair(r).transform("sum") - r["works"],
    ),
    "standardised within the pair": (
        {"fitted_over_years"},
        lambda r: (
            (r["works"] - works_of_pair(r).transform("mean")) / works_of_pair(r).transform("std")
        ),
    ),
    "holes filled with the mean of all years": ({"fitted_over_years"}, filled_with_mean),
    "last year": ({"pair_past"}, lambda r: np.log1p(shifted(r, -1))),
}


@pytest.mark.parametrize("kind", ["country", "mixed"])
@pytest.mark.parametrize("plant", PLANTS)
def test_planted_value_leak_is_named_with_its_column(kind: str, plant: str) -> None:
    matrix = world_matrix(kind, seed=1)
    kinds, make = PLANTS[plant]
    column = matrix.X.columns[3]
    planted = replace(matrix, X=matrix.X.assign(**{column: np.asarray(make(matrix.rows), float)}))
    found = audit(planted)
    assert [f.column for f in found] == [column], found
    assert found[0].kind in kinds and column in found[0].message


def total_of_both(rows: pd.DataFrame) -> np.ndarray:
    return country_total(rows, 0) * country_total(rows, 0, "country_b")


FURTHER: dict[str, tuple[str, Plant]] = {
    "Salton's cosine of the same year": (
        "target",
        lambda r: r["works"] / np.sqrt(total_of_both(r)),
    ),
    "association strength of the same year": ("target", lambda r: r["works"] / total_of_both(r)),
    "share of the first country's works": ("target", lambda r: r["works"] / country_total(r, 0)),
    "works 2 years before": ("pair_past", lambda r: shifted(r, -2)),
    "works up to the year, the year among them": ("target", lambda r: works_of_pair(r).cumsum()),
    "works up to the year before": ("pair_past", lambda r: works_of_pair(r).cumsum() - r["works"]),
    "works after the year": (
        "future",
        lambda r: works_of_pair(r).transform("sum") - works_of_pair(r).cumsum(),
    ),
    "change of works to the year": ("target", lambda r: r["works"] - shifted(r, -1)),
    "growth of works to the next year": (
        "future",
        lambda r: np.log1p(shifted(r, 1)) - np.log1p(r["works"]),
    ),
    "works of the year less the pair's mean": (
        "fitted_over_years",
        lambda r: works_of_pair(r).transform("mean") - r["works"],
    ),
}


@pytest.mark.parametrize("plant", FURTHER)
def test_further_leaks_are_named_for_what_they_are(plant: str) -> None:
    matrix = world_matrix("country", seed=3)
    kind, make = FURTHER[plant]
    column = matrix.X.columns[3]
    rows = matrix.rows.sort_values([*PAIR, "year"])
    given = pd.Series(np.asarray(make(rows), float), index=rows.index)
    found = audit(replace(matrix, X=matrix.X.assign(**{column: given})))
    assert [(f.kind, f.column) for f in found] == [(kind, column)], found
    assert f"a copy of {plant} " in found[0].message


@pytest.mark.parametrize("by", [0, 1])
def test_country_totals_of_the_year_or_the_next(by: int) -> None:
    matrix = world_matrix("country", seed=2)
    X = matrix.X.assign(total=np.log1p(country_total(matrix.rows, by)))
    feature = replace(matrix.features[0], name="total", factor="total")
    found = audit(replace(matrix, X=X, features=(*matrix.features, feature)))
    assert [(f.kind, f.column) for f in found] == [("future", "total")]


def test_missing_only_where_works_are_zero() -> None:
    matrix = world_matrix("sparse", seed=1)
    column = matrix.X.columns[2]
    X = matrix.X.assign(**{column: matrix.X[column].where(matrix.rows["works"] > 0)})
    found = audit(replace(matrix, X=X))
    assert [(f.kind, f.column) for f in found] == [("missing_when_zero", column)]


def test_rare_gaps_and_rare_zeros_that_miss_each_other_are_clean() -> None:
    # 0.3 % of each: where most rows are neither, plain agreement is above 99 %.
    world = simulate_world("linear", seed=5, countries=45, years=8, mean_works=300.0)
    panel = world.panel
    rng = np.random.default_rng(2)
    panel.loc[rng.permutation(len(panel))[:24], "y"] = 0
    column = world.factors[1]
    panel.loc[rng.permutation(len(panel))[:24], column] = np.nan
    matrix = matrix_from_ready_panel(
        panel, pair=["i", "j"], year="year", target="y", factors=world.factors, exposure="exposure"
    )
    assert 20 <= (matrix.rows["works"] == 0).sum() < 40
    assert audit(matrix) == []


def test_an_exposure_made_from_the_target() -> None:
    matrix = world_matrix("linear", seed=1)
    rows = matrix.rows.assign(exposure=matrix.rows["works"] + 1)
    found = audit(replace(matrix, rows=rows))
    assert [(f.kind, f.column) for f in found] == [("target", "exposure")]


def test_fifty_clean_worlds_raise_no_alarm() -> None:
    # Every kind of world, by three seeds or four: spans, sizes, zeros and noise of the recipes.
    worlds = list(itertools.product(range(10, 14), RECIPES))[:50]
    alarms = {
        (kind, seed): found
        for seed, kind in worlds
        if (found := audit(world_matrix(kind, seed, exposure=bool(seed % 2))))
    }
    assert len(worlds) == 50 and {kind for _, kind in worlds} == set(RECIPES) and alarms == {}


# --- rebuilding: exact, on the catalogue's own build -------------------------------------------

PANEL = random_panel(seed=5, years=range(1998, 2013))
YEARS = range(2006, 2013)


def built(factors, panel: pd.DataFrame = PANEL, focal: str | None = "CHN") -> FeatureMatrix:
    return build_features(panel, factors=factors, years=YEARS, focal=focal)


@pytest.mark.parametrize("focal", [None, "CHN"])
def test_the_whole_catalogue_is_clean(focal: str | None) -> None:
    factors = list(FACTORS.values())
    assert audit(built(factors, focal=focal), panel=PANEL, factors=factors) == []


def test_clean_studies_of_random_spans_and_sets_raise_no_alarm() -> None:
    rng = np.random.default_rng(7)
    for seed in range(3):
        panel = random_panel(seed=seed, missing=rng.uniform(0, 0.4))
        names = rng.choice(list(FACTORS), size=12, replace=False).tolist()
        factors = select_factors(names)
        first = int(rng.integers(2004, 2009))
        matrix = build_features(panel, factors=factors, years=range(first, 2013), focal="PAK")
        assert audit(matrix, panel=panel, factors=factors, seed=seed) == []


def test_pairs_that_all_share_one_country_raise_no_alarm() -> None:
    """Truth: a partner's works are there the pair's own, so their ratios are figures of a year."""
    panel = random_panel(seed=1, countries=("CHN", *"ABCDEFGHIJKLMNOP"), missing=0.0)
    panel = panel[(panel["country_a"] == "CHN") | (panel["country_b"] == "CHN")]
    factors = select_factors(["gdp", "population", "distance"])
    for end in ("a", "b"):  # a figure that grows year by year, as most do
        panel[f"population_{end}"] = 1e6 * 1.03 ** (panel["year"] - 2000)
    growth = 1.1 ** (panel["year"] - 2000)
    panel["works"] = np.random.default_rng(2).poisson(50 * growth).astype(float)
    matrix = build_features(panel, factors=factors, years=range(2005, 2013), focal="CHN")
    assert audit(matrix, panel=panel, factors=factors) == []


def test_a_factor_that_standardises_over_all_years() -> None:
    def over_all(table: pd.DataFrame) -> pd.Series:
        return (table["gdp_usd2015"] - table["gdp_usd2015"].mean()) / table["gdp_usd2015"].std()

    bad = replace(FACTORS["gdp"], name="gdp_z", function=over_all)
    found = audit(built([bad]), panel=PANEL, factors=[bad])
    assert {(f.kind, f.column) for f in found} == {
        ("fitted_over_years", "gdp_z_partner"),
        ("fitted_over_years", "gdp_z_focal"),
    }


def test_a_factor_that_shifts_rows_instead_of_years() -> None:
    def next_row(table: pd.DataFrame) -> pd.Series:
        return np.log(table["gdp_usd2015"].shift(-1))

    bad = replace(FACTORS["gdp"], function=next_row)
    found = audit(built([bad]), panel=PANEL, factors=[bad])
    assert {f.column for f in found} == {"gdp_partner", "gdp_focal"}
    assert {f.kind for f in found} <= {"fitted_over_years", "future"}


def test_a_factor_that_looks_into_the_panel_behind_the_builders_back() -> None:
    latest = PANEL.groupby("country_a")["gdp_usd2015_a"].last()

    def newest(table: pd.DataFrame) -> pd.Series:
        return table["iso3"].map(latest)

    # No figure of the panel moves it, but the entry says that it reads one: it cannot be rebuilt.
    honest = FACTORS["gdp"]
    matrix = built([replace(honest, function=newest)])
    found = audit(matrix, panel=PANEL, factors=[honest])
    assert {(f.kind, f.column) for f in found} == {
        ("not_as_declared", "gdp_partner"),
        ("not_as_declared", "gdp_focal"),
    }


def test_a_column_changed_after_building() -> None:
    factors = select_factors(["distance", "gdp"])
    matrix = built(factors)
    X = matrix.X.assign(distance=matrix.X["distance"] * 1.1)
    found = audit(replace(matrix, X=X), panel=PANEL, factors=factors)
    assert [(f.kind, f.column) for f in found] == [("not_as_declared", "distance")]


def test_a_factor_that_reads_years_after_the_observed_one() -> None:
    # An input two years *after* the observed year, by a slip of sign: lag 2 then knows the target
    # year. Nothing but the replacement of later figures by noise can show it.
    bad = replace(FACTORS["gdp"], inputs=("gdp_usd2015[--2]",), function=_log_of_only_input)
    found = audit(built([bad]), panel=PANEL, factors=[bad])
    assert {(f.kind, f.column) for f in found} == {
        ("future", "gdp_partner"),
        ("future", "gdp_focal"),
    }


def _log_of_only_input(table: pd.DataFrame) -> pd.Series:
    return np.log(table.iloc[:, -1])


def test_lag_nought_and_the_pairs_own_works() -> None:
    now = replace(FACTORS["gdp"], lag=0)
    past = replace(
        FACTORS["distance"], name="past", inputs=("works",), function=lambda t: t["works"]
    )
    found = audit(built([now, past]), panel=PANEL, factors=[now, past])
    assert ("lag", "gdp") in {(f.kind, f.column) for f in found}
    assert ("pair_past", "past") in {(f.kind, f.column) for f in found}


def test_a_pair_factor_that_takes_one_end_only() -> None:
    bad = replace(FACTORS["wealth_gap"], function=lambda t: t["gdp_per_head_usd2015_a"])
    found = audit(built([bad], focal=None), panel=PANEL, factors=[bad])
    assert [(f.kind, f.column) for f in found] == [("asymmetric", "wealth_gap")]
