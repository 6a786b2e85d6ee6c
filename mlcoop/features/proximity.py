"""Geographic proximity: how far apart, and what links the two places."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.features.factor import Factor, column, log, pairwise
from mlcoop.features.memberships import years_since
from mlcoop.sources.geography import solar_time_difference

CEPII = "CEPII GeoDist"
MAYER = "Mayer and Zignago (2011), CEPII working paper 2011-25, doi:10.2139/ssrn.1994531"
HOEKMAN = "Hoekman, Frenken and Tijssen (2010), doi:10.1016/j.respol.2010.01.012"


def time_difference(table: pd.DataFrame) -> pd.Series:
    """Return hours of solar time between the two capitals."""
    return pairwise(table, solar_time_difference)


def rail_years(table: pd.DataFrame) -> pd.Series:
    """Return log(1 + years) since a direct rail service linked the pair; 0 without one."""
    return np.log1p(years_since(table, "rail_corridors", "opened"))


FACTORS = (
    Factor(
        name="distance",
        label="Distance between main cities",
        group="proximity",
        unit="log km",
        source=CEPII,
        role="pair",
        inputs=("dist_km",),
        lag=1,
        carry=99,
        function=log("dist_km"),
        sign=-1,
        kind="log",
        definition="Natural logarithm of the great-circle distance between the main cities.",
        reference=f"{HOEKMAN}; data: {MAYER}",
    ),
    Factor(
        name="distance_capitals",
        label="Distance between capitals",
        group="proximity",
        unit="log km",
        source=CEPII,
        role="pair",
        inputs=("distcap_km",),
        lag=1,
        carry=99,
        function=log("distcap_km"),
        sign=-1,
        kind="log",
        definition="Natural logarithm of the great-circle distance between the capitals.",
        reference=MAYER,
        default=False,
    ),
    Factor(
        name="distance_weighted",
        label="Distance between populations",
        group="proximity",
        unit="log km",
        source=CEPII,
        role="pair",
        inputs=("distw_km",),
        lag=1,
        carry=99,
        function=log("distw_km"),
        sign=-1,
        kind="log",
        definition="Natural logarithm of the mean distance between the cities of both countries, "
        "weighted by their population.",
        reference=MAYER,
        default=False,
    ),
    Factor(
        name="border",
        label="Common land border",
        group="proximity",
        unit="0 or 1",
        source=CEPII,
        role="pair",
        inputs=("contiguous",),
        lag=1,
        carry=99,
        function=column("contiguous"),
        sign=1,
        kind="dummy",
        definition="1 if the two countries share a land border.",
        reference=MAYER,
    ),
    Factor(
        name="time_difference",
        label="Time difference",
        group="proximity",
        unit="hours",
        source="GeoNames capitals",
        role="pair",
        inputs=(),
        lag=1,
        function=time_difference,
        sign=-1,
        kind="gap",
        definition="Difference of longitude between the capitals in hours, 0 to 12: how little of "
        "the working day both share.",
        reference="Stein and Daude (2007), doi:10.1016/j.jinteco.2006.01.003",
    ),
    Factor(
        name="rail_link",
        label="Direct rail service",
        group="proximity",
        unit="log(1 + years)",
        source="mlcoop table rail_corridors",
        role="pair",
        inputs=(),
        lag=1,
        function=rail_years,
        sign=1,
        kind="years",
        definition="Logarithm of 1 plus the years since a border railway or a regular container "
        "train linked China with the country (at most 25); 0 for all other pairs.",
        reference="table rail_corridors.csv, tables/SOURCES.md",
    ),
)
