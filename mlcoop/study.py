"""A study: all that the stages after the panel read, and how it is made from a panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mlcoop.countries import home_of, name_of
from mlcoop.errors import ConfigError, some
from mlcoop.features.build import (
    FeatureMatrix,
    build_features,
    explain_rows,
    without_constant,
)
from mlcoop.features.catalogue import usable_factors
from mlcoop.features.coverage import known_shares
from mlcoop.features.factor import Factor, base_of
from mlcoop.features.research_strength import COUNTS, NSF
from mlcoop.forecast.history import INTERNATIONAL, years_with_counts
from mlcoop.forecast.origins import possible_origins
from mlcoop.panel import Panel, coverage_by_country
from mlcoop.plan import Plan
from mlcoop.reference import beside_table_1
from mlcoop.schema import NOT_FORECAST, PAIR, PAIR_YEAR
from mlcoop.sources.openalex.institution import ARTICLES
from mlcoop.tables import group_members

# Fewer years than this leave too few origins to learn from and check.
FEWEST_FORECAST_YEARS = 6


@dataclass(frozen=True)
class Study:
    """All that the stages after the panel read.

    Attributes
    ----------
    history : DataFrame of country_a, country_b, year, works
        With `INTERNATIONAL`, both countries' international works, where the panel has them.
        Every pair of the training set in every year of counts; NaN is missing.
    focus : DataFrame of country_a, country_b
    matrix : FeatureMatrix
        Target years with counts.
    ahead : FeatureMatrix or None
        Features of the first year to be forecast; None for a ready panel, which ends where it ends.
    table : DataFrame
        The panel itself, to be kept in the experiment's folder.
    coverage : dict
        See `schema.Experiment`.
    inputs : list of dict
        Provenance of every source.
    not_forecast : str or None
        Why there is neither a backtest nor a forecast, as a sentence; None where both can be made.
    panel : DataFrame or None
        The whole panel with the years before the first count, and `factors` the catalogue's
        entries: what `matrix` was built from. None and empty for a ready panel.
    """

    history: pd.DataFrame
    focus: pd.DataFrame
    matrix: FeatureMatrix
    ahead: FeatureMatrix | None
    table: pd.DataFrame
    coverage: dict[str, Any]
    inputs: list[dict[str, Any]] = field(default_factory=list)
    not_forecast: str | None = None
    panel: pd.DataFrame | None = None
    factors: tuple[Factor, ...] = ()


def study_from_panel(
    plan: Plan,
    panel: Panel,
    years: tuple[int, int],
    *,
    focal: str | None,
    inputs: list[dict[str, Any]],
    warnings: list[str],
    extra: dict[str, Any] | None = None,
) -> Study:
    """Build features and say what the panel holds.

    Parameters
    ----------
    years : (int, int)
        First and last year of counts.
    focal : str or None
        The country that every focus pair shares.
    inputs, warnings : list
        Provenance and warnings of the sources.
    extra : dict, optional
        Entries of `coverage` beside the usual ones.

    Raises
    ------
    ConfigError
        When no factor of the plan can be computed from the panel.
    """
    first, last = years
    factors, unusable = usable_factors(panel.table, plan.factors)
    if not factors:
        raise ConfigError(
            f"factors: none can be computed from this panel ({some(why for _, why in unusable)})"
        )
    settings: dict[str, Any] = {
        "factors": factors,
        "focal": focal,
        "focus_pairs": panel.focus,
        "exposure": plan.config.learner.exposure,
    }
    # The first year of counts has no year before it for the factors that lag counts by one year.
    matrix = build_features(panel.table, years=range(first + 1, last + 1), **settings)
    matrix, constant = without_constant(matrix)
    ahead = build_features(panel.table, years=[last + 1], **settings)
    kept = [f.name for f in matrix.features]
    ahead = FeatureMatrix(ahead.rows, ahead.X[kept], matrix.features, ahead.focal)
    table = panel.table[panel.table["year"] >= first].reset_index(drop=True)
    out = [
        {"kind": "factor", "what": factor.name, "reason": why, "count": 1}
        for factor, why in unusable
    ]
    trained_on = sorted(set(table["country_a"]) | set(table["country_b"]))
    coverage = {
        **account_of(table, panel.focus, matrix, factors, constant),
        "training_countries": len(trained_on),
        "trained_on": trained_on,
        "country_coverage": {
            row.iso3: round(row.coverage, 3)
            for row in coverage_by_country(panel).itertuples(index=False)
        },
        "warnings": [*warnings, *panel.warnings],
        **(extra or {}),
    }
    coverage["dropped"] = [*panel.dropped, *out, *coverage["dropped"]]
    if plan.partners:
        coverage["notes"] = [_kept(plan, panel)]
    if "institution" in coverage:
        coverage.setdefault("notes", []).append(_own_side(coverage["institution"]))
    reference = _reference(plan, table, panel.focus)
    if reference:
        coverage["reference"] = reference
    return Study(
        history=table[[*PAIR_YEAR, "works", *(c for c in INTERNATIONAL if c in table)]],
        focus=panel.focus,
        matrix=matrix,
        ahead=ahead,
        table=table,
        coverage=coverage,
        inputs=inputs,
        not_forecast=why_not_forecast(table),
        panel=panel.table,
        factors=tuple(factors),
    )


def account_of(
    history: pd.DataFrame,
    focus: pd.DataFrame,
    matrix: FeatureMatrix,
    factors: Sequence[Factor],
    constant: Sequence[str],
) -> dict[str, Any]:
    """Return what a study's data are, as its `coverage.json` begins.

    Parameters
    ----------
    history, focus, matrix
        As `Study` has them.
    factors : sequence of Factor
        Entries of the catalogue behind the matrix; none of a user's own columns.
    constant : sequence of str
        Factors that `without_constant` left out.
    """
    return {
        "countries": sorted(set(focus["country_a"]) | set(focus["country_b"])),
        "dropped": [
            {"kind": "factor", "what": name, "reason": "the same in every row", "count": 1}
            for name in constant
        ],
        "factors": _factor_coverage(matrix, {f.name: f for f in factors}),
        "known": known_shares(matrix),
        "years": [int(history["year"].min()), int(history["year"].max())],
        **_known(history, focus),
        "simulated": False,
    }


def why_not_forecast(history: pd.DataFrame) -> str | None:
    """Return why counts allow neither a backtest nor a forecast, as a sentence; None if they do.

    Examples
    --------
    >>> one = {"country_a": "CHN", "country_b": "PAK", "year": [2019, 2020], "works": [1.0, 2.5]}
    >>> why_not_forecast(pd.DataFrame(one))
    'No backtest and no forecast: prediction intervals need whole counts, and 2.5 is not whole.'
    """
    seen = history[history["works"].notna()]
    off = (seen["works"] - seen["works"].round()).abs()  # six sixths may sum to 0.9999999999999999
    years = years_with_counts(history)
    is_or_are = "is 1" if len(years) == 1 else f"are {len(years)}"
    if off.any():
        example = seen.loc[off.idxmax(), "works"]
        reason = f"prediction intervals need whole counts, and {example:.6g} is not whole"
    elif len(years) < FEWEST_FORECAST_YEARS:
        reason = f"they need {FEWEST_FORECAST_YEARS} years with counts, and there {is_or_are}"
    elif not seen.duplicated(PAIR).any():
        reason = "no pair has counts in two or more years"
    elif not possible_origins(years, 1):
        reason = "years without counts leave no year with earlier counts and a count the year after"
    else:
        return None
    return f"{NOT_FORECAST}{reason}."


def _own_side(institution: dict[str, Any]) -> str:
    """Say which data on an institution's side are its own."""
    return (
        f"{institution['name']} takes the role of the focal country. Its international works and, "
        "in place of scientific articles, all its works are its own, from OpenAlex. All other data "
        f"on its side are those of its country, {name_of(institution['country'])}, which is not "
        "among the partners. The models are trained on its own pairs only."
    )


def _kept(plan: Plan, panel: Panel) -> str:
    """Say in a sentence which requested partners are included, and why others are not."""
    left = set(panel.focus["country_a"]) | set(panel.focus["country_b"])
    kept = sum(partner in left for partner in plan.partners)
    reasons = {str(d["what"]): d["reason"] for d in panel.dropped if d["kind"] == "country"}
    lost = [f"{p} ({reasons.get(p, 'not in this panel')})" for p in plan.partners if p not in left]
    text = f"Of {len(plan.partners)} partners requested, {kept} are included"
    return f"{text}; left out: {some(lost, most=80)}." if lost else f"{text}."


def _known(table: pd.DataFrame, focus: pd.DataFrame) -> dict[str, Any]:
    """Return how many pairs have counts, and which share of their counts is zero or missing.

    The panel also holds pairs that a file of one country's pairs knows nothing of: they are none
    of the study's.
    """
    counts = table.loc[table["works"].notna(), "works"]
    pairs = pd.concat([table.loc[counts.index, PAIR], focus[PAIR]]).drop_duplicates()
    return {
        "pairs": len(pairs),
        "focus_pairs": len(focus),
        "zeros": float((counts == 0).mean()),
        "missing": float(1 - len(counts) / (len(pairs) * table["year"].nunique())),
    }


def _factor_coverage(matrix: FeatureMatrix, entries: dict[str, Factor]) -> list[dict[str, Any]]:
    """Return what each factor is, and the share of the explained rows in which it is known."""
    known = matrix.X[explain_rows(matrix)].notna().mean()
    rows: dict[str, dict[str, Any]] = {}
    for feature in matrix.features:
        entry = entries.get(feature.factor) or entries.get(base_of(feature.factor))
        row = rows.setdefault(
            feature.factor,
            {
                "factor": feature.factor,
                "label": feature.label,
                "group": feature.group,
                "role": feature.role,
                "source": _source(entry, feature.role, matrix.focal),
                "lag": entry.lag if entry else 0,
                "sign": entry.sign if entry else 0,
                "coverage": 1.0,
            },
        )
        row["coverage"] = round(min(row["coverage"], float(known[feature.name])), 4)
    return list(rows.values())


def _source(entry: Factor | None, role: str, focal: str | None) -> str:
    """Return whence a factor is; an institution's articles are its works, as counted."""
    if entry is None:
        return "the user's panel"
    if focal is None or home_of(focal) == focal or ARTICLES not in entry.inputs:
        return entry.source
    return {"focal": COUNTS, "pair": f"{COUNTS}; {NSF}"}.get(role, entry.source)


def _reference(plan: Plan, table: pd.DataFrame, focus: pd.DataFrame) -> dict[str, Any] | None:
    """Return the published table to compare a China and Belt and Road study with, else None."""
    bri = set(group_members("belt-and-road")) | set(group_members("belt-and-road-signatories"))
    fits = plan.focal == "CHN" and len(plan.partners) >= 30 and set(plan.partners) <= bri
    target = plan.config.target
    # The table counts all works, and in full.
    alike = target.counting == "full" and not target.highly_cited
    if not (fits and alike) or target.source == "simulated":
        return None
    works = table.merge(focus, on=PAIR).groupby("year", as_index=False)["works"].sum()
    found = beside_table_1(works, target.field)
    # a window of earlier years, or a field that the table does not have, has nothing beside it
    return found if any(row["counted"] is not None for row in found["rows"]) else None


def describe(study: Study) -> list[str]:
    """Return what the panel holds and what was left out, a line each."""
    c = study.coverage
    when = f"{c['years'][0]} to {c['years'][1]}, " if c["years"] else ""
    lines = [
        f"{c['pairs']} pairs ({c['focus_pairs']} in focus), {when}"
        f"{c['zeros']:.0%} zeros, {c['missing']:.1%} missing, "
        f"{len(study.matrix.features)} features of {len(c['factors'])} factors"
    ]
    lines += [f"left out: {d['kind']} {d['what']}: {d['reason']}" for d in c["dropped"]]
    return lines + [f"note: {text}" for text in c["warnings"]]
