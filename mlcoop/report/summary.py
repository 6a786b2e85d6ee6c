"""An experiment to the numbers and sentences that every page, figure and terminal shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scipy.stats import kendalltau

from mlcoop.countries import is_iso3
from mlcoop.report import institution
from mlcoop.report.names import filled, number, optional, percent
from mlcoop.report.numbers import gather, gather_defence, gather_factors, gather_forecast
from mlcoop.report.numbers.content import Planted, Summary
from mlcoop.report.numbers.outlook import focus_total, gather_outlook
from mlcoop.report.sections.beyond import gather_beyond
from mlcoop.report.sections.together import gather_together
from mlcoop.report.sentences.question import asked
from mlcoop.report.sentences.study import (
    NOT_CAUSE,
    apart_sentence,
    calibration_sentence,
    deviance_sentence,
    dimension_sentence,
    forecast_sentence,
    group_sentence,
    of_years_sentence,
    planted_sentence,
    ranking_sentence,
    resampling_sentence,
    scales_sentence,
    skill_sentence,
    spells_sentence,
)
from mlcoop.schema import NOT_FORECAST, Experiment

LONE = (
    "Every factor is a group of its own, so groups rank as factors do. The key panel.groups of the "
    "config puts factors into groups."
)
ABSENT = {
    "factors": "No ranking of factors was computed (explain is off, or its table is missing).",
    "groups": "No ranking of groups was computed.",
    "curves": "No effect curves were computed.",
    "errors": "This folder holds no backtest (evaluation is off, or its figures are missing).",
    "calibration": "This folder holds no intervals for held-out years.",
    "forecasts": (
        "This folder holds no forecast: the forecast is off, or forecast.csv is missing. "
        "That file repeats the sources’ counts, so a fresh clone lacks it until the study is run."
    ),
    "past": (
        "backtest.csv is not in this folder: it repeats the sources’ counts, so a fresh clone "
        "lacks it until the study is run."
    ),
    "factor_data": "This folder holds no account of the data behind the factors.",
}


def summarise(experiment: Experiment) -> Summary:
    """Return the summary of a finished study.

    Parameters
    ----------
    experiment : Experiment
        Any table may be None or empty: the part is then left empty with its reason in `absent`.

    Returns
    -------
    Summary
        Shares and errors as fractions, effects as relative changes, counts as they stand.
    """
    home = institution.home(experiment)
    experiment = institution.named(experiment)
    config, coverage = experiment.config, experiment.coverage
    simulated = bool(coverage.get("simulated"))
    focal = (config.get("focus") or {}).get("focal")
    labels = gather.factor_labels(experiment)
    factors = gather.ranked(experiment.factors, "factor", labels)
    groups = gather.ranked(
        experiment.groups, "group", focal="institution and its country" if home else focal
    )
    # A ready panel without groups has one for each factor, whose ranking would say all twice.
    lone = bool(config.get("panel")) and 0 < len(factors) == len(groups)
    if lone:
        groups = ()
    dimensions = gather.ranked(experiment.dimensions, "dimension")
    errors = gather_forecast.set_errors(experiment)
    calibration = gather_forecast.calibration(experiment)
    forecasts = gather_forecast.expected(experiment, focal)
    held = gather_forecast.past(
        experiment, {(f.a, f.b) for f in forecasts} or _focus_pairs(experiment)
    )
    planted = gather.planted(coverage, factors, labels)

    countries = tuple(str(c) for c in coverage.get("countries") or [])
    # A ready panel may pair towns or laboratories.
    own = bool(config.get("panel")) and not all(map(is_iso3, countries))
    ends = ("end of a pair", "ends of pairs") if own else ("country", "countries")
    not_ranked = coverage.get("not_ranked")
    parts: dict[str, Any] = {
        "factors": factors,
        "groups": groups,
        "dimensions": dimensions,
        "curves": gather.curves(experiment, factors, labels),
        "errors": errors,
        "calibration": calibration,
        "forecasts": forecasts,
        "past": held,
        "factor_data": gather.factor_data(coverage),
    }
    warnings = tuple(str(w) for w in coverage.get("warnings") or [])
    reasons = {**ABSENT, "factors": str(not_ranked)} if not_ranked else ABSENT
    if lone:
        reasons = {**reasons, "groups": LONE}
    for why in [w for w in warnings if w.startswith(NOT_FORECAST)]:
        reasons = {**reasons, "errors": why, "calibration": why, "forecasts": why}
    summary = Summary(
        name=experiment.name,
        title=str(config.get("title") or experiment.name),
        simulated=simulated,
        focal=focal,
        home=home or focal,
        asked=asked(config, coverage, simulated, forecast=bool(forecasts)),
        answer=(),
        trust=(),
        rank_level=experiment.rank_level,
        resamples=_replicates(experiment),
        factor_model=experiment.metrics.get("factor_model") or {},
        together=gather_together(experiment, labels),
        beyond=gather_beyond(experiment, focal),
        neighbours=experiment.metrics.get("neighbours"),
        collinear=gather_factors.collinear(experiment, labels),
        missing=gather_factors.missing(experiment, labels),
        countries=countries,
        ends=ends,
        left_out=gather.left_out(coverage),
        facts=_facts(coverage),
        planted=planted,
        planted_tau=_planted_tau(planted),
        outlook=gather_outlook(experiment, errors, focal),
        reference=gather.reference(coverage),
        tuning=gather.tuning(experiment.trials),
        sources=gather.sources(experiment.provenance),
        warnings=warnings,
        notes=tuple(str(n) for n in coverage.get("notes") or []),
        provenance=experiment.provenance,
        config=config,
        citation=citation(experiment),
        defence=gather_defence.defence(experiment, factors, labels, focal),
        absent={key: reason for key, reason in reasons.items() if not parts[key]},
        **parts,
    )
    ranking = experiment.metrics.get("ranking") or {}
    return replace(summary, answer=_answer(summary, not_ranked), trust=_trust(summary, ranking))


def _answer(s: Summary, not_ranked: str | None) -> tuple[str, ...]:
    """Return the sentences that answer the study's question."""
    answer = [str(not_ranked)] if not_ranked else []
    if s.factors:
        answer.append(ranking_sentence(s.factors, s.rank_level, s.simulated))
    if s.dimensions:
        answer.append(dimension_sentence(s.dimensions, s.rank_level))
    if s.groups:
        answer.append(group_sentence(s.groups, s.rank_level))
    if s.forecasts:
        total = focus_total(s.outlook)
        joint = (total.lower, total.upper) if total and total.year == s.forecasts[0].year else None
        answer.append(forecast_sentence(s.forecasts, s.past, s.simulated, joint))
    return tuple(answer)


def _trust(s: Summary, ranking: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sentences that say how far the answer holds; `ranking` is that of the metrics."""
    trust = []
    if s.planted:
        trust.append(planted_sentence(s.planted, s.factors, s.planted_tau))
    if s.errors:
        trust.append(skill_sentence(s.errors[0]))
    if s.calibration:
        trust.append(calibration_sentence(s.calibration))
    trust.append(deviance_sentence(s.factor_model))
    if s.factors:
        unit = (ranking or s.config.get("explain") or {}).get("unit")
        trust += [
            resampling_sentence(s.resamples, unit, s.rank_level, s.ends[1]),
            scales_sentence(s.factors, ranking.get("scales") or {}),
            of_years_sentence(s.factors, ranking.get("of_years") or {}),
            apart_sentence(ranking.get("apart") or [], s.focal),
            spells_sentence(ranking.get("spells") or [], s.focal),
            NOT_CAUSE,
        ]
    return tuple(t for t in trust if t)


def citation(experiment: Experiment) -> str:
    """Return how to cite the study, from its provenance."""
    provenance = experiment.provenance
    version = provenance.get("mlcoop")
    when = str(provenance.get("finished") or "")[:10]
    commit, _, changes = str(provenance.get("commit") or "").partition(" ")
    commit = f"{commit[:12]} {changes}".strip()
    title = str(experiment.config.get("title") or experiment.name)
    made = [
        f"study “{experiment.name}”",
        f"seed {experiment.config['seed']}" if experiment.config.get("seed") is not None else "",
        f"run on {when}" if when else "",
        f"commit {commit}" if commit else "",
    ]
    tool = f"mlcoop{f' {version}' if version else ''}"
    kind = " (simulated data)" if experiment.coverage.get("simulated") else ""
    return f"{title}{kind}. Made with {tool}: {', '.join(m for m in made if m)}."


def _facts(coverage: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    years = coverage.get("years") or []
    zeros, missing = optional(coverage.get("zeros")), optional(coverage.get("missing"))
    rows = [
        ("Focus pairs", _count(coverage.get("focus_pairs"))),
        ("All pairs", _count(coverage.get("pairs"))),
        ("Countries in training", _count(coverage.get("training_countries"))),
        ("Years", f"{years[0]}–{years[1]}" if len(years) == 2 else ""),
        ("Known zeros", "" if zeros is None else f"{percent(zeros, 1)} of counts"),
        ("Missing", "" if missing is None else f"{percent(missing, 1)} of counts"),
    ]
    return tuple((k, v) for k, v in rows if v)


def _count(value: Any) -> str:
    return number(value) if value else ""


def _planted_tau(planted: Sequence[Planted]) -> float | None:
    both = [(p.rank, p.recovered) for p in planted if p.recovered is not None]
    if len(both) < 2:
        return None
    return optional(kendalltau([b[0] for b in both], [b[1] for b in both]).statistic)


def _replicates(experiment: Experiment) -> int:
    table = experiment.resamples
    if not filled(table):
        return 0
    kinds = table[table["kind"] == "factor"] if "kind" in table else table
    return int(kinds["replicate"].nunique())


def _focus_pairs(experiment: Experiment) -> set[tuple[str, str]]:
    table = experiment.backtest
    if not filled(table):
        return set()
    table = gather_forecast.focus_rows(table)
    return set(zip(table["country_a"].astype(str), table["country_b"].astype(str), strict=True))
