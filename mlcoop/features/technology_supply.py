"""Technology supply and transfer: patents, high-tech exports, networks, foreign investment."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from mlcoop.features.economy_market import BANK, WDI
from mlcoop.features.factor import Factor, column, log1p, positive

WIPO = "WIPO through the World Bank, World Development Indicators"


def patents_per_million(table: pd.DataFrame) -> pd.Series:
    """Return log(1 + resident patent applications per million people)."""
    return np.log1p(_per_million(table, ""))


def technology_gap(table: pd.DataFrame) -> pd.Series:
    """Return the absolute difference of both countries' patents_per_million."""
    return (np.log1p(_per_million(table, "_a")) - np.log1p(_per_million(table, "_b"))).abs()


def foreign_investment(table: pd.DataFrame) -> pd.Series:
    """Return net inflow of foreign direct investment, drawn in at the extremes.

    A few financial centres report inflows above their product, in either direction; the inverse
    hyperbolic sine keeps their order and sign without their size.
    """
    return np.arcsinh(table["fdi_pct_gdp"])


def _per_million(table: pd.DataFrame, end: str) -> pd.Series:
    return table[f"patents_resident{end}"] / positive(table[f"population{end}"]) * 1e6


_country = partial(
    Factor,
    group="technology_supply",
    source=WDI,
    role="country",
    lag=2,
    carry=3,
    sign=1,
    reference=BANK,
)

FACTORS = (
    _country(
        name="patents",
        label="Patents per capita",
        unit="log(1 + applications per million)",
        inputs=("patents_resident", "population"),
        lag=3,
        function=patents_per_million,
        kind="log",
        definition="Patent applications by residents per million people. WIPO's data for a year "
        "are published at the end of the next and reach the World Bank later.",
        reference=WIPO,
    ),
    _country(
        name="patents_total",
        label="Patents",
        unit="log(1 + applications)",
        inputs=("patents_resident",),
        lag=3,
        function=log1p("patents_resident"),
        kind="log",
        definition="Patent applications by residents.",
        reference=WIPO,
        default=False,
    ),
    _country(
        name="hightech_exports",
        label="High-tech exports",
        unit="% of manufactured exports",
        inputs=("hightech_exports_pct",),
        function=column("hightech_exports_pct"),
        kind="level",
        definition="Share of high-technology goods in manufactured exports.",
    ),
    _country(
        name="internet",
        label="Internet users",
        unit="%",
        inputs=("internet_pct",),
        function=column("internet_pct"),
        kind="level",
        definition="Share of the population that uses the internet.",
    ),
    _country(
        name="foreign_investment",
        label="Foreign direct investment",
        unit="inverse hyperbolic sine of % of GDP",
        inputs=("fdi_pct_gdp",),
        function=foreign_investment,
        kind="level",
        definition="Net inflow of foreign direct investment over gross domestic product, the "
        "channel of technology transfer that most countries report.",
    ),
    _country(
        name="royalties_paid",
        label="Royalties paid abroad",
        unit="log(1 + USD)",
        inputs=("royalties_paid_usd",),
        function=log1p("royalties_paid_usd"),
        kind="log",
        definition="Charges for the use of intellectual property paid to other countries, current "
        "USD: technology that a country takes in.",
        reference="World Bank, World Development Indicators, indicator BM.GSR.ROYL.CD",
        default=False,
    ),
    _country(
        name="royalties_received",
        label="Royalties received from abroad",
        unit="log(1 + USD)",
        inputs=("royalties_received_usd",),
        function=log1p("royalties_received_usd"),
        kind="log",
        definition="Charges for the use of intellectual property received from other countries, "
        "current USD: technology that a country gives out.",
        reference="World Bank, World Development Indicators, indicator BX.GSR.ROYL.CD",
        default=False,
    ),
    _country(
        name="renewable_electricity",
        label="Electricity from new renewables",
        unit="%",
        inputs=("renewable_electricity_pct",),
        lag=3,
        carry=5,
        function=column("renewable_electricity_pct"),
        kind="level",
        definition="Share of electricity from wind, sun, biomass, tides and geothermal heat, "
        "without hydro. It shows how much of the technology a country uses, not what it makes or "
        "exports.",
        reference="World Bank, World Development Indicators, indicator EG.ELC.RNWX.ZS",
        default=False,
    ),
    Factor(
        name="technology_gap",
        label="Patents per capita gap",
        group="technology_supply",
        unit="absolute difference of logs",
        source=WDI,
        role="pair",
        inputs=("patents_resident", "population"),
        lag=3,
        carry=3,
        function=technology_gap,
        sign=-1,
        kind="gap",
        definition="Absolute difference of both countries' logarithm of 1 plus patent "
        "applications by residents per million people.",
        reference="Boschma (2005), doi:10.1080/0034340052000320887",
    ),
)
