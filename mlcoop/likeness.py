"""A plan to covariates of a study of its size, without asking any service.

Places, languages, populations, agreements and memberships are real; all other national figures
are drawn at random with the levels and the common movement that real ones have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mlcoop.errors import ConfigError
from mlcoop.features.build import Feature, FeatureMatrix, build_features, without_constant
from mlcoop.features.catalogue import usable_factors
from mlcoop.features.factor import Factor, base_of
from mlcoop.panel import Panel, build_panel, pairs_among, unordered
from mlcoop.plan import Plan
from mlcoop.planted import simulate_indicators
from mlcoop.schema import PAIR, PAIR_YEAR
from mlcoop.sources import geography
from mlcoop.sources.counted import OwnCounts
from mlcoop.sources.openalex.collaboration import TOTALS
from mlcoop.tables import group_members, group_names

HISTORY_YEARS = 10
# Level, spread, yearly step and trend, as in `planted.NATIONAL`, of what the quickstart lacks.
MORE = {
    "exports_pct_gdp": (35.0, 0.5, 0.05, 0.0),
    "urban_pct": (55.0, 0.3, 0.01, 0.01),
    "fdi_pct_gdp": (3.0, 0.6, 0.3, 0.0),
    "international_works": (6000.0, 1.2, 0.05, 0.05),
}


@dataclass(frozen=True)
class Likeness:
    """Covariates of a study that has not been made.

    Attributes
    ----------
    matrix : FeatureMatrix
        Rows and features as the study would have them; works are missing.
    notes : tuple of str
        Where the study itself may differ.
    """

    matrix: FeatureMatrix
    notes: tuple[str, ...]


def study_pairs(plan: Plan, training: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pairs that a plan trains on, given its countries, and its focus pairs."""
    if plan.all_pairs:
        every = pairs_among(training)
        return every, every
    if plan.focal is None:
        focus = pairs_among(plan.partners)
    else:
        focus = unordered([plan.focal] * len(plan.partners), plan.partners)
    only_focus = plan.config.training.pairs == "focus"
    return (focus if only_focus else pairs_among(training)), focus


def planted_features(
    plan: Plan,
    countries: list[str],
    years: tuple[int, int],
    indicators: pd.DataFrame,
    *,
    with_past: bool = False,
) -> tuple[Panel, FeatureMatrix, pd.DataFrame]:
    """Build a panel without counts, and the features of all its years.

    Parameters
    ----------
    with_past : bool
        Whether factors that read past counts take part, as if each had been 1.

    Returns
    -------
    panel : Panel
        With 1 in place of every count.
    matrix : FeatureMatrix
        Works are missing.
    outside : DataFrame of country_a, country_b
        Focus pairs with a country that is not among `countries`.
    """
    pairs, wanted = study_pairs(plan, countries)
    inside = wanted["country_a"].isin(countries) & wanted["country_b"].isin(countries)
    grid = pairs.merge(pd.DataFrame({"year": range(years[0], years[1] + 1)}), how="cross")
    panel = build_panel(
        grid.assign(works=1.0),
        pd.DataFrame({"iso3": countries, "year": years[0]}),
        indicators,
        geography.ties(countries),
        pairs=pairs,
        focus=wanted[inside],
        years=years,
        min_coverage=0.0,
        history_years=HISTORY_YEARS,
    )
    known = panel.table if with_past else panel.table.drop(columns="works")
    factors, _ = usable_factors(known, plan.factors)
    if not factors:
        raise ConfigError("factors: none can be computed without counts or a network")
    matrix = build_features(
        known if with_past else known.assign(works=np.nan),
        factors=factors,
        years=range(years[0], years[1] + 1),
        focal=plan.focal,
        focus_pairs=panel.focus,
    )
    matrix = replace(matrix, rows=matrix.rows.assign(works=np.nan))
    return panel, matrix, wanted[~inside]


def study_like(plan: Plan, *, this_year: int, seed: int, own: OwnCounts | None = None) -> Likeness:
    """Return covariates like those that a plan's study would have.

    Parameters
    ----------
    plan : Plan
        Not of a ready panel: that brings its own covariates.
    this_year : int
        Counts are taken to reach to the year before, where the config says `latest`.
    seed : int
    own : OwnCounts or None
        The user's own counts, which say what countries, years and pairs there are.

    Raises
    ------
    ConfigError
        No factor can be computed, or the focus is an institution.
    """
    config = plan.config
    if config.focus.institution is not None:
        raise ConfigError(
            "simulate: no stand-in for an institution; give a config with a focal country instead"
        )
    end = config.years.end
    years = (config.years.start, this_year - 1 if end == "latest" else int(end))
    more = MORE
    if own is not None:
        years = own.years
        if own.counts.totals.empty:  # a file of pairs says nothing of all works of a country
            more = {name: shape for name, shape in MORE.items() if name != TOTALS}
    countries, notes = _countries(plan, own)
    indicators = simulate_indicators(
        countries, (years[0] - HISTORY_YEARS, years[1]), seed=seed, more=more
    )
    _, matrix, _ = planted_features(plan, countries, years, indicators, with_past=True)
    if own is not None:
        matrix = matrix.take(_counted(matrix.rows, own))
    matrix, _ = without_constant(matrix)
    lost = _lost(plan.factors, matrix.features)
    if lost:
        notes.append(
            f"{len(lost)} of {len(plan.factors)} factors need source data and are left out here: "
            f"{', '.join(lost)}."
        )
    return Likeness(matrix, tuple(notes))


def _counted(rows: pd.DataFrame, own: OwnCounts) -> np.ndarray:
    """Tell which pairs and years a user's own counts know, zeros among them."""
    whole = pd.MultiIndex.from_frame(own.counts.covered)
    known = pd.MultiIndex.from_frame(rows[PAIR_YEAR]).isin(
        pd.MultiIndex.from_frame(own.counts.table[PAIR_YEAR])
    )
    for end in PAIR:
        known |= pd.MultiIndex.from_frame(rows[[end, "year"]]).isin(whole)
    return known


def _countries(plan: Plan, own: OwnCounts | None) -> tuple[list[str], list[str]]:
    """Return the training countries, the most populous in place of the most active."""
    known = _all_countries()
    must = [c for c in plan.must_have if c in known]
    only_focus = plan.config.training.pairs == "focus" and plan.partners
    if plan.config.simulated is not None:  # such a world holds the countries listed, no others
        return [c for c in plan.countries or () if c in known], []
    if plan.countries is not None or only_focus:
        return must, []
    if own is not None:
        return sorted(set(own.countries) & set(geography.placed_countries())), []
    people = geography.populations(known).sort_values(ascending=False, kind="stable")
    others = [c for c in people.index if c not in must]
    room = max(plan.config.training.most_active - len(must), 0)
    chosen = sorted([*must, *others[:room]])
    note = "Which countries are the most active is not known yet; the most populous stand for them."
    return chosen, [note] if room else []


def _all_countries() -> list[str]:
    """Return the countries of all groups that have a known place."""
    known = set(geography.placed_countries())
    return sorted(known & {c for group in group_names() for c in group_members(group)})


def _lost(factors: tuple[Factor, ...], features: tuple[Feature, ...]) -> list[str]:
    held = {base_of(f.factor) for f in features}
    return [f.name for f in factors if f.name not in held]
