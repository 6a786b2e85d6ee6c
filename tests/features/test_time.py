"""No feature knows the future: invariants over every factor of the catalogue."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_panels import random_panel

from mlcoop.features.build import build_features
from mlcoop.features.catalogue import FACTORS, PAIR_INPUTS, split_input
from mlcoop.schema import PAIR

ALL = list(FACTORS.values())
PANEL = random_panel()
LAGS = sorted({factor.lag for factor in ALL})


def scramble(panel: pd.DataFrame, known: int, rng: np.random.Generator) -> pd.DataFrame:
    """Replace every figure after the year `known` by noise, and some by nothing."""
    later = (panel["year"] > known).to_numpy()
    columns = [c for c in panel.columns if c not in (*PAIR, "year")]
    noise = np.exp(rng.normal(size=(later.sum(), len(columns))) * 3)
    noise[rng.random(noise.shape) < 0.2] = np.nan
    changed = panel.copy()
    changed.loc[later, columns] = noise
    return changed


@cache
def features_of_panel(year: int, lag: int, focal: str | None) -> pd.DataFrame:
    factors = [factor for factor in ALL if factor.lag == lag]
    return build_features(PANEL, factors=factors, years=[year], focal=focal).X


@given(seed=st.integers(0, 10_000), year=st.integers(2008, 2013), lag=st.sampled_from(LAGS))
@settings(max_examples=25)
def test_values_not_yet_known_move_no_feature(seed: int, year: int, lag: int) -> None:
    # A factor with lag l may use nothing observed after year - l.
    factors = [factor for factor in ALL if factor.lag == lag]
    known = year - lag
    assume(known < PANEL["year"].max())  # else there is nothing later to change
    changed = scramble(PANEL, known, np.random.default_rng(seed))
    for focal in (None, "CHN"):
        changed_X = build_features(changed, factors=factors, years=[year], focal=focal).X
        pd.testing.assert_frame_equal(changed_X, features_of_panel(year, lag, focal))


@pytest.mark.parametrize("name", [n for n, f in FACTORS.items() if f.inputs])
def test_the_newest_value_allowed_does_move_the_feature(name: str) -> None:
    # Else the test above would pass for a factor that reads nothing.
    factor = FACTORS[name]
    full = random_panel(seed=3, missing=0.0)
    kwargs = {"factors": [factor], "years": [2012]}
    before = build_features(full, **kwargs).X
    observed = full["year"] == 2012 - factor.lag
    changed = full.copy()
    for input_ in factor.inputs:
        variable, back = split_input(input_)
        ends = [variable] if variable in PAIR_INPUTS else [f"{variable}_a"]
        if back == 0:
            changed.loc[observed, ends] = full.loc[observed, ends] * 1.7 + 0.3
    assert not np.allclose(before, build_features(changed, **kwargs).X)


@given(seed=st.integers(0, 1000))
@settings(max_examples=4)
def test_rows_in_any_order_and_ends_either_way_round(seed: int) -> None:
    kwargs = {"factors": ALL, "years": range(2008, 2014), "focal": "CHN"}
    expected = build_features(PANEL, **kwargs)
    shuffled = PANEL.sample(frac=1, random_state=seed)
    found = build_features(shuffled, **kwargs)
    pd.testing.assert_frame_equal(found.X, expected.X)
    pd.testing.assert_frame_equal(found.rows, expected.rows)
    # Ends exchanged in every row: the same figures stand against the same focal and partner.
    renamed = {
        f"{v[:-2]}{e}": f"{v[:-2]}{o}"
        for v in PANEL
        if v.endswith("_a")
        for e, o in (("_a", "_b"), ("_b", "_a"))
    }
    turned = build_features(shuffled.rename(columns=renamed), **kwargs)
    keys = ["focal", "partner", "year"]
    order = turned.rows.reset_index().merge(expected.rows[keys], on=keys, how="right")["index"]
    pd.testing.assert_frame_equal(
        turned.X.loc[order].reset_index(drop=True), expected.X, check_exact=False, rtol=1e-6
    )


def test_a_year_built_alone_equals_the_same_year_among_others() -> None:
    # Nothing is learnt across years.
    many = build_features(PANEL, factors=ALL, years=range(2005, 2014))
    for year in (2005, 2013):
        alone = build_features(PANEL, factors=ALL, years=[year])
        rows = (many.rows["year"] == year).to_numpy()
        assert alone.X.equals(many.X[rows].reset_index(drop=True))


def test_dropping_a_country_leaves_the_others_features() -> None:
    # Nothing is learnt across countries.
    kept = PANEL[(PANEL["country_a"] != "KAZ") & (PANEL["country_b"] != "KAZ")]
    all_ = build_features(PANEL, factors=ALL, years=[2010])
    fewer = build_features(kept, factors=ALL, years=[2010])
    rows = ~(all_.rows[PAIR] == "KAZ").any(axis=1)
    assert fewer.X.equals(all_.X[rows].reset_index(drop=True))


def test_the_year_to_be_forecast_uses_all_counts_and_nothing_later() -> None:
    matrix = build_features(PANEL, factors=ALL, years=[2013])
    assert matrix.rows["year"].unique().tolist() == [2013]
    assert matrix.rows["works"].isna().all()
    # International works have lag 1: the newest figure is that of 2012.
    cell = matrix.rows.query("focal == 'CHN' and partner == 'DEU'").index[0]
    row = PANEL.query("country_a == 'CHN' and country_b == 'DEU' and year == 2012").iloc[0]
    expected = np.log1p(row["international_works_a"] - row["works"])
    assert matrix.X.at[cell, "works_with_others_focal"] == pytest.approx(expected, rel=1e-6)
