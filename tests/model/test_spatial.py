"""Spatial effects: their covariance by hand, and what they do for a factor that runs by place."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from mlcoop.model import spatial
from mlcoop.model.learners import LEARNERS
from mlcoop.model.linear_boosting import LinearBoosting
from mlcoop.model.spatial import RANGE_KM, countries_of, knows_places, spatial_columns
from mlcoop.sources.geography import kilometres_between
from mlcoop.tables import group_members

GROUPS = ("belt-and-road", "africa", "eu")
PARTNERS = sorted({c for g in GROUPS for c in group_members(g)})[::2][:60]


@pytest.mark.parametrize("pairs", ["one focal", "all"])
def test_pairs_covary_as_the_exponential_of_distance_has_it(pairs, monkeypatch) -> None:
    """By hand, pair by pair: the sum of four correlations of countries, less means of rows and
    columns, to a mean variance of one."""
    ends = list(combinations(PARTNERS[:25], 2))
    if pairs == "one focal":
        ends = [("CHN", p) for p in PARTNERS]
    names = sorted({c for e in ends for c in e})
    apart = pd.DataFrame(kilometres_between(names), names, names)
    ends = ends[:60]
    wanted = np.array(
        [
            [sum(np.exp(-apart.loc[a, b] / RANGE_KM) for a in one for b in other) for other in ends]
            for one in ends
        ]
    )
    wanted -= wanted.mean(axis=0)
    wanted -= wanted.mean(axis=1, keepdims=True)
    found = countries_of("|".join(e) for e in ends)
    assert found is not None
    monkeypatch.setattr(spatial, "MOST_COLUMNS", 1000)
    columns = spatial_columns(*found)
    assert columns @ columns.T == pytest.approx(wanted / np.diag(wanted).mean())
    monkeypatch.undo()
    few = spatial_columns(*found)
    assert few.shape[1] == 10
    values = np.linalg.eigvalsh(columns @ columns.T)[
        ::-1
    ]  # Eckart and Young: none of rank ten is nearer
    left = columns @ columns.T - few @ few.T  # Eckart and Young: none of rank ten leaves less
    assert np.linalg.norm(left) == pytest.approx(np.sqrt((values[10:] ** 2).sum()))


def test_places_must_be_known_and_of_twenty_countries() -> None:
    twenty = [f"CHN|{p}" for p in PARTNERS[:19]]
    assert knows_places(twenty) and knows_places([*twenty, "CHN|lab"])
    assert not knows_places(twenty[1:])
    assert not knows_places([f"CHN|lab {k}" for k in range(60)])
    assert not knows_places([*twenty, "a pair of no two countries"])


def z_of_an_idle_factor(seed: int, focal: str) -> float:
    """Its effect over its standard error where it and what the panel lacks run by place."""
    rng = np.random.default_rng(seed)
    near = np.exp(-kilometres_between(PARTNERS) / RANGE_KM)
    shared = np.linalg.cholesky(near) @ rng.normal(size=(len(PARTNERS), 2))
    idle, lacking = (shared + 0.3 * rng.normal(size=shared.shape)).T
    driver = rng.normal(size=len(PARTNERS))
    years = 8
    y = rng.poisson(np.exp(3 + 0.5 * driver + 0.5 * lacking).repeat(years))
    X = pd.DataFrame({"idle": idle, "driver": driver}).loc[np.arange(len(PARTNERS)).repeat(years)]
    names = np.repeat([f"{focal}|{p}" if focal else f"CHN|x{p}" for p in PARTNERS], years)
    params = LEARNERS["linear_boosting"].defaults | {"smooth": False, "products": False}
    model = LinearBoosting(params, 0).fit(
        X, y, pairs=names, years=np.tile(np.arange(years), len(PARTNERS))
    )
    assert model.spatial == bool(focal)
    return float(model.fit_.coef[1] / np.sqrt(model.fit_.covariance[1, 1]))


def test_a_factor_that_runs_by_place_is_not_credited_with_what_neighbours_share() -> None:
    """Planted: an idle factor and what the panel lacks are as alike among neighbours. Its z is of
    standard deviation one if errors are right; without known places it is far more."""
    z = np.array(
        [[z_of_an_idle_factor(seed, focal) for seed in range(60)] for focal in ("CHN", "")]
    )
    with_places, without = np.sqrt((z**2).mean(axis=1))
    assert with_places < 1.25 < 1.5 < without
