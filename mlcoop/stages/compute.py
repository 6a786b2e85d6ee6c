"""What each stage of a run computes: a study and its settings to files and numbers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from mlcoop.artefacts import plain
from mlcoop.config import Config
from mlcoop.errors import DataError
from mlcoop.explain.crossfit import cross_validated_deviance, fit_rows, pair_names
from mlcoop.explain.defence.collinearity import collinearity
from mlcoop.explain.defence.defend import defend
from mlcoop.explain.defence.missing import compare_treatments, treat, treated
from mlcoop.explain.pairs.neighbours import neighbours_alike
from mlcoop.explain.pairs.observed_expected import observed_over_expected
from mlcoop.explain.pairs.surprises import name_factors
from mlcoop.explain.ranking import rank_factors
from mlcoop.features.audit import audit
from mlcoop.features.build import FeatureMatrix
from mlcoop.few_pairs import pairs_with_counts
from mlcoop.forecast.history import years_with_counts
from mlcoop.forecast.next_years import find_surprises, look_ahead
from mlcoop.forecast.origins import forecast_horizons
from mlcoop.model.learners import LEARNERS, Estimator, Learner
from mlcoop.plan import UNTESTED
from mlcoop.scenario.model import fit_scenario_model
from mlcoop.schema import PAIR
from mlcoop.study import Study

Progress = Callable[[int, int], None]
# A stage gives the contents of its files by name, and the few numbers that later stages read.
Made = tuple[dict[str, Any], dict[str, Any]]
Parts = dict[str, np.ndarray]


def without_gaps(study: Study, missing: str) -> Study:
    """Return the study as a treatment of missing values leaves it, and say what rows it lost."""
    kept = treat(study.matrix, missing)
    lost = len(study.matrix.rows) - len(kept.rows)
    if not lost:
        return replace(study, matrix=kept)
    pairs = len(study.matrix.rows[PAIR].drop_duplicates()), len(kept.rows[PAIR].drop_duplicates())
    if not kept.rows["in_focus"].any():
        raise DataError(
            "learner.missing: complete leaves no focus pair with every factor known; leave out the "
            "factors with most missing values, or choose impute"
        )
    dropped = {
        "kind": "row",
        "what": f"{lost / len(study.matrix.rows):.0%} of the rows, {pairs[0] - pairs[1]} pairs",
        "reason": "a factor is missing (learner.missing: complete)",
        "count": lost,
    }
    coverage = {**study.coverage, "dropped": [*study.coverage["dropped"], dropped]}
    return replace(study, matrix=kept, coverage=coverage)


def check_leaks(study: Study, config: Config) -> Made:
    """Stop before anything is learnt from a feature that knows its target.

    Raises
    ------
    DataError
        One line for each leak of a catalogue study. What a column of the user's own means is not
        ours to know: a ready panel warns, in every output.
    """
    found = audit(study.matrix, panel=study.panel, factors=study.factors, seed=config.seed)
    lines = [f"leak alarm, {f.column}: {f.message} ({f.kind})" for f in found]
    if lines and study.panel is not None:
        raise DataError(
            "\n".join(lines)
            + "\nleave these factors out with factors.exclude, or set audit.enabled=false "
            "to continue anyway"
        )
    return {}, {"warnings": lines}


def plan_horizons(study: Study, config: Config) -> tuple[list[int], list[str]]:
    """Return the horizons that are backtested, and a warning of those asked for that cannot be."""
    if study.not_forecast or not config.evaluation.enabled:
        return [], [UNTESTED] if not study.not_forecast and config.forecast.enabled else []
    most = config.forecast.horizon if config.forecast.enabled else 1
    return forecast_horizons(years_with_counts(study.history), most)


def parts_to_score(study: Study, config: Config, *, ranked: bool) -> Parts:
    """Return the rows that the factor model is scored on by part: the focus, and all pairs.

    Parameters
    ----------
    ranked : bool
        Whether there are focus pairs enough to rank by; without, they are not scored either.
    """
    rows = study.matrix.rows
    focus = rows["in_focus"].to_numpy(bool)
    parts = {"focus_unseen": focus} if ranked else {}
    if not focus.all() and pairs_with_counts(rows) >= config.evaluation.folds:
        parts["world_unseen"] = np.ones(len(focus), dtype=bool)
    return parts


def score_unseen(
    study: Study,
    config: Config,
    learner: Learner,
    params: dict[str, Any],
    parts: Parts,
    *,
    workers: int,
    progress: Progress,
) -> Made:
    """Score the factor model and PPML on pairs that they were not trained on, part by part."""
    # The same factors, and the same treatment of what is missing of them.
    ppml = treated(LEARNERS["ppml"], config.learner.missing)
    models = {"deviance_explained": (learner, params), "ppml_deviance_explained": (ppml, {})}
    jobs = [(metric, part) for metric in models for part in parts]
    done = count(1)

    def score(job: tuple[str, str]) -> float:
        model, chosen = models[job[0]]
        explained = cross_validated_deviance(
            study.matrix,
            model,
            chosen,
            folds=config.evaluation.folds,
            seed=config.seed,
            mask=parts[job[1]],
        )
        progress(next(done), len(jobs))
        return explained

    result: dict[str, Any] = {metric: {} for metric in models}
    for (metric, part), value in zip(jobs, at_once(score, jobs, workers), strict=True):
        result[metric][part] = value
    return {}, {**result, "warnings": warn_of_unseen(result)}


def warn_of_unseen(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a warning where the factor model explains nothing of held-out focus pairs.

    >>> warn_of_unseen({"deviance_explained": {"focus_unseen": 0.8}})
    []
    """
    own = scores["deviance_explained"].get("focus_unseen")
    if own is None or own >= 0:
        return []
    other = scores.get("ppml_deviance_explained", {}).get("focus_unseen", own)
    better = "; learner.name: ppml ranks by it" if other > 0 else ""
    return [
        "On held-out focus pairs the factor model predicts worse than one rate for all pairs "
        f"({100 * own:,.0f} % of the deviance explained, PPML {100 * other:,.0f} %{better}): its "
        "ranking may not hold for other pairs; fewer factors or more training countries help."
    ]


def rank(
    study: Study,
    config: Config,
    learner: Learner,
    params: dict[str, Any],
    *,
    workers: int,
    progress: Progress,
) -> Made:
    """Rank the factors with their uncertainty, and call the other witnesses."""
    settings = config.explain
    ranking = rank_factors(
        study.matrix,
        learner,
        params,
        level=settings.level,
        resamples=settings.resamples,
        unit=settings.unit,
        seed=config.seed,
        workers=workers,
        progress=progress,
    )
    files = {
        "factors.csv": ranking.factors,
        "groups.csv": ranking.groups,
        **({"dimensions.csv": ranking.dimensions} if len(ranking.dimensions) else {}),
        "resamples.parquet": ranking.replicates,
        "effects.csv": ranking.effects,
        "orders.csv": ranking.orders,
        "interactions.csv": ranking.interactions,
    }
    notes = dict(ranking.notes)
    if settings.witnesses:
        beside = defend(
            study.matrix,
            learner,
            params,
            ranking,
            seed=config.seed,
            workers=workers,
            progress=progress,
        )
        files |= {"witnesses.csv": beside.witnesses, "group_players.csv": beside.players}
        if beside.interactions is not None:
            files["interactions_with_focus.csv"] = beside.interactions
        notes |= beside.notes
    return files, {"notes": plain(notes)}


def compare_with_expected(
    study: Study,
    config: Config,
    learner: Learner,
    params: dict[str, Any],
    *,
    spatial: bool,
    workers: int,
) -> Made:
    """Set the focus pairs' last works beside those that their factors lead one to expect."""
    table = observed_over_expected(
        study.matrix,
        learner,
        {**learner.defaults, **params},
        level=config.explain.level,
        unit=config.explain.unit,
        seed=config.seed,
        workers=workers,
    )
    if config.panel is not None and config.panel.year is None:
        table[["first_year", "last_year"]] = pd.NA  # a cross-section stands in a year of no name
    alike = neighbours_alike(table, seed=config.seed)
    warnings = [] if spatial else warn_of_neighbours(alike, config.explain.level)
    result = {"neighbours": alike and {**alike, "spatial": spatial}, "warnings": warnings}
    return {"observed_expected.csv": table}, result


def warn_of_neighbours(alike: Mapping[str, float] | None, level: float) -> list[str]:
    """Return a warning where the residuals of neighbouring partners are alike.

    Of models without effects that near countries share.

    >>> warn_of_neighbours({"moran": 0.02, "p": 0.3, "partners": 60}, 0.95)
    []
    """
    if alike is None or alike["p"] > 1 - level:
        return []
    return [
        "Residuals are spatially autocorrelated: neighbouring partners deviate alike from the "
        f"works that factors suggest (Moran's I {alike['moran']:.2f}, p = {alike['p']:.2g}). They "
        "share causes that the panel lacks, and a factor that varies by region may stand in for "
        "them. Refits treat what such pairs share as independent noise, so ranks, orders and "
        "intervals are less certain than stated."
    ]


def relate(study: Study, ranking: pd.DataFrame) -> Made:
    """Show which factors are collinear, and whose ranks are not distinguishable."""
    found = collinearity(study.matrix, ranking)
    files = {"collinearity.csv": found.factors, "correlations.csv": found.correlations}
    return files, {"warnings": found.warnings}


def compare_gaps(
    whole: FeatureMatrix, config: Config, params: dict[str, Any], *, workers: int
) -> Made:
    """Show how much the ranking depends on the treatment of missing values."""
    entry, chosen = LEARNERS[config.learner.name], config.learner.missing
    found = compare_treatments(whole, entry, params, seed=config.seed, workers=workers)
    result: dict[str, Any] = {"notes": plain({**found.notes, "treatment": chosen})}
    if chosen == "own":
        result["warnings"] = found.warnings
    return {"missing.csv": found.table}, result


def forecast(
    study: Study, config: Config, params: dict[str, Any], *, workers: int, progress: Progress
) -> Made:
    """Backtest the forecaster over rolling origins, and forecast the years ahead."""
    found = look_ahead(
        study.history,
        study.focus,
        origins=config.evaluation.origins,
        level=config.forecast.level,
        horizons=config.forecast.horizon,
        ahead=config.forecast.enabled,
        params=params or None,
        seed=config.seed,
        workers=workers,
        progress=progress,
    )
    files: dict[str, Any] = {"backtest.csv": found.backtest.table}
    if found.model is not None:
        files["forecast.csv"] = found.forecast
        files["models/forecaster.json"] = found.model.to_json()
    if found.totals is not None:
        files["totals.csv"] = found.totals
    return files, {"metrics": plain(found.metrics), "warnings": list(found.warnings)}


def prepare_scenarios(
    study: Study, config: Config, estimator: Estimator, backtest: pd.DataFrame, *, workers: int
) -> Made:
    """Keep what a scenario needs, and say which factors set the level of surprising pairs."""
    model = fit_scenario_model(
        study.matrix,
        study.ahead,
        estimator,
        unit=config.explain.unit,
        seed=config.seed,
        workers=workers,
    )
    state = json.dumps(plain(model.to_json()), separators=(",", ":")).encode()
    surprises = find_surprises(backtest, study.history)
    return {
        "scenario.parquet": model.rows,
        "models/scenario.json.gz": gzip.compress(state, mtime=0),
        "surprises.csv": name_factors(surprises, study.matrix, estimator, seed=config.seed),
    }, {}


def fit_factor_model(
    matrix: FeatureMatrix, learner: Learner, params: dict[str, Any], seed: int
) -> Estimator:
    """Return the factor model fitted on all rows with counts."""
    known = np.flatnonzero(matrix.rows["works"].notna())
    settings = {**learner.defaults, **params}
    return fit_rows(matrix, learner, settings, seed, known, pair_names(matrix.rows))


def at_once(work: Callable[[Any], Any], jobs: Sequence[Any], workers: int) -> list[Any]:
    """Do jobs on as many threads as there are workers; the fits release the interpreter."""
    return Parallel(n_jobs=workers, backend="threading")(delayed(work)(j) for j in jobs)
