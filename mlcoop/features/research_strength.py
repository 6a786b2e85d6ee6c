"""Research strength of either country, apart for partner and focal country."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.features.factor import Factor, Function, Kind, column, log, log1p, log_gap, positive

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


def _country(
    name: str,
    label: str,
    unit: str,
    source: str,
    inputs: tuple[str, ...],
    function: Function,
    kind: Kind,
    definition: str,
    reference: str,
    *,
    lag: int,
    carry: int,
    default: bool = True,
) -> Factor:
    return Factor(
        name=name,
        label=label,
        group="research_strength",
        unit=unit,
        source=source,
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
        by_role=True,
    )


FACTORS = (
    _country(
        "works_with_others",
        "Works with third countries",
        "log(1 + works)",
        COUNTS,
        ("international_works", "works"),
        works_with_others,
        "log",
        "The country's works with a foreign co-author in which the other country of the pair has "
        "no part, so that no past of the pair enters.",
        WAGNER,
        lag=1,
        carry=0,
    ),
    _country(
        "works_with_others_per_head",
        "Works with third countries per head",
        "log(1 + works per million)",
        COUNTS,
        ("international_works", "works", "population"),
        works_with_others_per_head,
        "log",
        "International works without the pair's own, per million people.",
        WAGNER,
        lag=2,
        carry=0,
    ),
    _country(
        "openness",
        "International works per article",
        "log ratio",
        f"{COUNTS}; {NSF}",
        ("international_works", "works", "articles"),
        openness,
        "log",
        "International works without the pair's own over the country's articles: how outward its "
        "research is. The two sources count differently, so only differences between countries "
        "and years mean something.",
        GLANZEL,
        lag=3,
        carry=5,
    ),
    _country(
        "articles",
        "Scientific articles",
        "log(1 + articles)",
        NSF,
        ("articles",),
        log1p("articles"),
        "log",
        "Articles in science and engineering, fractional counting.",
        GLANZEL,
        lag=3,
        carry=5,
    ),
    _country(
        "articles_per_head",
        "Scientific articles per head",
        "log(1 + articles per million)",
        NSF,
        ("articles", "population"),
        articles_per_head,
        "log",
        "Articles in science and engineering, fractional counting, per million people.",
        GLANZEL,
        lag=3,
        carry=5,
    ),
    _country(
        "rd_share",
        "R&D share of the economy",
        "% of GDP",
        UIS,
        ("rd_pct_gdp",),
        column("rd_pct_gdp"),
        "level",
        "Gross domestic spending on research and development over gross domestic product.",
        "UNESCO Institute for Statistics, indicator GB.XPD.RSDV.GD.ZS",
        lag=3,
        carry=5,
    ),
    _country(
        "rd_spending",
        "R&D spending",
        "log USD of 2015",
        UIS,
        ("rd_pct_gdp", "gdp_usd2015"),
        research_spending,
        "log",
        "R&D share of the economy times gross domestic product.",
        "UNESCO Institute for Statistics, indicator GB.XPD.RSDV.GD.ZS",
        lag=3,
        carry=5,
        default=False,
    ),
    _country(
        "researcher_density",
        "Researchers per million people",
        "log",
        UIS,
        ("researchers_per_million",),
        log("researchers_per_million"),
        "log",
        "Researchers in full-time equivalents per million people.",
        "UNESCO Institute for Statistics, indicator SP.POP.SCIE.RD.P6",
        lag=3,
        carry=5,
    ),
    _country(
        "researchers",
        "Researchers",
        "log",
        UIS,
        ("researchers_per_million", "population"),
        researchers,
        "log",
        "Researchers in full-time equivalents.",
        "UNESCO Institute for Statistics, indicator SP.POP.SCIE.RD.P6",
        lag=3,
        carry=5,
        default=False,
    ),
    _country(
        "tertiary_enrolment",
        "Enrolment in higher education",
        "% of the age group",
        UIS,
        ("tertiary_enrolment_pct",),
        column("tertiary_enrolment_pct"),
        "level",
        "Students in tertiary education of any age over the five-year age group that has left "
        "secondary school; above 100 where many study late.",
        "UNESCO Institute for Statistics, indicator SE.TER.ENRR",
        lag=3,
        carry=5,
        default=False,
    ),
    Factor(
        name="research_gap",
        label="Gap of research output",
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
