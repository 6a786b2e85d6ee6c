"""Truth: a quadratic loss whose minimum is known, and a search repeated without a cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages.journal import JournalFileBackend

from mlcoop.model.tuning import tune


def space(trial: optuna.Trial) -> dict[str, Any]:
    return {"x": trial.suggest_float("x", -4, 4), "fixed": 7}


def fold_scores(params: dict[str, Any]) -> Iterator[float]:
    for fold in range(3):
        yield (params["x"] - 1.5) ** 2 + fold


def test_search_finds_the_minimum_of_a_parabola() -> None:
    tuned = tune(space, fold_scores, trials=40, seed=1)
    # The parabola's minimum is x = 1.5; its loss there is the mean of folds 0, 1, 2.
    assert tuned.params["x"] == pytest.approx(1.5, abs=0.15)
    assert tuned.loss == pytest.approx(1.0, abs=0.03)
    assert tuned.params["fixed"] == 7


def test_defaults_are_tried_first_and_never_lost() -> None:
    tuned = tune(space, fold_scores, trials=2, seed=3, defaults={"x": 1.5})
    assert tuned.trials.loc[0, "param_x"] == 1.5
    assert tuned.loss == pytest.approx(1.0)


def test_bad_trials_are_pruned_and_say_so() -> None:
    tuned = tune(space, fold_scores, trials=30, seed=0)
    pruned = tuned.trials[tuned.trials["state"] == "pruned"]
    assert len(pruned) and (pruned["folds_run"] < 3).all()


@pytest.mark.parametrize("at", [1, 7])
def test_a_search_cut_in_the_middle_of_a_trial_ends_as_one_that_was_not(
    at: int, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"trials": 14, "seed": 5, "defaults": {"x": 3.0}}
    whole = tune(space, fold_scores, **settings)
    calls = 0

    def cut(params: dict[str, Any]) -> Iterator[float]:
        nonlocal calls
        calls += 1
        for score in fold_scores(params):
            if calls == at:
                raise KeyboardInterrupt
            yield score

    path = tmp_path / "journal.log"
    with pytest.raises(KeyboardInterrupt):
        tune(space, cut, **settings, storage_path=path)
    resumed = tune(space, fold_scores, **settings, storage_path=path)
    pd.testing.assert_frame_equal(resumed.trials, whole.trials)
    assert resumed.params == whole.params
    again = tune(space, pytest.fail, **settings, storage_path=path)
    assert again.params == whole.params


def test_the_lock_of_a_killed_search_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.log"
    path.touch()
    # What Optuna leaves behind when it is killed while it writes.
    Path(f"{path}.lock").symlink_to(path)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("waits for the lock"))
    assert len(tune(space, fold_scores, trials=2, seed=5, storage_path=path).trials) == 2


def test_a_full_disk_is_said_and_the_torn_journal_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(space, fold_scores, trials=6, seed=5)
    path = tmp_path / "journal.log"
    real, lines = JournalFileBackend.append_logs, 0

    def full(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        nonlocal lines
        lines += 1
        if lines < 20:
            return real(self, logs)
        if lines == 20:
            path.write_bytes(path.read_bytes() + b'{"op_code": 6, "tri')
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(JournalFileBackend, "append_logs", full)
        with pytest.raises(OSError, match="No space left"):
            tune(space, fold_scores, trials=6, seed=5, storage_path=path)
    resumed = tune(space, fold_scores, trials=6, seed=5, storage_path=path)
    pd.testing.assert_frame_equal(resumed.trials, whole.trials)
