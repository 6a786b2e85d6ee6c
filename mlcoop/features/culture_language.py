"""Culture and language: what the two countries speak, and what history they share."""

from __future__ import annotations

from functools import partial

import pandas as pd

from mlcoop.features.factor import Factor, column, pairwise
from mlcoop.features.proximity import CEPII, MAYER
from mlcoop.sources.geography import common_spoken_language


def spoken_language(table: pd.DataFrame) -> pd.Series:
    """Return the chance that two people, one from each country, share a language."""
    return pairwise(table, common_spoken_language)


_tie = partial(
    Factor,
    group="culture_language",
    unit="0 or 1",
    source=CEPII,
    role="pair",
    lag=1,
    carry=99,
    sign=1,
    kind="dummy",
    reference=MAYER,
)

FACTORS = (
    _tie(
        name="official_language",
        label="Common official language",
        inputs=("common_official_language",),
        function=column("common_official_language"),
        definition="1 if a language is official or primary in both countries.",
    ),
    _tie(
        name="ethnic_language",
        label="Common ethnic language",
        inputs=("common_ethnic_language",),
        function=column("common_ethnic_language"),
        definition="1 if a language is spoken by at least 9 % of the population of both countries.",
    ),
    Factor(
        name="spoken_language",
        label="Common spoken language (probability)",
        group="culture_language",
        unit="probability",
        source="Unicode CLDR",
        role="pair",
        inputs=(),
        lag=1,
        function=spoken_language,
        sign=1,
        kind="level",
        definition="Probability that two people, one from each country, share a language, from "
        "CLDR's shares of speakers; second languages included where CLDR counts them.",
        reference="Melitz and Toubal (2014), doi:10.1016/j.jinteco.2014.04.004",
    ),
    Factor(
        name="common_religion",
        label="Common religion",
        group="culture_language",
        unit="index, 0 to 1",
        source="CEPII Gravity, imported",
        role="pair",
        inputs=("common_religion",),
        lag=1,
        carry=99,
        function=column("common_religion"),
        sign=1,
        kind="level",
        definition="CEPII's index of common religion: shares of the main religions in either "
        "country, multiplied and summed. One value for all years; the nearest that CEPII comes to "
        "cultural distance, and religion only.",
        reference="Melitz and Toubal (2014), doi:10.1016/j.jinteco.2014.04.004; data: CEPII "
        "Gravity, variable comrelig, CEPII working paper 2022-05",
        default=False,
    ),
    _tie(
        name="colonial_tie",
        label="Colonial tie",
        inputs=("colony",),
        function=column("colony"),
        definition="1 if one was ever a colony of the other.",
    ),
    _tie(
        name="common_coloniser",
        label="Common coloniser",
        inputs=("common_coloniser",),
        function=column("common_coloniser"),
        definition="1 if both had the same coloniser after 1945.",
    ),
    _tie(
        name="colony_after_1945",
        label="Colonial tie after 1945",
        inputs=("colony_after_1945",),
        function=column("colony_after_1945"),
        definition="1 if they were in a colonial relation after 1945.",
        default=False,
    ),
    _tie(
        name="same_country",
        label="Ever the same country",
        inputs=("same_country",),
        function=column("same_country"),
        definition="1 if the two were or are the same country.",
    ),
)
