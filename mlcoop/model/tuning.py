"""Optuna search over a learner's space: pruned, persistent, and the same when cut and resumed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from mlcoop.files import write_whole

logging.getLogger("optuna").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Tuned:
    """The best parameters, and every trial behind the choice.

    Attributes
    ----------
    params : dict
        Full parameter set of the trial with the lowest loss.
    loss : float
        Its mean loss over the folds.
    trials : DataFrame
        `number, state, loss, folds_run` and one `param_*` column per searched parameter.
    """

    params: dict[str, Any]
    loss: float
    trials: pd.DataFrame


def tune(
    space: Callable[[optuna.Trial], dict[str, Any]],
    fold_scores: Callable[[dict[str, Any]], Iterator[float]],
    *,
    trials: int,
    seed: int,
    storage_path: Path | None = None,
    study_name: str = "study",
    defaults: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tuned:
    """Search for the parameters with the lowest mean loss over folds.

    Parameters
    ----------
    space : callable
        Draws a full parameter dict from an Optuna trial.
    fold_scores : callable
        Yields one loss per fold (lower is better) for a parameter dict. Folds must lie inside the
        training years. A trial whose running mean is worse than the median of earlier trials at
        the same fold is pruned.
    trials : int
        Trials wanted in the storage in all, at least 1.
    seed : int
        Trial k draws from a sampler seeded with `seed + k`, so that a search that was cut and
        resumed gives the same trials as one that was not.
    storage_path : Path or None
        Optuna journal file, of this search alone; None keeps the search in memory.
    defaults : dict or None
        Searched parameters of a first trial, so that tuning never ends below the defaults.
    progress : callable or None
        Called with (trials done, trials wanted).

    References
    ----------
    Akiba et al. (2019), Optuna. KDD. https://doi.org/10.1145/3292500.3330701
    """
    if storage_path is not None:
        storage_path.parent.mkdir(parents=True, exist_ok=True)
        # Of a run that was killed while it wrote; Optuna would wait for it, in vain. No two runs
        # write a journal at a time.
        Path(f"{storage_path}.lock").unlink(missing_ok=True)
        _drop_torn_lines(storage_path)
    storage = JournalStorage(JournalFileBackend(str(storage_path))) if storage_path else None
    study = optuna.create_study(
        study_name=study_name,
        storage=storage,
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # Left over by a run that was cut off: it must not count, nor steer the sampler.
        study.tell(trial.number, state=TrialState.FAIL)

    # Not study.optimize, which hides the reason when the journal cannot be written.
    def run(trial: optuna.Trial) -> None:
        params = space(trial)
        trial.set_user_attr("params", params)
        losses: list[float] = []
        for step, loss in enumerate(fold_scores(params)):
            losses.append(float(loss))
            trial.report(float(np.mean(losses)), step)
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                return
        study.tell(trial, float(np.mean(losses)))

    def done() -> int:
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        return len(study.get_trials(deepcopy=False, states=ended))

    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if defaults and not done() and not waiting:
        study.enqueue_trial(defaults)
    while (finished := done()) < trials:
        if progress:
            progress(finished, trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed + finished, n_startup_trials=8)
        run(study.ask())
    if progress:
        progress(trials, trials)
    best = study.best_trial
    return Tuned(
        params=dict(best.user_attrs["params"]), loss=float(study.best_value), trials=_table(study)
    )


def _drop_torn_lines(path: Path) -> None:
    """Cut a journal at the first line that is not whole, as a full disk leaves it."""
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    for number, line in enumerate(lines):
        try:
            json.loads(line)
            whole = line.endswith(b"\n")
        except ValueError:
            whole = False
        if not whole:
            write_whole(path, b"".join(lines[:number]))
            return


def _table(study: optuna.Study) -> pd.DataFrame:
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    rows = []
    for trial in study.get_trials(deepcopy=False, states=ended):
        values = trial.intermediate_values
        loss = trial.value if trial.state == TrialState.COMPLETE else values[max(values)]
        rows.append(
            {"state": trial.state.name.lower(), "loss": loss, "folds_run": len(values)}
            | {f"param_{name}": value for name, value in sorted(trial.params.items())}
        )
    table = pd.DataFrame(rows)
    table.insert(0, "number", range(len(table)))
    return table
