"""A plan's data, whatever its source, in the one form that all later stages read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Any

import pandas as pd

from mlcoop.errors import ConfigError, DataError, some
from mlcoop.features.build import (
    FeatureMatrix,
    columns_of_both_ends,
    explain_rows,
    without_constant,
)
from mlcoop.features.catalogue import split_input
from mlcoop.features.factor import Factor
from mlcoop.features.ready import copies, far_out, matrix_from_ready_panel
from mlcoop.likeness import HISTORY_YEARS, planted_features, study_pairs
from mlcoop.panel import Panel, build_panel, pairs_among, unordered
from mlcoop.plan import Plan
from mlcoop.planted import plant_counts, planted_order, simulate_indicators
from mlcoop.schema import COUNTRY_VARIABLES, NOT_FORECAST, PAIR, PAIR_VARIABLES, PAIR_YEAR
from mlcoop.sources.counted import read_own
from mlcoop.sources.gather import Filters, Gathered, GatherRequest, gather
from mlcoop.sources.imported.pair_files import how_to_get, imported_variables
from mlcoop.sources.own import own_counts, ready_panel
from mlcoop.sources.service.http import Client
from mlcoop.study import Study, account_of, study_from_panel, why_not_forecast

Progress = Callable[[int, int], None]

CROSS_SECTION = f"{NOT_FORECAST}the panel has no year column and is ranked as one cross-section."


def gather_request(plan: Plan, today: date) -> GatherRequest:
    """Return what a plan needs of the sources; raise `ConfigError` for years to come."""
    config = plan.config
    end = config.years.end
    if config.target.source == "openalex" and end != "latest" and end > today.year:
        raise ConfigError(
            f"years.end: {end} is not over yet; write {today.year - 1}, an earlier year or latest"
        )
    listed = plan.countries is not None
    institution = config.focus.institution
    only_focus = config.training.pairs == "focus" and plan.focal is not None
    # Of an institution every partner wanted is named, or all of the most active are wanted.
    named = bool(institution and plan.partners)
    return GatherRequest(
        first=config.years.start,
        last=None if end == "latest" else end,
        this_year=today.year,
        most_active=0 if listed or only_focus or named else config.training.most_active,
        countries=plan.must_have,
        focal=[plan.focal] if only_focus and plan.focal else None,
        institution=institution,
        filters=Filters(
            field=config.target.field,
            types=config.target.types,
            highly_cited=config.target.highly_cited,
        ),
        variables=country_variables(plan.factors),
        years_before=HISTORY_YEARS,
        max_shortfall=config.years.max_shortfall,
        own_counts=plan.path if config.target.source == "csv" else None,
        absent=config.target.absent,
        counting=config.target.counting,
        ties=True,
        pair_variables=pair_variables(plan.factors),
    )


def country_variables(factors: tuple[Factor, ...]) -> list[str]:
    """Return the country variables that some factors read, in the schema's order."""
    read = {split_input(name)[0] for factor in factors for name in factor.inputs}
    return [v for v in COUNTRY_VARIABLES if v in read or v == "international_works"]


def pair_variables(factors: tuple[Factor, ...]) -> list[str]:
    """Return the imported figures of pairs that some factors read."""
    read = {split_input(name)[0] for factor in factors for name in factor.inputs}
    return [v for v in PAIR_VARIABLES if v in read]


def refuse_without_imports(plan: Plan, client: Client) -> None:
    """Refuse a factor that the config names and whose file was not imported; `all` leaves it out.

    Raises
    ------
    ConfigError
        With what to download and import.
    """
    named = [f for f in plan.factors if f.name in plan.config.factors.include]
    missing = set(pair_variables(tuple(named))) - imported_variables(client.cache)
    for factor in named:
        for variable in factor.inputs:
            if variable in missing:
                raise ConfigError(f"factors: {factor.name} {how_to_get(variable)}")


def look_at_own_file(plan: Plan, *, must_rank: bool = False) -> Plan:
    """Return the plan as the user's own file leaves it: with few pairs, it does without a ranking.

    Before anything is asked for: the other figures of such a study can take hours.

    Raises
    ------
    ConfigError, DataError
        See `Plan.allow`, and the readers of the file.
    """
    given = plan.config.panel
    if given is not None:
        table = _read_panel(plan)
        known = table.loc[table[given.target].notna(), list(given.pair)]
        return plan.allow(len(known.drop_duplicates()), must_rank=must_rank)
    if plan.path is None:
        return plan
    countries = read_own(gather_request(plan, date.max)).countries
    if not plan.all_pairs or plan.countries is not None:
        return plan
    return plan.allow(len(pairs_among(countries)), must_rank=must_rank)


def assemble(plan: Plan, client: Client, *, today: date, progress: Progress | None = None) -> Study:
    """Fetch or read a plan's figures and build its panel and features.

    Raises
    ------
    SourceError, DataError, ConfigError
        From the sources, the panel and the features.
    """
    if plan.config.panel is not None:
        return _from_ready_panel(plan)
    if plan.config.target.source == "simulated":
        return _from_planted_world(plan)

    refuse_without_imports(plan, client)

    def report(done: int, total: int, what: str) -> None:
        if progress:
            progress(done, total)

    figures = gather(gather_request(plan, today), client, report)
    home = figures.institution
    if home is None:
        pairs, focus = study_pairs(plan, _training_countries(plan, figures))
    else:
        pairs = focus = unordered([home.code] * len(figures.countries), figures.countries)
    panel = build_panel(
        figures.counts,
        figures.covered,
        figures.indicators,
        figures.ties,
        pairs=pairs,
        focus=focus,
        years=figures.years,
        min_coverage=plan.config.factors.min_coverage,
        history_years=HISTORY_YEARS,
        pair_figures=figures.pair_figures,
    )
    return study_from_panel(
        plan,
        panel,
        figures.years,
        focal=plan.focal if home is None else home.code,
        inputs=figures.records,
        warnings=figures.warnings,
        extra=None if home is None else {"institution": {"code": home.code, **asdict(home)}},
    )


def _training_countries(plan: Plan, figures: Gathered) -> list[str]:
    if plan.countries is not None:
        return list(plan.countries)
    # What the focus adds beyond the most active countries joins by its focus pairs only: nothing
    # is known of such a partner's pairs with another one.
    return figures.countries[: plan.config.training.most_active]


def _from_planted_world(plan: Plan) -> Study:
    config = plan.config
    assert config.simulated is not None and plan.countries is not None
    assert isinstance(config.years.end, int)
    years = (config.years.start, config.years.end)
    countries = list(plan.countries)
    indicators = simulate_indicators(
        countries, (years[0] - HISTORY_YEARS, years[1]), seed=config.seed
    )
    blank, matrix, lost = planted_features(plan, countries, years, indicators)
    counts, effects = _plant(plan, matrix)
    table = blank.table.drop(columns="works").merge(
        counts, on=PAIR_YEAR, how="left", validate="one_to_one"
    )
    outside = {
        "kind": "pair",
        "what": some(f"{a}-{b}" for a, b in lost.itertuples(index=False)),
        "reason": "a partner that is not in this planted world",
        "count": len(lost),
    }
    study = study_from_panel(
        plan,
        Panel(table[blank.table.columns], blank.focus, [outside] if outside["count"] else []),
        years,
        focal=plan.focal,
        inputs=[_simulated_record(config.seed)],
        warnings=["All counts, and all national data except population, are simulated."],
        extra={"simulated": True},
    )
    shown = explain_rows(matrix) & (matrix.rows["year"] > years[0])
    kept = [f.name for f in study.matrix.features]
    study.coverage["planted"] = planted_order(
        effects.loc[shown, kept], [f.factor for f in study.matrix.features]
    )
    return study


def _plant(plan: Plan, matrix: FeatureMatrix) -> tuple[pd.DataFrame, pd.DataFrame]:
    planted = plan.config.simulated
    assert planted is not None
    return plant_counts(
        matrix.rows,
        matrix.X,
        columns_of_both_ends(matrix.features),
        planted.drivers,
        mean_works=planted.mean_works,
        pair_noise=planted.pair_noise,
        dispersion=planted.dispersion,
        seed=plan.config.seed,
    )


def _simulated_record(seed: int) -> dict[str, Any]:
    return {
        "source": "simulated",
        "address": f"planted world, seed {seed}",
        "licence": "none",
        "citation": "Distances, borders and populations: GeoNames (CC BY 4.0); languages: CLDR.",
    }


def _read_panel(plan: Plan) -> pd.DataFrame:
    given = plan.config.panel
    assert given is not None and plan.path is not None
    return ready_panel.read(
        plan.path,
        pair=list(given.pair),
        target=given.target,
        factors=list(given.factors),
        year=given.year,
        exposure=given.exposure,
    )


def _from_ready_panel(plan: Plan) -> Study:
    given = plan.config.panel
    assert given is not None and plan.path is not None
    table = _read_panel(plan)
    year = given.year
    if year is None:
        year = "year"
        table = table.assign(year=0)
    groups = {member: group for group, members in given.groups.items() for member in members}
    matrix = matrix_from_ready_panel(
        table,
        pair=list(given.pair),
        year=year,
        target=given.target,
        factors=list(given.factors),
        exposure=given.exposure,
        groups=groups or None,
    )
    matrix, constant = without_constant(matrix)
    if not matrix.features:
        raise DataError(f"{plan.path}: every factor is the same in every row; nothing to rank")
    rows = matrix.rows
    history = rows[[*PAIR_YEAR, "works"]].drop_duplicates(PAIR_YEAR).reset_index(drop=True)
    focus = history[PAIR].drop_duplicates(ignore_index=True)
    coverage = account_of(history, focus, matrix, [], constant)
    coverage["warnings"] = far_out(matrix) + copies(matrix)
    if not given.year:
        coverage["years"] = []
    return Study(
        history=history,
        focus=focus,
        matrix=matrix,
        ahead=None,
        table=pd.concat([rows, matrix.X], axis=1),
        coverage=coverage,
        inputs=[dict(own_counts.describe(plan.path))],
        not_forecast=why_not_forecast(history) if given.year else CROSS_SECTION,
    )
