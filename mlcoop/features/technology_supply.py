"""Technology supply and transfer: patents, high-tech exports, networks, foreign investment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.features.economy_market import BANK, WDI
from mlcoop.features.factor import Factor, Function, Kind, column, log1p, positive

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


def _country(
    name: str,
    label: str,
    unit: str,
    inputs: tuple[str, ...],
    function: Function,
    kind: Kind,
    definition: str,
    *,
    lag: int = 2,
    carry: int = 3,
    reference: str = BANK,
    default: bool = True,
) -> Factor:
    return Factor(
        name=name,
        label=label,
        group="technology_supply",
        unit=unit,
        source=WDI,
        role="country",
        inputs=inputs,
        lag=lag,
        carry=carry,
        function=function,
        sign=1,
        kind=kind,
        definition=definition,
        reference=reference,
        default=default,
    )


FACTORS = (
    _country(
        "patents",
        "Patents per head",
        "log(1 + applications per million)",
        ("patents_resident", "population"),
        patents_per_million,
        "log",
        "Patent applications by residents per million people. WIPO's figures of a year come out "
        "at the end of the next and reach the World Bank later.",
        lag=3,
        reference=WIPO,
    ),
    _country(
        "patents_total",
        "Patents",
        "log(1 + applications)",
        ("patents_resident",),
        log1p("patents_resident"),
        "log",
        "Patent applications by residents.",
        lag=3,
        reference=WIPO,
        default=False,
    ),
    _country(
        "hightech_exports",
        "High-tech exports",
        "% of manufactured exports",
        ("hightech_exports_pct",),
        column("hightech_exports_pct"),
        "level",
        "Share of high-technology goods in manufactured exports.",
    ),
    _country(
        "internet",
        "Internet users",
        "%",
        ("internet_pct",),
        column("internet_pct"),
        "level",
        "Share of the population that uses the internet.",
    ),
    _country(
        "foreign_investment",
        "Foreign direct investment",
        "inverse hyperbolic sine of % of GDP",
        ("fdi_pct_gdp",),
        foreign_investment,
        "level",
        "Net inflow of foreign direct investment over gross domestic product, the channel of "
        "technology transfer that most countries report.",
    ),
    _country(
        "royalties_paid",
        "Royalties paid abroad",
        "log(1 + USD)",
        ("royalties_paid_usd",),
        log1p("royalties_paid_usd"),
        "log",
        "Charges for the use of intellectual property paid to other countries, current USD: "
        "technology that a country takes in.",
        reference="World Bank, World Development Indicators, indicator BM.GSR.ROYL.CD",
        default=False,
    ),
    _country(
        "royalties_received",
        "Royalties received from abroad",
        "log(1 + USD)",
        ("royalties_received_usd",),
        log1p("royalties_received_usd"),
        "log",
        "Charges for the use of intellectual property received from other countries, current USD: "
        "technology that a country gives out.",
        reference="World Bank, World Development Indicators, indicator BX.GSR.ROYL.CD",
        default=False,
    ),
    _country(
        "renewable_electricity",
        "Electricity from new renewables",
        "%",
        ("renewable_electricity_pct",),
        column("renewable_electricity_pct"),
        "level",
        "Share of electricity from wind, sun, biomass, tides and geothermal heat, without hydro. "
        "It tells how much of the technology a country uses, not what it makes or exports.",
        lag=3,
        carry=5,
        reference="World Bank, World Development Indicators, indicator EG.ELC.RNWX.ZS",
        default=False,
    ),
    Factor(
        name="technology_gap",
        label="Gap of patents per head",
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
