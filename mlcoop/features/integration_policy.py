"""Integration and policy: blocs, agreements and programmes that both countries are in."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from mlcoop.features.factor import Factor, column
from mlcoop.features.memberships import (
    bilateral_agreements,
    shared_memberships,
    years_since_belt_and_road,
)


def economic_blocs(table: pd.DataFrame) -> pd.Series:
    """Return how many economic blocs and plurilateral agreements both are in."""
    return shared_memberships(table, "blocs", ["economic"])


def trade_agreement(table: pd.DataFrame) -> pd.Series:
    """Return 1 where any trade agreement, of a bloc or bilateral, is in force between the two."""
    return ((economic_blocs(table) + bilateral_agreements(table)) > 0).astype(float)


def forums(table: pd.DataFrame) -> pd.Series:
    """Return how many political forums both are in."""
    return shared_memberships(table, "blocs", ["forum"])


def belt_and_road(table: pd.DataFrame) -> pd.Series:
    """Return log(1 + years) since China's partner joined the Belt and Road; 0 elsewhere."""
    return np.log1p(years_since_belt_and_road(table))


def eu_framework(table: pd.DataFrame) -> pd.Series:
    """Return 1 where both are in, or associated to, the EU framework programme."""
    return shared_memberships(table, "research_programmes", ["programme"])


def laboratories(table: pd.DataFrame) -> pd.Series:
    """Return how many intergovernmental laboratories both are members of."""
    return shared_memberships(table, "research_programmes", ["laboratory"])


def experiments(table: pd.DataFrame) -> pd.Series:
    """Return how many of the large LHC experiments both have institutes in."""
    return shared_memberships(table, "research_programmes", ["experiment"])


_club = partial(Factor, group="integration_policy", role="pair", inputs=(), lag=1, sign=1)

FACTORS = (
    _club(
        name="economic_blocs",
        label="Shared economic blocs",
        unit="blocs",
        source="mlcoop table blocs",
        function=economic_blocs,
        kind="count",
        definition="Number of customs unions, free trade areas and plurilateral agreements in "
        "force that both countries belong to.",
        reference="Baier and Bergstrand (2007), doi:10.1016/j.jinteco.2006.02.005",
    ),
    _club(
        name="trade_agreement",
        label="Trade agreement in force",
        unit="0 or 1",
        source="mlcoop table blocs and agreements",
        function=trade_agreement,
        kind="dummy",
        definition="1 if an economic bloc or a bilateral agreement listed in the tables is in "
        "force between the two.",
        reference="Baier and Bergstrand (2007), doi:10.1016/j.jinteco.2006.02.005",
    ),
    Factor(
        name="trade_agreement_wto",
        label="Trade agreement notified to the WTO",
        group="integration_policy",
        unit="0 or 1",
        source="CEPII Gravity, imported",
        role="pair",
        inputs=("trade_agreement_wto",),
        lag=2,
        carry=3,
        function=column("trade_agreement_wto"),
        sign=1,
        kind="dummy",
        definition="1 if a regional trade agreement between the two stands in the WTO's database. "
        "Says nearly the same as trade_agreement, for more countries and fewer years.",
        reference="Baier and Bergstrand (2007), doi:10.1016/j.jinteco.2006.02.005",
        default=False,
    ),
    _club(
        name="forums",
        label="Shared political forums",
        unit="forums",
        source="mlcoop table blocs",
        function=forums,
        kind="count",
        definition="Number of political organisations (OECD, SCO, BRICS, APEC, OIC and others of "
        "the table) that both countries belong to.",
        reference="Pevehouse et al. (2020), doi:10.1177/0022343319881175",
    ),
    _club(
        name="belt_and_road",
        label="Belt and Road agreement",
        unit="log(1 + years)",
        source="mlcoop table belt_and_road",
        function=belt_and_road,
        kind="years",
        definition="Logarithm of 1 plus the years since China's partner signed its first document "
        "on the Belt and Road, the year of signing counting as 1; 0 before, and for pairs without "
        "China.",
        reference="table belt_and_road.csv, tables/SOURCES.md",
    ),
    _club(
        name="eu_framework",
        label="EU framework programme",
        unit="0 or 1",
        source="mlcoop table research_programmes",
        function=eu_framework,
        kind="dummy",
        definition="1 if both countries are members of the European Union or associated to its "
        "framework programme for research.",
        reference="Hoekman et al. (2013), doi:10.1093/jeg/lbs011",
    ),
    _club(
        name="laboratories",
        label="Shared laboratories",
        unit="laboratories",
        source="mlcoop table research_programmes",
        function=laboratories,
        kind="count",
        definition="Number of CERN (members and associates apart), ESA, ESO and JINR that both "
        "belong to.",
        reference="table research_programmes.csv, tables/SOURCES.md",
    ),
    _club(
        name="experiments",
        label="Shared LHC experiments",
        unit="experiments",
        source="mlcoop table research_programmes",
        function=experiments,
        kind="count",
        definition="Number of ATLAS, CMS and ALICE in which both countries have institutes. Their "
        "papers carry every member's address and weigh much under full counting.",
        reference="ATLAS Collaboration (2008), doi:10.1088/1748-0221/3/08/S08003",
    ),
)
