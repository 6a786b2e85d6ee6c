"""Political relations of the pair, and the institutions of either country."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlcoop.features.factor import Factor, column, gap
from mlcoop.features.memberships import years_since

UN = "UN General Assembly ideal points"
VOETEN = "Bailey, Strezhnev and Voeten (2017), doi:10.1177/0022002715595700"
WGI = "Worldwide Governance Indicators"
KAUFMANN = "Kaufmann, Kraay and Mastruzzi (2011), doi:10.1017/S1876404511200046"
# The four that move together (rank correlation above 0.9 among countries): one factor, not four.
QUALITY = (
    "control_of_corruption",
    "government_effectiveness",
    "regulatory_quality",
    "rule_of_law",
)


def un_distance_change(table: pd.DataFrame) -> pd.Series:
    """Return the change of the voting distance over three years; below 0 is coming closer."""
    now = (table["un_ideal_point_a"] - table["un_ideal_point_b"]).abs()
    before = (table["un_ideal_point[-3]_a"] - table["un_ideal_point[-3]_b"]).abs()
    return now - before


def strategic_partnership(table: pd.DataFrame) -> pd.Series:
    """Return log(1 + years) since China and the country became strategic partners; 0 elsewhere."""
    return np.log1p(years_since(table, "strategic_partnerships", "since"))


def governance(table: pd.DataFrame) -> pd.Series:
    """Return the mean of the four governance scores that are known."""
    return table[list(QUALITY)].mean(axis=1)


def governance_gap(table: pd.DataFrame) -> pd.Series:
    """Return the absolute difference of both countries' mean governance scores."""
    a, b = (table[[f"{v}_{end}" for v in QUALITY]].mean(axis=1) for end in "ab")
    return (a - b).abs()


def _score(name: str, label: str, default: bool) -> Factor:
    return Factor(
        name=name,
        label=label,
        group="political_relations",
        unit="standard score",
        source=WGI,
        role="country",
        inputs=(name,),
        lag=2,
        carry=2,
        function=column(name),
        sign=1,
        kind="level",
        definition=f"{label}, estimate from about -2.5 (weak) to 2.5 (strong). Published in the "
        "autumn of the following year; the even years before 2002 stand for the odd ones.",
        reference=KAUFMANN,
        default=default,
    )


FACTORS = (
    Factor(
        name="un_distance",
        label="UN voting distance",
        group="political_relations",
        unit="ideal points",
        source=UN,
        role="pair",
        inputs=("un_ideal_point",),
        lag=2,
        carry=2,
        function=gap("un_ideal_point"),
        sign=-1,
        kind="gap",
        definition="Absolute difference of the ideal points estimated from votes in the General "
        "Assembly. The values of a session are published in the following year.",
        reference=VOETEN,
    ),
    Factor(
        name="un_distance_change",
        label="Change in UN voting distance (3 years)",
        group="political_relations",
        unit="ideal points",
        source=UN,
        role="pair",
        inputs=("un_ideal_point", "un_ideal_point[-3]"),
        lag=2,
        carry=2,
        function=un_distance_change,
        sign=-1,
        kind="change",
        definition="Voting distance minus the distance three years before: below 0, the two "
        "countries' votes have come closer.",
        reference=VOETEN,
    ),
    Factor(
        name="strategic_partnership",
        label="Strategic partnership with China",
        group="political_relations",
        unit="log(1 + years)",
        source="mlcoop table strategic_partnerships",
        role="pair",
        inputs=(),
        lag=1,
        function=strategic_partnership,
        sign=1,
        kind="years",
        definition="Logarithm of 1 plus the years (at most 25) since China and the country first "
        "called their relation a strategic partnership, that year counting as 1; 0 before, and for "
        "pairs without China.",
        reference="Li and Ye (2019), doi:10.1108/ITPD-05-2019-0004",
    ),
    Factor(
        name="governance_gap",
        label="Governance gap",
        group="political_relations",
        unit="standard score",
        source=WGI,
        role="pair",
        inputs=QUALITY,
        lag=2,
        carry=2,
        function=governance_gap,
        sign=-1,
        kind="gap",
        definition="Absolute difference of both countries' mean of control of corruption, "
        "government effectiveness, regulatory quality and rule of law.",
        reference=KAUFMANN,
    ),
    Factor(
        name="voice_gap",
        label="Voice and accountability gap",
        group="political_relations",
        unit="standard score",
        source=WGI,
        role="pair",
        inputs=("voice_accountability",),
        lag=2,
        carry=2,
        function=gap("voice_accountability"),
        sign=-1,
        kind="gap",
        definition="Absolute difference of the voice and accountability estimates, the nearest "
        "the indicators come to a gap between political systems.",
        reference=KAUFMANN,
    ),
    Factor(
        name="governance",
        label="Governance quality",
        group="political_relations",
        unit="standard score",
        source=WGI,
        role="country",
        inputs=QUALITY,
        lag=2,
        carry=2,
        function=governance,
        sign=1,
        kind="level",
        definition="Mean of control of corruption, government effectiveness, regulatory quality "
        "and rule of law, as far as known.",
        reference=KAUFMANN,
    ),
    _score("political_stability", "Political stability", default=True),
    _score("voice_accountability", "Voice and accountability", default=True),
    _score("control_of_corruption", "Control of corruption", default=False),
    _score("government_effectiveness", "Government effectiveness", default=False),
    _score("regulatory_quality", "Regulatory quality", default=False),
    _score("rule_of_law", "Rule of law", default=False),
)
