"""Carry out a plan, stage by stage; what is complete from the same inputs is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from joblib import parallel_config
from threadpoolctl import threadpool_limits

from mlcoop import stages
from mlcoop.artefacts import (
    MEND,
    RunFolder,
    fingerprint,
    plain,
    provenance,
    read_experiment,
)
from mlcoop.assemble import assemble, look_at_own_file
from mlcoop.card import model_card
from mlcoop.config_file import dump_config
from mlcoop.explain.missing import treated
from mlcoop.features.build import FeatureMatrix
from mlcoop.few_pairs import pairs_with_counts, why_not_ranked
from mlcoop.files import writing
from mlcoop.finished import config_key, is_finished, refuse_to_overwrite
from mlcoop.model.learners import LEARNERS, Estimator, Learner
from mlcoop.model.stored import to_json
from mlcoop.plan import Plan
from mlcoop.report.figures import draw_figures
from mlcoop.report.render import render_report
from mlcoop.schema import Experiment
from mlcoop.sources.http import Client
from mlcoop.study import Study, describe

Assemble = Callable[..., Study]


class Listener(Protocol):
    """Who is told how a run gets on."""

    def start(self, stage: str, what: str) -> None:
        """A stage begins."""

    def step(self, done: int, total: int) -> None:
        """A part of the stage is done."""

    def note(self, text: str) -> None:
        """Something that the user should know."""

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        """A stage is done, or was kept from an earlier run."""


def run_study(
    plan: Plan,
    client: Client,
    *,
    experiments: Path,
    models: Path,
    listener: Listener,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    force: bool = False,
    workers: int = 1,
    assemble: Assemble = assemble,
    must_rank: bool = False,
) -> Experiment:
    """Run a study into its folders and return it; a finished one is returned as it stands.

    Parameters
    ----------
    plan : Plan
    client : Client
        Through which the sources are asked.
    experiments, models : Path
        Folders that hold the studies' folders.
    force : bool
        Run every stage again, over whatever the folder holds.
    workers : int
        Processes. The number changes no result.
    assemble : callable
        Gives the plan's data; a family shares what its members have in common.
    must_rank : bool
        Whether the study is of no use without a ranking; elsewhere one of too few focus pairs
        does without.

    Raises
    ------
    ConfigError
        The folder holds a finished study of another config, is being written by another run, or
        cannot be written; or there are too few focus pairs for all that is asked for.
    """
    config = plan.config
    root = experiments / config.name
    if not force:
        refuse_to_overwrite(root, config)
        if is_finished(root, config):
            return read_experiment(root)
    study = _Run(plan, client, experiments, models, listener, now, workers, assemble, must_rank)
    # One thread per fit and processes outside: faster for small fits, and sums in one order, so
    # that the number of workers changes no digit.
    with threadpool_limits(1), parallel_config(backend="loky", inner_max_num_threads=1):
        return study.carry_out(config_key(config), force)


class _Run:
    """One run: the plan, the folder it writes, and who listens."""

    def __init__(
        self,
        plan: Plan,
        client: Client,
        experiments: Path,
        models: Path,
        listener: Listener,
        now: Callable[[], datetime],
        workers: int,
        assemble: Assemble,
        must_rank: bool,
    ) -> None:
        self.plan, self.config, self.client = plan, plan.config, client
        self.experiments, self.models = experiments, models
        self.listener, self.now, self.workers = listener, now, workers
        self.assemble, self.must_rank = assemble, must_rank
        self.missing = self.config.learner.missing
        self.learner: Learner = treated(LEARNERS[self.config.learner.name], self.missing)
        self.warnings: list[str] = []
        self.log: list[str] = []
        self._fitted: Estimator | None = None

    def carry_out(self, key: str, force: bool) -> Experiment:
        self.listener.start("panel", "figures, panel and features")
        begun = time.monotonic()
        # Before the folder is touched: a study whose data cannot be had leaves nothing behind.
        look_at_own_file(self.plan, must_rank=self.must_rank)
        study = self.assemble(
            self.plan, self.client, today=self.now().date(), progress=self.listener.step
        )
        kept = stages.without_gaps(study, self.missing)
        rows = kept.matrix.rows
        self.not_ranked = why_not_ranked(
            self.config,
            pairs_with_counts(rows[rows["in_focus"].astype(bool)]),
            of=len(study.focus),
            can_forecast=study.can_forecast,
            must_rank=self.must_rank,
        )
        self.folder = RunFolder.open(self.experiments, self.models, self.config.name)
        with self.folder.locked():
            if force:
                self.folder.clear()
                for journal in (self.folder.root / "tuning").glob("*.journal"):
                    journal.unlink()
            self.folder.begin(key)
            self._run_stages(study, kept, key, time.monotonic() - begun)
            self.folder.finish()
        return read_experiment(self.folder.root)

    def _run_stages(self, study: Study, kept: Study, key: str, panel_seconds: float) -> None:
        data_key = fingerprint(study.table, study.matrix.rows, study.matrix.X, study.coverage)
        self.folder.write(
            "panel",
            data_key,
            {"config.yaml": dump_config(self.config), "panel.parquet": study.table},
            seconds=panel_seconds,
        )
        self.listener.end("panel", panel_seconds, False)
        for line in describe(study):
            self._note(line)
        if self.config.audit.enabled:
            self._audit(study, data_key)
        if not study.can_forecast:
            self._warn(
                "The history is too short, has gaps or no counts: no backtest and no forecast."
            )
        horizons, left_out = stages.plan_horizons(study, self.config)
        for text in left_out:
            self._warn(text)
        if self.not_ranked:
            self._warn(self.not_ranked)
        whole, study = study.matrix, kept
        tuned = self._tune(study, data_key, horizons)
        metrics: dict[str, Any] = {}
        scored = stages.parts_to_score(study, self.config, ranked=not self.not_ranked)
        if self.config.evaluation.enabled and scored:
            metrics["factor_model"] = self._score(study, scored, data_key, tuned["factor"])
        if self.config.explain.enabled and not self.not_ranked:
            metrics["ranking"] = self._explain(study, data_key, tuned["factor"])
            self._relate(study)
            if whole.X.isna().to_numpy().any():
                metrics["missing"] = self._compare_missing(whole, tuned["factor"])
        if horizons:
            metrics["forecast"] = self._forecast(study, data_key, tuned["forecast"], horizons)
            self._what_if(study, data_key, tuned["factor"], metrics["forecast"])
        self._finish(study, key, data_key, metrics, tuned)

    def _stage(
        self,
        stage: str,
        what: str,
        key: str,
        work: Callable[[], tuple[dict[str, Any], dict[str, Any]]],
    ) -> dict[str, Any]:
        """Run a stage unless its results from the same inputs are there; return its numbers."""
        if self.folder.holds(stage, key):
            self.listener.end(stage, 0.0, True)
        else:
            self.listener.start(stage, what)
            begun = time.monotonic()
            files, result = work()
            seconds = time.monotonic() - begun
            self.folder.write(stage, key, files, seconds=seconds, result=result)
            self.listener.end(stage, seconds, False)
        self.log.append(f"{stage}: {self.folder.manifest['stages'][stage]['seconds']} s")
        result = self.folder.result(stage)
        for text in result.get("warnings", []):
            self._warn(text)
        return result

    def _audit(self, study: Study, data_key: str) -> None:
        self._stage(
            "audit",
            "does any feature know its target?",
            fingerprint(data_key),
            lambda: stages.check_leaks(study, self.config),
        )

    def _tune(self, study: Study, data_key: str, horizons: list[int]) -> dict[str, dict[str, Any]]:
        settings, fixed = self.config.tuning, dict(self.config.learner.params)
        if not settings.enabled:
            return {"factor": {**self.learner.defaults, **fixed}, "forecast": {}}
        key = fingerprint(
            data_key, settings.model_dump(), self.learner.name, fixed, self.missing,
            self.config.seed, horizons, self.config.evaluation.origins,
        )  # fmt: skip
        found = self._stage(
            "tune",
            f"{settings.trials} trials a model",
            key,
            lambda: stages.search_settings(
                study,
                self.config,
                self.learner,
                horizons=horizons,
                journal=lambda name: self._journal(name, key),
                workers=self.workers,
                progress=self.listener.step,
            ),
        )
        return {
            "factor": found.get("factor", {}).get("params", {**self.learner.defaults, **fixed}),
            "forecast": found.get("forecast", {}).get("params", {}),
        }

    def _journal(self, name: str, key: str) -> Path:
        """A journal of other inputs must not be resumed: its trials would count."""
        folder = self.folder.root / "tuning"
        path = folder / f"{name}.journal"
        mark = folder / f".{name}.key"
        with writing(folder, MEND):
            folder.mkdir(exist_ok=True)
            if not mark.is_file() or mark.read_text() != key:
                path.unlink(missing_ok=True)
                mark.write_text(key)
        return path

    def _score(
        self, study: Study, parts: stages.Parts, data_key: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        key = fingerprint(
            data_key, self.learner.name, self.missing, params, self.config.evaluation.folds,
            self.config.seed,
        )  # fmt: skip
        return self._stage(
            "score",
            "the factor model on unseen pairs",
            key,
            lambda: stages.score_unseen(
                study,
                self.config,
                self.learner,
                params,
                parts,
                workers=self.workers,
                progress=self.listener.step,
            ),
        )

    def _explain(self, study: Study, data_key: str, params: dict[str, Any]) -> dict[str, Any]:
        settings = self.config.explain
        key = fingerprint(
            data_key, self.learner.name, self.missing, params, settings.model_dump(),
            self.config.seed,
        )  # fmt: skip
        result = self._stage(
            "explain",
            f"{settings.resamples} refits on resampled pairs",
            key,
            lambda: stages.rank(
                study,
                self.config,
                self.learner,
                params,
                workers=self.workers,
                progress=self.listener.step,
            ),
        )
        return dict(result["notes"])

    def _relate(self, study: Study) -> None:
        ranking = self.folder.read("factors.csv")
        self._stage(
            "collinearity",
            "factors that move together",
            fingerprint(study.matrix.rows, study.matrix.X, ranking),
            lambda: stages.relate(study, ranking),
        )

    def _compare_missing(self, whole: FeatureMatrix, params: dict[str, Any]) -> dict[str, Any]:
        key = fingerprint(
            whole.rows, whole.X, self.config.learner.name, params, self.missing, self.config.seed
        )
        result = self._stage(
            "missing",
            "the ranking under three treatments of gaps",
            key,
            lambda: stages.compare_gaps(whole, self.config, params, workers=self.workers),
        )
        return dict(result["notes"])

    def _forecast(
        self, study: Study, data_key: str, params: dict[str, Any], horizons: list[int]
    ) -> dict[str, Any]:
        settings, origins = self.config.forecast, self.config.evaluation.origins
        key = fingerprint(
            data_key, params, origins, settings.level, horizons, settings.enabled, self.config.seed
        )
        result = self._stage(
            "forecast",
            f"backtest over {origins} origins, and next year",
            key,
            lambda: stages.forecast(
                study,
                self.config,
                params,
                workers=self.workers,
                progress=self.listener.step,
            ),
        )
        return dict(result["metrics"])

    def _what_if(
        self, study: Study, data_key: str, params: dict[str, Any], made: dict[str, Any]
    ) -> None:
        unit, seed = self.config.explain.unit, self.config.seed
        self._stage(
            "scenario",
            "refits for what-if questions, and surprises",
            fingerprint(data_key, self.config.learner.model_dump(), params, unit, seed, made),
            lambda: stages.prepare_scenarios(
                study,
                self.config,
                self._factor_estimator(study, params),
                self.folder.read("backtest.csv"),
                workers=self.workers,
            ),
        )

    def _finish(
        self,
        study: Study,
        key: str,
        data_key: str,
        metrics: dict[str, Any],
        tuned: dict[str, dict[str, Any]],
    ) -> None:
        self.listener.start("report", "figures and page")
        begun = time.monotonic()
        name = self.config.learner.name
        coverage = {
            **study.coverage,
            "warnings": list(dict.fromkeys([*study.coverage["warnings"], *self.warnings])),
        }
        if self.not_ranked and self.config.explain.enabled:
            coverage["not_ranked"] = self.not_ranked
        made_from = provenance(
            config_key=key,
            seed=self.config.seed,
            inputs=study.inputs,
            data_key=data_key,
            timings={s: e["seconds"] for s, e in self.folder.manifest["stages"].items()},
            finished=self.now().isoformat(timespec="seconds"),
        )
        factor_model = self._final_factor_model(study, tuned["factor"])
        self.folder.write(
            "record",
            data_key,
            {
                "metrics.json": plain(metrics),
                "coverage.json": plain(coverage),
                "provenance.json": plain(made_from),
                "run.log": "\n".join([*self.log, ""]),
                "models/factor_model.json": factor_model,
                "models/README.md": model_card(
                    self.config, coverage, metrics, made_from, LEARNERS[name].label
                ),
            },
            seconds=time.monotonic() - begun,
        )
        experiment = read_experiment(self.folder.root)
        if self.config.report.enabled:
            files: dict[str, Any] = {"report.html": render_report(experiment)}
            files |= {f"figures/{n}": data for n, data in draw_figures(experiment).items()}
            self.folder.write("report", data_key, files, seconds=time.monotonic() - begun)
        self.listener.end("report", time.monotonic() - begun, False)

    def _factor_estimator(self, study: Study, params: dict[str, Any]) -> Estimator:
        """Return the factor model fitted on all rows with counts, once a run."""
        if self._fitted is None:
            self._fitted = stages.fit_factor_model(
                study.matrix, self.learner, params, self.config.seed
            )
        return self._fitted

    def _final_factor_model(self, study: Study, params: dict[str, Any]) -> dict[str, Any]:
        """Return the final factor model as JSON."""
        return {
            "learner": self.config.learner.name,
            "params": plain(params),
            "features": [f.name for f in study.matrix.features],
            "model": to_json(self._factor_estimator(study, params)),
        }

    def _note(self, text: str) -> None:
        self.log.append(text)
        self.listener.note(text)

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
            self._note(f"warning: {text}")
