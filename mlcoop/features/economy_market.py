"""Economy and market: size, wealth, openness, and the gap between the two."""

from __future__ import annotations

import pandas as pd

from mlcoop.features.factor import Factor, Function, Kind, column, log, log1p, log_gap

WDI = "World Development Indicators"
BANK = "World Bank, World Development Indicators"
GRAVITY = "Head and Mayer (2014), doi:10.1016/B978-0-444-54314-1.00003-3"
ACOSTA = "Acosta et al. (2011), doi:10.1007/s11192-010-0305-6"


def _country(
    name: str,
    label: str,
    unit: str,
    input_: str,
    function: Function,
    kind: Kind,
    definition: str,
    reference: str,
    default: bool = True,
    carry: int = 3,
) -> Factor:
    return Factor(
        name=name,
        label=label,
        group="economy_market",
        unit=unit,
        source=WDI,
        role="country",
        inputs=(input_,),
        lag=2,
        carry=carry,
        function=function,
        sign=1,
        kind=kind,
        definition=f"{definition} Figures of a year come out in the middle of the next.",
        reference=reference,
        default=default,
    )


def gdp_product(table: pd.DataFrame) -> pd.Series:
    """Return the log of the product of both economies, the mass term of the gravity model."""
    return log("gdp_usd2015_a")(table) + log("gdp_usd2015_b")(table)


FACTORS = (
    _country(
        "gdp",
        "Size of the economy",
        "log USD of 2015",
        "gdp_usd2015",
        log("gdp_usd2015"),
        "log",
        "Natural logarithm of gross domestic product at constant prices.",
        GRAVITY,
    ),
    _country(
        "gdp_per_head",
        "Wealth per head",
        "log USD of 2015",
        "gdp_per_head_usd2015",
        log("gdp_per_head_usd2015"),
        "log",
        "Natural logarithm of gross domestic product per head at constant prices.",
        ACOSTA,
    ),
    _country(
        "population",
        "Population",
        "log persons",
        "population",
        log("population"),
        "log",
        "Natural logarithm of the population.",
        GRAVITY,
    ),
    _country(
        "trade_openness",
        "Merchandise trade",
        "% of GDP",
        "merchandise_trade_pct_gdp",
        column("merchandise_trade_pct_gdp"),
        "level",
        "Merchandise exports plus imports over gross domestic product.",
        BANK,
    ),
    _country(
        "exports",
        "Exports of goods and services",
        "% of GDP",
        "exports_pct_gdp",
        column("exports_pct_gdp"),
        "level",
        "Exports of goods and services over gross domestic product.",
        BANK,
    ),
    _country(
        "urban",
        "Urban population",
        "%",
        "urban_pct",
        column("urban_pct"),
        "level",
        "Share of the population that lives in towns.",
        BANK,
    ),
    _country(
        "migrants",
        "Migrants among the population",
        "%",
        "migrants_pct",
        column("migrants_pct"),
        "level",
        "Share of residents born abroad, estimated every five years and carried forward: how far "
        "people have come to live, not how many researchers move.",
        "World Bank, World Development Indicators, indicator SM.POP.TOTL.ZS",
        default=False,
        carry=5,
    ),
    _country(
        "tourist_arrivals",
        "Visitors from abroad",
        "log(1 + arrivals)",
        "tourist_arrivals",
        log1p("tourist_arrivals"),
        "log",
        "Overnight visitors from abroad, whatever brings them; the series ends in 2020.",
        "World Bank, World Development Indicators, indicator ST.INT.ARVL",
        default=False,
    ),
    Factor(
        name="bilateral_trade",
        label="Trade between the two",
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
        "summed, in thousand current USD. A flow that neither end reports is missing, not zero. "
        "Figures of a year come out at the start of the second year after it.",
        reference="Gaulier and Zignago (2010), CEPII working paper 2010-23, "
        "doi:10.2139/ssrn.1994500",
        default=False,
    ),
    Factor(
        name="wealth_gap",
        label="Gap of wealth per head",
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
        label="Gap of economic size",
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
        label="Product of both economies",
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
