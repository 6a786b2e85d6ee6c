"""Carry out a plan, stage by stage; what is complete from the same inputs is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joblib import parallel_config
from threadpoolctl import threadpool_limits

from mlcoop.artefacts import RunFolder, fingerprint, plain, provenance
from mlcoop.assemble import assemble, look_at_own_file
from mlcoop.card import model_card
from mlcoop.config_file import dump_config
from mlcoop.errors import quoted, some
from mlcoop.experiments import read_experiment
from mlcoop.few_pairs import pairs_with_counts, why_not_ranked
from mlcoop.finished import config_key, finished_before
from mlcoop.model.learners import LEARNERS
from mlcoop.plan import Plan
from mlcoop.report.figures import draw_figures, names_not_drawn
from mlcoop.report.render import render_report
from mlcoop.report.summary import summarise
from mlcoop.schema import Experiment
from mlcoop.sources.service.http import Client
from mlcoop.stages import compute
from mlcoop.stages.staged import Listener, Staged
from mlcoop.study import Study, describe

Assemble = Callable[..., Study]


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
    if not force and finished_before(root, config):
        return read_experiment(root)
    # One thread per fit and processes outside: faster for small fits, and sums in one order, so
    # that the number of workers changes no digit.
    with threadpool_limits(1), parallel_config(backend="loky", inner_max_num_threads=1):
        begun = time.monotonic()
        # Before the folder is touched: a study whose data cannot be had leaves nothing behind.
        look_at_own_file(plan, must_rank=must_rank)
        RunFolder.foresee(experiments, models, config.name)
        listener.start("panel", "source data, panel and features")
        study = assemble(plan, client, today=now().date(), progress=listener.step)
        kept = compute.without_gaps(study, config.learner.missing)
        rows = kept.matrix.rows
        not_ranked = why_not_ranked(
            config,
            pairs_with_counts(rows[rows["in_focus"].astype(bool)]),
            of=len(study.focus),
            can_forecast=not study.not_forecast,
            must_rank=must_rank,
        )
        folder = RunFolder.open(experiments, models, config.name)
        with folder.locked():
            # Another run may have finished here while the figures were fetched.
            if not force and finished_before(root, config):
                return read_experiment(root)
            if force:
                folder.clear()
                for journal in (folder.root / "tuning").glob("*.journal"):
                    journal.unlink()
            folder.begin(config_key(config))
            data_key = fingerprint(study.table, study.matrix.rows, study.matrix.X, study.coverage)
            seconds = time.monotonic() - begun
            panel = {"config.yaml": dump_config(config), "panel.parquet": study.table}
            folder.write("panel", data_key, panel, seconds=seconds)
            listener.end("panel", seconds, False)
            staged = Staged(config, folder, data_key, listener, workers)
            metrics, tuned = _learn(study, kept, not_ranked, staged)
            _record(kept, not_ranked, metrics, tuned, staged, now())
            folder.finish()
    return read_experiment(folder.root)


def _learn(
    study: Study, kept: Study, not_ranked: str | None, staged: Staged
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Carry out the stages that are asked for; return their metrics and the settings found.

    `study` has the missing values that `kept` has not.
    """
    config = staged.config
    for line in describe(study):
        staged.note(line)
    if config.audit.enabled:
        staged.audit(study)
    if study.not_forecast:
        staged.warn(study.not_forecast)
    horizons, left_out = compute.plan_horizons(study, config)
    for text in left_out:
        staged.warn(text)
    if not_ranked:
        staged.warn(not_ranked)
    tuned = staged.tune(kept, horizons)
    metrics: dict[str, Any] = {}
    scored = compute.parts_to_score(kept, config, ranked=not not_ranked)
    if config.evaluation.enabled and scored:
        metrics["factor_model"] = staged.score(kept, scored, tuned["factor"])
    if config.explain.enabled and not not_ranked:
        metrics["ranking"] = staged.explain(kept, tuned["factor"])
        staged.relate(kept)
        metrics["neighbours"] = staged.expect(
            kept, tuned["factor"], spatial=metrics["ranking"]["spatial"]
        )
        if study.matrix.X.isna().to_numpy().any():
            metrics["missing"] = staged.compare_missing(study.matrix, tuned["factor"])
    if horizons:
        metrics["forecast"] = staged.forecast(kept, tuned["forecast"], horizons)
        staged.what_if(kept, tuned["factor"], metrics["forecast"])
    return metrics, tuned


def _record(
    study: Study,
    not_ranked: str | None,
    metrics: dict[str, Any],
    tuned: dict[str, dict[str, Any]],
    staged: Staged,
    now: datetime,
) -> None:
    """Write what the run found, what it was made from, and the report."""
    config, folder = staged.config, staged.folder
    staged.listener.start("report", "charts and report page")
    begun = time.monotonic()
    folder.drop_earlier()
    coverage = {
        **study.coverage,
        "warnings": list(dict.fromkeys([*study.coverage["warnings"], *staged.warnings])),
    }
    if not_ranked and config.explain.enabled:
        coverage["not_ranked"] = not_ranked
    made_from = provenance(
        config_key=config_key(config),
        seed=config.seed,
        inputs=study.inputs,
        data_key=staged.data_key,
        timings={s: e["seconds"] for s, e in folder.manifest["stages"].items()},
        finished=now.isoformat(timespec="seconds"),
    )
    label = LEARNERS[config.learner.name].label
    files: dict[str, Any] = {
        "metrics.json": plain(metrics),
        "coverage.json": plain(coverage),
        "provenance.json": plain(made_from),
        "run.log": "\n".join([*staged.log, ""]),
        "models/factor_model.json": staged.factor_model(study, tuned["factor"]),
        "models/README.md": model_card(config, coverage, metrics, made_from, label),
    }
    folder.write("record", staged.data_key, files, seconds=time.monotonic() - begun)
    experiment = read_experiment(folder.root)
    if config.report.enabled:
        summary = summarise(experiment)
        boxes = names_not_drawn(summary)
        if boxes:
            staged.listener.note(
                f"figures: boxes in place of signs of {some(quoted(boxes))}, which their font "
                "lacks; the page shows them"
            )
        files = {"report.html": render_report(experiment)}
        files |= {f"figures/{n}": data for n, data in draw_figures(summary).items()}
        folder.write("report", staged.data_key, files, seconds=time.monotonic() - begun)
    staged.listener.end("report", time.monotonic() - begun, False)
