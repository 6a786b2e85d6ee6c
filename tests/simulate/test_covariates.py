"""Covariates of planted worlds: what is real in them is real, and moves as it should."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlcoop.simulate.covariates import NEAR_KM, shared_by_neighbours, world_covariates
from mlcoop.sources import geography
from mlcoop.tables import bloc_members, load


def draw(seed: int, **settings: object) -> pd.DataFrame:
    given = {"pairs": 60, "years": 6, "factors": 15, "countries": 0, "lifelike": False}
    return world_covariates(**{**given, **settings}, rng=np.random.default_rng(seed))


def test_ties_are_those_of_geography():
    """Recomputed pair by pair from the sources that the columns are named after."""
    table = draw(1, countries=14)
    for row in table[table["year"] == 2007].itertuples():
        place = geography.ties([row.i, row.j]).iloc[0]
        assert row.distance == pytest.approx(np.log(place["dist_km"]))
        assert row.border == place["contiguous"]
        assert row.time_difference == geography.solar_time_difference(row.i, row.j)
        spoken = geography.common_spoken_language(row.i, row.j)
        assert row.spoken_language == (0.0 if np.isnan(spoken) else spoken)


def test_a_bloc_is_shared_in_the_years_of_both_memberships():
    table = draw(2, countries=14, years=12)
    blocs = load("blocs")["bloc"].unique()
    for year, rows in table.groupby("year"):
        members = [set(bloc_members(b, int(year))) for b in blocs]
        by_hand = [
            any({i, j} <= m for m in members) for i, j in zip(rows["i"], rows["j"], strict=True)
        ]
        assert rows["bloc"].astype(bool).tolist() == by_hand
    assert 0 < table["bloc"].mean() < 1


def test_population_is_that_of_the_partner():
    table = draw(3)
    first = table[table["year"] == 2005]
    real = np.log(geography.populations(first["j"]).loc[first["j"]].to_numpy())
    assert np.abs(first["population"].to_numpy() - real).max() < 0.05


def test_both_ends_count_alike_where_both_vary():
    table = draw(4, countries=12)
    first = table[table["year"] == 2005]
    people = geography.populations({*first["i"], *first["j"]})
    mean = (np.log(people[first["i"]]).to_numpy() + np.log(people[first["j"]]).to_numpy()) / 2
    assert np.abs(first["population"].to_numpy() - mean).max() < 0.05


def test_lifelike_figures_move_together():
    """Real ones: output and population of the world's countries correlate by 0.8 or so in logs,
    output and articles by 0.9, scores of government by 0.9; independent series by a fifth."""
    found = [draw(s, lifelike=True, factors=17).corr(numeric_only=True) for s in range(8)]
    mean = sum(found) / len(found)
    assert mean.loc["gdp", "population"] > 0.6
    assert mean.loc["gdp", "articles"] > 0.8
    assert mean.loc["rule_of_law", "corruption_control"] > 0.75
    apart = np.mean(
        [draw(s).corr(numeric_only=True).loc["national_06", "national_13"] for s in range(8)]
    )
    assert apart < 0.5


def test_every_factor_tells_some_pairs_from_others():
    for seed in range(12):
        table = draw(seed, pairs=59, factors=20)
        moved = table.drop(columns=["i", "j", "year"]).groupby([table["i"], table["j"]]).mean()
        assert (moved.nunique() > 1).all(), moved.nunique()
        assert not table.duplicated(["i", "j", "year"]).any() and not table.isna().any().any()


def test_near_countries_share_figures_as_their_distance_has_it():
    """By formula, over 4,000 draws, one of which is of a place that is not known."""
    names = ["FRA", "BEL", "MAR", "NZL", "lab"]
    rng = np.random.default_rng(0)
    drawn = np.array([shared_by_neighbours(names, rng) for _ in range(4000)])
    wanted = np.exp(-((geography.kilometres_between(names) / NEAR_KM) ** 2))
    wanted = np.where(np.eye(5, dtype=bool), 1.0, np.nan_to_num(wanted))
    assert np.cov(drawn.T) == pytest.approx(wanted, abs=0.07)  # three standard errors
    assert wanted[0, 1] > 0.9 and 0.2 < wanted[0, 2] < 0.6 and wanted[0, 3] < 1e-6


def test_regional_figures_have_the_same_variance_and_are_alike_near_by():
    """Drawn ones of sixty worlds: the share asked for of what two figures of near pairs share."""
    for regional in (0.0, 0.8):
        near, size = [], []
        for seed in range(60):
            table = draw(seed, regional=regional, pairs=20, years=2)
            first = table[table["year"] == 2005].reset_index(drop=True)
            apart = geography.kilometres_between(first["j"])
            a, b = np.nonzero(np.triu(apart < 500, 1))
            for name in (c for c in first if c.startswith("static")):
                value = first[name].to_numpy()
                near.extend(value[a] * value[b])
                size.extend(value**2)
        assert np.mean(size) == pytest.approx(1.0, abs=0.2)
        if not regional:
            assert np.mean(near) == pytest.approx(0.0, abs=0.2)
        else:
            assert 0.6 < np.mean(near) / np.mean(size) < 0.9
