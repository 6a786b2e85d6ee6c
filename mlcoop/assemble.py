"""A plan's data, whatever its source, in the one form that all later stages read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from mlcoop.countries import name_of
from mlcoop.errors import ConfigError, DataError, some
from mlcoop.features.build import Feature, FeatureMatrix, build_features, explain_rows
from mlcoop.features.catalogue import split_input, usable_factors
from mlcoop.features.coverage import known_shares
from mlcoop.features.factor import Factor
from mlcoop.features.ready import matrix_from_ready_panel
from mlcoop.likeness import HISTORY_YEARS, planted_features, study_pairs
from mlcoop.panel import Panel, build_panel, coverage_by_country, unordered
from mlcoop.plan import Plan
from mlcoop.planted import plant_counts, planted_order, simulate_indicators
from mlcoop.reference import beside_table_1
from mlcoop.schema import COUNTRY_VARIABLES, PAIR, PAIR_VARIABLES, PAIR_YEAR
from mlcoop.sources import owncounts, readypanel
from mlcoop.sources.gather import Filters, Gathered, GatherRequest, gather
from mlcoop.sources.http import Client
from mlcoop.sources.imported import how_to_get, imported_variables
from mlcoop.tables import group_members

Progress = Callable[[int, int], None]
# Fewer years than this leave no origin to learn from and check.
FEWEST_FORECAST_YEARS = 6


@dataclass(frozen=True)
class Study:
    """All that the stages after the panel read.

    Attributes
    ----------
    history : DataFrame of country_a, country_b, year, works
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
    can_forecast : bool
        Whether the history is long enough.
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
    can_forecast: bool = True
    panel: pd.DataFrame | None = None
    factors: tuple[Factor, ...] = ()


def gather_request(plan: Plan, today: date) -> GatherRequest:
    """Return what a plan needs of the sources."""
    config = plan.config
    end = config.years.end
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


def _refuse_without_imports(plan: Plan, client: Client) -> None:
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

    _refuse_without_imports(plan, client)

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
    return _study(
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


def _study(
    plan: Plan,
    panel: Panel,
    years: tuple[int, int],
    *,
    focal: str | None,
    inputs: list[dict[str, Any]],
    warnings: list[str],
    extra: dict[str, Any] | None = None,
) -> Study:
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
    matrix, dropped = _without_constant(matrix)
    ahead = build_features(panel.table, years=[last + 1], **settings)
    kept = [f.name for f in matrix.features]
    ahead = FeatureMatrix(ahead.rows, ahead.X[kept], matrix.features, ahead.focal)
    table = panel.table[panel.table["year"] >= first].reset_index(drop=True)
    out = [
        {"kind": "factor", "what": factor.name, "reason": why, "count": 1}
        for factor, why in unusable
    ]
    out += [
        {"kind": "factor", "what": name, "reason": "the same in every row", "count": 1}
        for name in dropped
    ]
    observed = table["works"].notna()
    coverage = {
        "countries": sorted(set(panel.focus["country_a"]) | set(panel.focus["country_b"])),
        "training_countries": len(set(table["country_a"]) | set(table["country_b"])),
        "country_coverage": {
            row.iso3: round(row.coverage, 3)
            for row in coverage_by_country(panel).itertuples(index=False)
        },
        "dropped": [*panel.dropped, *out],
        "factors": _factor_coverage(matrix, {f.name: f for f in factors}),
        "known": known_shares(matrix),
        "years": [first, last],
        "pairs": len(table[PAIR].drop_duplicates()),
        "focus_pairs": len(panel.focus),
        "zeros": float((table.loc[observed, "works"] == 0).mean()),
        "missing": float(1 - observed.mean()),
        "simulated": False,
        "warnings": [*warnings, *panel.warnings],
        **(extra or {}),
    }
    if plan.partners:
        coverage["notes"] = [_kept(plan, panel)]
    if "institution" in coverage:
        coverage.setdefault("notes", []).append(_own_side(coverage["institution"]))
    reference = _reference(plan, table, panel.focus)
    if reference:
        coverage["reference"] = reference
    return Study(
        history=table[[*PAIR_YEAR, "works"]],
        focus=panel.focus,
        matrix=matrix,
        ahead=ahead,
        table=table,
        coverage=coverage,
        inputs=inputs,
        # Intervals are made for whole counts.
        can_forecast=last - first + 1 >= FEWEST_FORECAST_YEARS
        and plan.config.target.counting == "full",
        panel=panel.table,
        factors=tuple(factors),
    )


def _own_side(institution: dict[str, Any]) -> str:
    """Say which figures of an institution's side are its own."""
    return (
        f"{institution['name']} stands in the place of a focal country. Its international works "
        "and, in the place of scientific articles, all its works are its own, of OpenAlex; other "
        f"figures of its side are those of its country, {name_of(institution['country'])}, which "
        "is no partner. The models learn from its own pairs alone."
    )


def _kept(plan: Plan, panel: Panel) -> str:
    """Say in a sentence which of the partners asked for are kept, and why others are not."""
    left = set(panel.focus["country_a"]) | set(panel.focus["country_b"])
    kept = sum(partner in left for partner in plan.partners)
    reasons = {str(d["what"]): d["reason"] for d in panel.dropped if d["kind"] == "country"}
    lost = [f"{p} ({reasons.get(p, 'not in this panel')})" for p in plan.partners if p not in left]
    text = f"Of {len(plan.partners)} partners asked for, {kept} are kept"
    return f"{text}; left out: {some(lost, most=80)}." if lost else f"{text}."


def _without_constant(matrix: FeatureMatrix) -> tuple[FeatureMatrix, list[str]]:
    """Leave out factors that are the same in every row: they can neither be learnt nor ranked."""
    X = matrix.X
    varies = X.max() > X.min()
    moving = {f.factor for f in matrix.features if varies[f.name]}
    kept = tuple(f for f in matrix.features if f.factor in moving)
    lost = sorted({f.factor for f in matrix.features} - moving)
    return FeatureMatrix(matrix.rows, X[[f.name for f in kept]], kept, matrix.focal), lost


def _factor_coverage(matrix: FeatureMatrix, entries: dict[str, Factor]) -> list[dict[str, Any]]:
    """Share of the explained rows in which each factor is known."""
    known = matrix.X[explain_rows(matrix)].notna().mean()
    rows: dict[str, dict[str, Any]] = {}
    for feature in matrix.features:
        entry = entries.get(feature.factor) or entries.get(_base_name(feature))
        row = rows.setdefault(
            feature.factor,
            {
                "factor": feature.factor,
                "label": feature.label,
                "group": feature.group,
                "role": feature.role,
                "source": entry.source if entry else "the user's panel",
                "lag": entry.lag if entry else 0,
                "sign": entry.sign if entry else 0,
                "coverage": 1.0,
            },
        )
        row["coverage"] = round(min(row["coverage"], float(known[feature.name])), 4)
    return list(rows.values())


def _base_name(feature: Feature) -> str:
    return feature.factor.removesuffix("_partner").removesuffix("_focal")


def _reference(plan: Plan, table: pd.DataFrame, focus: pd.DataFrame) -> dict[str, Any] | None:
    """The published table stands beside studies of China and the Belt and Road only."""
    bri = set(group_members("belt-and-road")) | set(group_members("belt-and-road-signatories"))
    fits = plan.focal == "CHN" and len(plan.partners) >= 30 and set(plan.partners) <= bri
    if not fits or plan.config.target.source == "simulated":
        return None
    works = table.merge(focus, on=PAIR).groupby("year", as_index=False)["works"].sum()
    return beside_table_1(works, plan.config.target.field)


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
    study = _study(
        plan,
        Panel(table[blank.table.columns], blank.focus, [outside] if outside["count"] else []),
        years,
        focal=plan.focal,
        inputs=[_simulated_record(config.seed)],
        warnings=["All counts and all national figures but population are simulated."],
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
    columns: dict[str, list[str]] = {}
    for feature in matrix.features:
        name = feature.name if feature.role == "pair" else _base_name(feature)
        columns.setdefault(name, []).append(feature.name)
    return plant_counts(
        matrix.rows,
        matrix.X,
        columns,
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


def _from_ready_panel(plan: Plan) -> Study:
    given = plan.config.panel
    assert given is not None and plan.path is not None
    table = readypanel.read(
        plan.path,
        pair=list(given.pair),
        target=given.target,
        factors=list(given.factors),
        year=given.year,
        exposure=given.exposure,
    )
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
    matrix, constant = _without_constant(matrix)
    if not matrix.features:
        raise DataError(f"{plan.path}: every factor is the same in every row; nothing to rank")
    rows = matrix.rows
    history = rows[[*PAIR_YEAR, "works"]].drop_duplicates(PAIR_YEAR).reset_index(drop=True)
    focus = history[PAIR].drop_duplicates(ignore_index=True)
    known = history["works"].notna()
    whole = bool((history.loc[known, "works"] % 1 == 0).all())
    n_years = int(history.loc[known, "year"].nunique())
    warnings = []
    if given.year is None:
        warnings.append("The panel has no year column: it is ranked as one cross-section.")
    coverage = {
        "countries": sorted(set(focus["country_a"]) | set(focus["country_b"])),
        "dropped": [
            {"kind": "factor", "what": name, "reason": "the same in every row", "count": 1}
            for name in constant
        ],
        "factors": _factor_coverage(matrix, {}),
        "known": known_shares(matrix),
        "years": [int(history["year"].min()), int(history["year"].max())],
        "pairs": len(focus),
        "focus_pairs": len(focus),
        "zeros": float((history.loc[known, "works"] == 0).mean()),
        "missing": float(1 - known.mean()),
        "simulated": False,
        "warnings": warnings,
    }
    return Study(
        history=history,
        focus=focus,
        matrix=matrix,
        ahead=None,
        table=pd.concat([rows, matrix.X], axis=1),
        coverage=coverage,
        inputs=[dict(owncounts.describe(plan.path))],
        can_forecast=whole and n_years >= FEWEST_FORECAST_YEARS and given.year is not None,
    )
