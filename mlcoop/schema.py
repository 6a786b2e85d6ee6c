"""Columns, keys and units of every table that passes between stages, and one `check`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pandera.pandas as pa

from mlcoop.errors import DataError, some

PAIR = ["country_a", "country_b"]
PAIR_YEAR = ["country_a", "country_b", "year"]

COUNTRY_VARIABLES = (
    "gdp_usd2015",
    "gdp_per_head_usd2015",
    "population",
    "rd_pct_gdp",
    "researchers_per_million",
    "articles",
    "patents_resident",
    "hightech_exports_pct",
    "merchandise_trade_pct_gdp",
    "exports_pct_gdp",
    "fdi_pct_gdp",
    "urban_pct",
    "internet_pct",
    "control_of_corruption",
    "government_effectiveness",
    "political_stability",
    "rule_of_law",
    "regulatory_quality",
    "voice_accountability",
    "un_ideal_point",
    "international_works",
    "royalties_received_usd",
    "royalties_paid_usd",
    "renewable_electricity_pct",
    "tertiary_enrolment_pct",
    "migrants_pct",
    "tourist_arrivals",
)
TIE_VARIABLES = (
    "dist_km",
    "distcap_km",
    "distw_km",
    "contiguous",
    "common_official_language",
    "common_ethnic_language",
    "colony",
    "common_coloniser",
    "colony_after_1945",
    "same_country",
)

# Of a pair in a year, from files that a user imports.
PAIR_VARIABLES = ("trade_kusd", "common_religion", "trade_agreement_wto")
YEARS = (1800, 2200)
# Beside fractional `works`: what leaves the pair's own past out of a country's works takes whole
# ones away, since a work of three countries is but half the pair's and wholly of its past.
IN_FULL = "works_in_full"


def _count(nullable: bool = False) -> pa.Column:
    """Return a column of numbers that are not below zero."""
    return pa.Column(float, pa.Check.ge(0), nullable=nullable, coerce=True)


def _ordered_pair() -> pa.Check:
    return pa.Check(lambda t: t["country_a"] < t["country_b"], error="country_a before country_b")


_PAIR_COLUMNS = {"country_a": pa.Column(str), "country_b": pa.Column(str)}
_YEAR = pa.Column(int, pa.Check.in_range(*YEARS), coerce=True)

COUNTS = pa.DataFrameSchema(
    {**_PAIR_COLUMNS, "year": _YEAR, "works": _count()},
    checks=_ordered_pair(),
    unique=PAIR_YEAR,
    name="counts",
)
INDICATORS = pa.DataFrameSchema(
    {
        "iso3": pa.Column(str),
        "year": _YEAR,
        "variable": pa.Column(str),
        "value": pa.Column(float, coerce=True),
    },
    unique=["iso3", "year", "variable"],
    name="indicators",
)
TIES = pa.DataFrameSchema(
    {
        **_PAIR_COLUMNS,
        **{v: _count(nullable=True) for v in TIE_VARIABLES},
    },
    checks=_ordered_pair(),
    unique=PAIR,
    name="ties",
)
PANEL = pa.DataFrameSchema(
    {**_PAIR_COLUMNS, "year": _YEAR, "works": _count(nullable=True)},
    checks=_ordered_pair(),
    unique=PAIR_YEAR,
    name="panel",
)

RANKED = ["rank", "rank_low", "rank_high", "tier", "share", "share_low", "share_high"]
FACTORS_CSV = ["factor", "group", "role", *RANKED, "direction", "effect_low_to_high"]
GROUPS_CSV = ["group", "role", *RANKED]
DIMENSIONS_CSV = ["dimension", *RANKED]
NOT_FORECAST = "No backtest and no forecast: "  # begins the warning that says why
ORDERS_CSV = ["kind", "above", "below", "at_once", "p"]
OBSERVED_EXPECTED_CSV = [
    "country_a",
    "country_b",
    "first_year",
    "last_year",
    "works",
    "expected",
    "ratio",
    "ratio_low",
    "ratio_high",
    "p",
    "told",
]

FORECAST_CSV = [
    "country_a",
    "country_b",
    "year",
    "last_year",
    "last_observed",
    "predicted",
    "lower",
    "upper",
    "level",
]
BASELINES = (
    "persistence",
    "drift1",
    "drift3",
    "drift5",
    "group_growth",
    "drift3_group",
    "smoothing",
    "ppml",
)
BACKTEST_CSV = [
    "origin",
    "year",
    "country_a",
    "country_b",
    "observed",
    "predicted",
    "lower",
    "upper",
    *BASELINES,
]

SURPRISES = [
    "country_a",
    "country_b",
    "year",
    "observed",
    "predicted",
    "lower",
    "upper",
    "last_observed",
    "change_pct",
    "expected_change_pct",
    "shared_change_pct",
    "ratio",
    "in_focus",
]


def check(table: pd.DataFrame, schema: pa.DataFrameSchema, where: str) -> pd.DataFrame:
    """Return `table` coerced to `schema`, or raise one line that names the offenders.

    Parameters
    ----------
    table : DataFrame
    schema : pandera schema of this module
    where : str
        File or source to name in the error.

    Raises
    ------
    DataError
        With the failed check, the column and at most five offending rows.
    """
    try:
        return schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        first = cases.iloc[0]
        same = cases[cases["check"] == first["check"]]
        column = first["column"] or "rows"
        offenders = some(
            dict.fromkeys(
                f"{r.failure_case}" + ("" if r.index is None else f" (row {r.index})")
                for r in same.itertuples(index=False)
            )
        )
        raise DataError(
            f"{where}, {column}: {first['check']} fails for {offenders}; correct these rows"
        ) from error


@dataclass(frozen=True)
class Experiment:
    """A finished study as the report and the comparison read it; a stage that is off leaves None.

    Attributes
    ----------
    coverage : dict
        What the panel holds: `countries` (of the focus set) and `trained_on` (all of them; not of a
        ready panel), `dropped` (kind, what, reason, count), `factors` (factor, label, group, role,
        source, lag, coverage), `years` (none of a cross-section), `pairs`, `zeros`, `simulated`,
        `warnings`, and `not_ranked`, a sentence, where too few pairs forbid a ranking.
    """

    name: str
    folder: str
    config: dict[str, Any]
    provenance: dict[str, Any]
    factors: pd.DataFrame | None = None
    groups: pd.DataFrame | None = None
    dimensions: pd.DataFrame | None = None
    resamples: pd.DataFrame | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    backtest: pd.DataFrame | None = None
    forecast: pd.DataFrame | None = None
    trials: pd.DataFrame | None = None
    coverage: dict[str, Any] = field(default_factory=dict)
    effects: pd.DataFrame | None = None
    interactions: pd.DataFrame | None = None
    totals: pd.DataFrame | None = None
    surprises: pd.DataFrame | None = None
    observed_expected: pd.DataFrame | None = None
    collinearity: pd.DataFrame | None = None
    correlations: pd.DataFrame | None = None
    orders: pd.DataFrame | None = None
    witnesses: pd.DataFrame | None = None
    group_players: pd.DataFrame | None = None
    interactions_with_focus: pd.DataFrame | None = None
    missing: pd.DataFrame | None = None

    @property
    def rank_level(self) -> float:
        """The level of rank sets, shares and orders; 0.95 where the config says none.

        Raises
        ------
        DataError
            The folder's config holds something else in its place.
        """
        stated = (self.config.get("explain") or {}).get("level", 0.95)
        if isinstance(stated, float) and 0.5 < stated < 1:
            return stated
        raise DataError(
            f"{self.folder}/config.yaml, explain.level: {stated!r} is no number between 0.5 and 1; "
            "run its config again with --force"
        )
