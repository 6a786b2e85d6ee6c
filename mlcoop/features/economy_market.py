"""Economy and market: size, wealth, openness, and the gap between the two."""

from __future__ import annotations

from functools import partial

import pandas as pd

from mlcoop.features.factor import Factor, column, log, log1p, log_gap

WDI = "World Development Indicators"
BANK = "World Bank, World Development Indicators"
GRAVITY = "Head and Mayer (2014), doi:10.1016/B978-0-444-54314-1.00003-3"
ACOSTA = "Acosta et al. (2011), doi:10.1007/s11192-010-0305-6"
OUT_NEXT_YEAR = "Values for a year are published in the middle of the next."


def gdp_product(table: pd.DataFrame) -> pd.Series:
    """Return the log of the product of both economies, the mass term of the gravity model."""
    return log("gdp_usd2015_a")(table) + log("gdp_usd2015_b")(table)


_country = partial(
    Factor, group="economy_market", source=WDI, role="country", lag=2, carry=3, sign=1
)

FACTORS = (
    _country(
        name="gdp",
        label="GDP",
        unit="log USD of 2015",
        inputs=("gdp_usd2015",),
        function=log("gdp_usd2015"),
        kind="log",
        definition="Natural logarithm of gross domestic product at constant prices. "
        + OUT_NEXT_YEAR,
        reference=GRAVITY,
    ),
    _country(
        name="gdp_per_head",
        label="GDP per capita",
        unit="log USD of 2015",
        inputs=("gdp_per_head_usd2015",),
        function=log("gdp_per_head_usd2015"),
        kind="log",
        definition="Natural logarithm of gross domestic product per head at constant prices. "
        + OUT_NEXT_YEAR,
        reference=ACOSTA,
    ),
    _country(
        name="population",
        label="Population",
        unit="log persons",
        inputs=("population",),
        function=log("population"),
        kind="log",
        definition="Natural logarithm of the population. " + OUT_NEXT_YEAR,
        reference=GRAVITY,
    ),
    _country(
        name="trade_openness",
        label="Merchandise trade",
        unit="% of GDP",
        inputs=("merchandise_trade_pct_gdp",),
        function=column("merchandise_trade_pct_gdp"),
        kind="level",
        definition="Merchandise exports plus imports over gross domestic product. " + OUT_NEXT_YEAR,
        reference=BANK,
    ),
    _country(
        name="exports",
        label="Exports of goods and services",
        unit="% of GDP",
        inputs=("exports_pct_gdp",),
        function=column("exports_pct_gdp"),
        kind="level",
        definition="Exports of goods and services over gross domestic product. " + OUT_NEXT_YEAR,
        reference=BANK,
    ),
    _country(
        name="urban",
        label="Urban population",
        unit="%",
        inputs=("urban_pct",),
        function=column("urban_pct"),
        kind="level",
        definition="Share of the population that lives in towns. " + OUT_NEXT_YEAR,
        reference=BANK,
    ),
    _country(
        name="migrants",
        label="Migrant share of population",
        unit="%",
        inputs=("migrants_pct",),
        carry=5,
        function=column("migrants_pct"),
        kind="level",
        definition="Share of residents born abroad, estimated every five years and carried "
        "forward: how far people have come to live, not how many researchers move. "
        + OUT_NEXT_YEAR,
        reference="World Bank, World Development Indicators, indicator SM.POP.TOTL.ZS",
        default=False,
    ),
    _country(
        name="tourist_arrivals",
        label="International tourist arrivals",
        unit="log(1 + arrivals)",
        inputs=("tourist_arrivals",),
        function=log1p("tourist_arrivals"),
        kind="log",
        definition="Overnight visitors from abroad, whatever brings them; the series ends in 2020. "
        + OUT_NEXT_YEAR,
        reference="World Bank, World Development Indicators, indicator ST.INT.ARVL",
        default=False,
    ),
    Factor(
        name="bilateral_trade",
        label="Bilateral trade",
        group="economy_market",
        unit="log(1 + thousand USD)",
        source="CEPII BACI or Gravity, imported",
        role="pair",
        inputs=("trade_kusd",),
        lag=3,
        carry=3,
        function=log1p("trade_kusd"),
        sign=1,
        kind="log",
        definition="Logarithm of 1 plus goods traded between the two countries, both directions "
        "summed, in thousand current USD. A flow that neither country reports is missing, not "
        "zero. Values for a year are published at the start of the second year after it.",
        reference="Gaulier and Zignago (2010), CEPII working paper 2010-23, "
        "doi:10.2139/ssrn.1994500",
        default=False,
    ),
    Factor(
        name="wealth_gap",
        label="GDP per capita gap",
        group="economy_market",
        unit="absolute log ratio",
        source=WDI,
        role="pair",
        inputs=("gdp_per_head_usd2015",),
        lag=2,
        carry=3,
        function=log_gap("gdp_per_head_usd2015"),
        sign=-1,
        kind="gap",
        definition="Absolute logarithm of the ratio of both countries' product per head.",
        reference=ACOSTA,
    ),
    Factor(
        name="size_gap",
        label="GDP gap",
        group="economy_market",
        unit="absolute log ratio",
        source=WDI,
        role="pair",
        inputs=("gdp_usd2015",),
        lag=2,
        carry=3,
        function=log_gap("gdp_usd2015"),
        sign=0,
        kind="gap",
        definition="Absolute logarithm of the ratio of both countries' gross domestic product.",
        reference=GRAVITY,
    ),
    Factor(
        name="gdp_product",
        label="Product of both GDPs",
        group="economy_market",
        unit="log USD² of 2015",
        source=WDI,
        role="pair",
        inputs=("gdp_usd2015",),
        lag=2,
        carry=3,
        function=gdp_product,
        sign=1,
        kind="log",
        definition="Logarithm of the product of both countries' gross domestic product.",
        reference=GRAVITY,
        default=False,
    ),
)
