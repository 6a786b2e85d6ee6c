"""Carry out a family of studies: shared data, one member after the other, then their comparison."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

from mlcoop.artefacts import fingerprint
from mlcoop.assemble import assemble, look_at_own_file
from mlcoop.comparison import Comparison
from mlcoop.errors import ConfigError
from mlcoop.experiments import read_experiment
from mlcoop.family.file import Family
from mlcoop.family.folder import write_comparison
from mlcoop.finished import is_finished, refuse_to_overwrite
from mlcoop.plan import Plan
from mlcoop.run import Listener, run_study
from mlcoop.sources.service.http import Client
from mlcoop.study import Study

# What the panel and features of a study hang on; the seed is in for planted worlds only.
DATA_SECTIONS = ("focus", "training", "years", "target", "simulated", "factors", "panel")


class FamilyListener(Listener, Protocol):
    """What reports the progress of a family."""

    def member(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """A member begins; the time that is left is a guess from those before it."""


class SharedData:
    """Assemble the data of several plans, each table once where plans ask for the same.

    What no later plan asks for is let go, so that a family needs no more memory than it must.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._wanted = Counter(data_key(plan) for plan in plans)
        self._held: dict[str, Study] = {}

    def __call__(
        self,
        plan: Plan,
        client: Client,
        *,
        today: date,
        progress: Callable[[int, int], None] | None = None,
    ) -> Study:
        """Return what `assemble` returns."""
        key = data_key(plan)
        study = self._held.get(key)
        if study is None:
            study = assemble(plan, client, today=today, progress=progress)
        self._wanted[key] -= 1
        if self._wanted[key] > 0:
            self._held[key] = study
        else:
            self._held.pop(key, None)
        # A run may add to what it was given; the next member must get it as it was.
        return dataclasses.replace(study, coverage=dict(study.coverage), inputs=list(study.inputs))

    def skip(self, plan: Plan) -> None:
        """Note that a plan will not ask, because its study is finished."""
        self._wanted[data_key(plan)] -= 1


def data_key(plan: Plan) -> str:
    """Return what identifies a plan's panel and features."""
    config = plan.config.model_dump(mode="json")
    seed = config["seed"] if plan.config.simulated else None
    sections = [config[section] for section in DATA_SECTIONS]
    return fingerprint(sections, config["learner"]["exposure"], seed, str(plan.path))


def run_family(
    family: Family,
    plans: Sequence[Plan],
    client: Client,
    *,
    experiments: Path,
    models: Path,
    listener: FamilyListener,
    force: bool = False,
    workers: int = 1,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Run every member that is not finished, then write and return their comparison.

    Parameters
    ----------
    family, plans : Family and the plans of its members, from `plan_family`
    experiments, models : Path
        Members go to `experiments/NAME-MEMBER`, the comparison to `experiments/NAME`.
    force : bool
        Run all members again.

    Raises
    ------
    ConfigError
        A member's folder holds a finished study of another config; nothing is run then.
    ConfigError, DataError
        A member's own file cannot be read or holds too few pairs; nothing is run then either.
    """
    places = [(experiments / plan.config.name, plan.config) for plan in plans]
    done = [not force and is_finished(*place) for place in places]
    if not force:
        for place in places:
            refuse_to_overwrite(*place)
    if (experiments / family.name / "config.yaml").is_file():
        raise ConfigError(
            f"{experiments / family.name}: holds a study, so it cannot hold this family; "
            "give the family another name"
        )
    # The last member's slip in a path must not wait for the others' hours.
    ahead = [plan for plan, ready in zip(plans, done, strict=True) if not ready]
    for plan in {data_key(plan): plan for plan in ahead}.values():
        look_at_own_file(plan, must_rank=True)
    data = SharedData(plans)
    for plan, ready in zip(plans, done, strict=True):
        if ready:
            data.skip(plan)
    begun, run_before, to_run = clock(), 0, done.count(False)
    studies = []
    for number, (plan, ready) in enumerate(zip(plans, done, strict=True), start=1):
        if ready:
            studies.append(read_experiment(experiments / plan.config.name))
            continue
        spent = clock() - begun
        left = spent / run_before * (to_run - run_before) if run_before else None
        listener.member(number, len(plans), plan.config.name, left)
        studies.append(
            run_study(
                plan,
                client,
                experiments=experiments,
                models=models,
                listener=listener,
                force=force,
                workers=workers,
                assemble=data,
                must_rank=True,
            )
        )
        run_before += 1
    labels = {member.config.name: member.label for member in family.members}
    return write_comparison(
        experiments / family.name,
        title=family.title,
        studies=[dataclasses.replace(s, name=labels[s.name]) for s in studies],
        over_time=family.over_time,
    )
