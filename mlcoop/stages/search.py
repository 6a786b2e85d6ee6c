"""The search for settings of the factor model and of the forecaster, in the first years alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mlcoop.artefacts import MEND
from mlcoop.config import Config
from mlcoop.explain.crossfit import fold_scores
from mlcoop.few_pairs import pairs_with_counts
from mlcoop.files import writing
from mlcoop.forecast.history import years_with_counts
from mlcoop.forecast.origins import plan_origins
from mlcoop.forecast.search import tuning_problem
from mlcoop.model.learners import Learner
from mlcoop.model.tuning import Tuned, tune
from mlcoop.stages.compute import Made, Progress, at_once
from mlcoop.study import Study

FoldScores = Callable[[dict[str, Any]], Iterator[float]]
TUNING_ROWS = 15_000


def first_reported(study: Study, horizons: Sequence[int], origins: int) -> int:
    """Return the first origin that is reported at any horizon; the last year when there is none.

    Farther ahead it lies earlier: what is tuned on outcomes after it has seen what it forecasts.
    """
    years = years_with_counts(study.history)
    first = [plan_origins(years, h, last_origins=origins)[1][0] for h in horizons]
    return min(first, default=int(years[-1]))


def search_settings(
    study: Study,
    config: Config,
    learner: Learner,
    *,
    horizons: Sequence[int],
    journal: Callable[[str], Path],
    workers: int,
    progress: Progress,
) -> Made:
    """Search the settings of the factor model, and of the forecaster, in the first years alone.

    Parameters
    ----------
    horizons : sequence of int
        Those that are backtested; none when there is no forecaster to search for.
    journal : callable
        Gives the path of the Optuna journal of a model.
    """
    settings = config.tuning
    fixed = dict(config.learner.params)
    # Without a backtest as with one of the next year, so that leaving it out moves no ranking.
    tested = horizons or ([] if study.not_forecast else [1])
    before = first_reported(study, tested, config.evaluation.origins)
    past = study.matrix.take(study.matrix.rows["year"] <= before)
    # Few pairs cannot be folded: the factor model then keeps its defaults.
    searches = ["factor"] if pairs_with_counts(past.rows) >= settings.folds else []
    searches += ["forecast"] if horizons else []
    if not searches:
        return {}, {}
    done: dict[str, int] = {}

    def search(name: str) -> Tuned:
        def step(trials: int, total: int) -> None:
            done[name] = trials
            progress(sum(done.values()), len(searches) * total)

        path = journal(name)
        common: dict[str, Any] = {
            "trials": settings.trials,
            "seed": config.seed,
            "storage_path": path,
            "study_name": name,
            "progress": step,
        }
        with writing(path, MEND):
            if name == "factor":
                return tune(
                    lambda trial: {**learner.space(trial), **fixed},
                    _on_fewer_rows(fold_scores(past, learner, settings.folds, config.seed)),
                    defaults=learner.defaults,
                    **common,
                )
            problem = tuning_problem(study.history, study.focus, before=before, seed=config.seed)
            return tune(problem.space, problem.fold_scores, defaults=problem.defaults, **common)

    results = dict(zip(searches, at_once(search, searches, workers), strict=True))
    trials = pd.concat(
        [t.trials.assign(model=name) for name, t in results.items()], ignore_index=True
    )
    trials.insert(0, "model", trials.pop("model"))
    found = {name: {"params": t.params, "loss": t.loss} for name, t in results.items()}
    return {"tuning/trials.csv": trials, "tuning/best.json": found}, found


def _on_fewer_rows(scores: FoldScores) -> FoldScores:
    """Search on a sample of rows: the order of settings shows on it, at a third of the time."""

    def sampled(params: dict[str, Any]) -> Iterator[float]:
        most = params.get("most_rows")
        return scores(params if most is None else {**params, "most_rows": min(most, TUNING_ROWS)})

    return sampled
