"""Research strength of either country, apart for partner and focal country."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from mlcoop.features.factor import Factor, column, log, log1p, log_gap, positive

NSF = "NCSES, Science and Engineering Indicators"
UIS = "UNESCO Institute for Statistics through the World Bank"
COUNTS = "the study's source of counts"
WAGNER = "Wagner and Leydesdorff (2005), doi:10.1016/j.respol.2005.08.002"
GLANZEL = "Glänzel and Schubert (2005), doi:10.1007/1-4020-2755-9_12"


def _others(table: pd.DataFrame) -> pd.Series:
    # Without the pair's own works: a country's total holds the pair's past, which no factor may.
    return (table["international_works"] - table["works"]).clip(lower=0)


def works_with_others(table: pd.DataFrame) -> pd.Series:
    """Return log(1 + international works of the country in which the other has no part)."""
    return np.log1p(_others(table))


def works_with_others_per_head(table: pd.DataFrame) -> pd.Series:
    """Return log(1 + international works with others per million people)."""
    return np.log1p(_others(table) / positive(table["population"]) * 1e6)


def openness(table: pd.DataFrame) -> pd.Series:
    """Return the log ratio of international works with others to the country's articles."""
    return np.log((_others(table) + 1) / (table["articles"].where(table["articles"] >= 0) + 1))


def articles_per_head(table: pd.DataFrame) -> pd.Series:
    """Return log(1 + articles per million people)."""
    return np.log1p(table["articles"] / positive(table["population"]) * 1e6)


def research_spending(table: pd.DataFrame) -> pd.Series:
    """Return the log of R&D spending, in USD of 2015: its share of product times the product."""
    return np.log(positive(table["rd_pct_gdp"] / 100 * table["gdp_usd2015"]))


def researchers(table: pd.DataFrame) -> pd.Series:
    """Return the log of the number of researchers."""
    return np.log(positive(table["researchers_per_million"] * table["population"] / 1e6))


_country = partial(Factor, group="research_strength", role="country", sign=1, by_role=True)

FACTORS = (
    _country(
        name="works_with_others",
        label="Works with third countries",
        unit="log(1 + works)",
        source=COUNTS,
        inputs=("international_works", "works"),
        lag=1,
        carry=0,
        function=works_with_others,
        kind="log",
        definition="The country's works with a foreign co-author in which the other country of the "
        "pair has no part, so that no past of the pair enters.",
        reference=WAGNER,
    ),
    _country(
        name="works_with_others_per_head",
        label="Works with third countries per capita",
        unit="log(1 + works per million)",
        source=COUNTS,
        inputs=("international_works", "works", "population"),
        lag=2,
        carry=0,
        function=works_with_others_per_head,
        kind="log",
        definition="International works without the pair's own, per million people.",
        reference=WAGNER,
    ),
    _country(
        name="openness",
        label="International works per article",
        unit="log ratio",
        source=f"{COUNTS}; {NSF}",
        inputs=("international_works", "works", "articles"),
        lag=3,
        carry=5,
        function=openness,
        kind="log",
        definition="International works without the pair's own over the country's articles: how "
        "outward its research is. The two sources count differently, so only differences between "
        "countries and years mean something.",
        reference=GLANZEL,
    ),
    _country(
        name="articles",
        label="Scientific articles",
        unit="log(1 + articles)",
        source=NSF,
        inputs=("articles",),
        lag=3,
        carry=5,
        function=log1p("articles"),
        kind="log",
        definition="Articles in science and engineering, fractional counting.",
        reference=GLANZEL,
    ),
    _country(
        name="articles_per_head",
        label="Scientific articles per capita",
        unit="log(1 + articles per million)",
        source=NSF,
        inputs=("articles", "population"),
        lag=3,
        carry=5,
        function=articles_per_head,
        kind="log",
        definition="Articles in science and engineering, fractional counting, per million people.",
        reference=GLANZEL,
    ),
    _country(
        name="rd_share",
        label="R&D intensity",
        unit="% of GDP",
        source=UIS,
        inputs=("rd_pct_gdp",),
        lag=3,
        carry=5,
        function=column("rd_pct_gdp"),
        kind="level",
        definition="Gross domestic spending on research and development over gross domestic "
        "product.",
        reference="UNESCO Institute for Statistics, indicator GB.XPD.RSDV.GD.ZS",
    ),
    _country(
        name="rd_spending",
        label="R&D spending",
        unit="log USD of 2015",
        source=UIS,
        inputs=("rd_pct_gdp", "gdp_usd2015"),
        lag=3,
        carry=5,
        function=research_spending,
        kind="log",
        definition="R&D intensity (share of GDP) times gross domestic product at constant prices.",
        reference="UNESCO Institute for Statistics, indicator GB.XPD.RSDV.GD.ZS",
        default=False,
    ),
    _country(
        name="researcher_density",
        label="Researchers per million people",
        unit="log",
        source=UIS,
        inputs=("researchers_per_million",),
        lag=3,
        carry=5,
        function=log("researchers_per_million"),
        kind="log",
        definition="Researchers in full-time equivalents per million people.",
        reference="UNESCO Institute for Statistics, indicator SP.POP.SCIE.RD.P6",
    ),
    _country(
        name="researchers",
        label="Researchers",
        unit="log",
        source=UIS,
        inputs=("researchers_per_million", "population"),
        lag=3,
        carry=5,
        function=researchers,
        kind="log",
        definition="Researchers in full-time equivalents.",
        reference="UNESCO Institute for Statistics, indicator SP.POP.SCIE.RD.P6",
        default=False,
    ),
    _country(
        name="tertiary_enrolment",
        label="Tertiary enrolment",
        unit="% of the age group",
        source=UIS,
        inputs=("tertiary_enrolment_pct",),
        lag=3,
        carry=5,
        function=column("tertiary_enrolment_pct"),
        kind="level",
        definition="Students in tertiary education of any age over the five-year age group that "
        "has left secondary school; above 100 where many study late.",
        reference="UNESCO Institute for Statistics, indicator SE.TER.ENRR",
        default=False,
    ),
    Factor(
        name="research_gap",
        label="Research output gap",
        group="research_strength",
        unit="absolute log ratio",
        source=NSF,
        role="pair",
        inputs=("articles",),
        lag=3,
        carry=5,
        function=log_gap("articles"),
        sign=0,
        kind="gap",
        definition="Absolute logarithm of the ratio of both countries' articles.",
        reference=GLANZEL,
    ),
)
