"""The stages of one study in its folder: each carried out, or kept from the same inputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from mlcoop.artefacts import MEND, RunFolder, fingerprint, plain
from mlcoop.config import Config
from mlcoop.explain.defence.missing import treated
from mlcoop.features.build import FeatureMatrix
from mlcoop.files import writing
from mlcoop.model.learners import LEARNERS, Estimator, Learner
from mlcoop.model.stored import to_json
from mlcoop.stages import compute
from mlcoop.stages.search import search_settings
from mlcoop.study import Study


class Listener(Protocol):
    """What reports the progress of a run."""

    def start(self, stage: str, what: str) -> None:
        """A stage begins."""

    def step(self, done: int, total: int) -> None:
        """A part of the stage is done."""

    def note(self, text: str) -> None:
        """Something that the user should know."""

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        """A stage is done, or was kept from an earlier run."""


class Staged:
    """The stages of one study.

    Attributes
    ----------
    warnings : list of str
        What the user should know, each once.
    log : list of str
        Notes, warnings and times, for `run.log`.
    """

    def __init__(
        self, config: Config, folder: RunFolder, data_key: str, listener: Listener, workers: int
    ) -> None:
        self.config, self.folder, self.data_key = config, folder, data_key
        self.listener, self.workers = listener, workers
        self.missing = config.learner.missing
        self.learner: Learner = treated(LEARNERS[config.learner.name], self.missing)
        self.warnings: list[str] = []
        self.log: list[str] = []
        self._fitted: Estimator | None = None

    def _carry_out(
        self,
        stage: str,
        what: str,
        key: str,
        work: Callable[[], compute.Made],
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
            self.warn(text)
        return result

    def audit(self, study: Study) -> None:
        """Stop at a feature that knows its target; `study` is the one with missing values."""
        self._carry_out(
            "audit",
            "check for leaks of the target into features",
            fingerprint(self.data_key),
            lambda: compute.check_leaks(study, self.config),
        )

    def tune(self, study: Study, horizons: list[int]) -> dict[str, dict[str, Any]]:
        """Return the settings of the factor model and of the forecaster."""
        settings, fixed = self.config.tuning, dict(self.config.learner.params)
        if not settings.enabled:
            return {"factor": {**self.learner.defaults, **fixed}, "forecast": {}}
        key = fingerprint(
            self.data_key, settings.model_dump(), self.learner.name, fixed, self.missing,
            self.config.seed, horizons, self.config.evaluation.origins,
        )  # fmt: skip
        found = self._carry_out(
            "tune",
            f"{settings.trials} trials per model",
            key,
            lambda: search_settings(
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

    def _factor_key(self, params: dict[str, Any], *asked: Any) -> str:
        """Return the key of a stage of the factor model: its data, its settings, what is asked."""
        given = (self.data_key, self.learner.name, self.missing, params)
        return fingerprint(*given, *asked, self.config.seed)

    def _journal(self, name: str, key: str) -> Path:
        """Return the path of a search's journal, gone where it is of other inputs.

        It must not be resumed then: its trials would count.
        """
        folder = self.folder.root / "tuning"
        path = folder / f"{name}.journal"
        mark = folder / f".{name}.key"
        with writing(folder, MEND):
            folder.mkdir(exist_ok=True)
            if not mark.is_file() or mark.read_text() != key:
                path.unlink(missing_ok=True)
                mark.write_text(key)
        return path

    def score(self, study: Study, parts: compute.Parts, params: dict[str, Any]) -> dict[str, Any]:
        """Return the deviance explained on held-out pairs, by part."""
        key = self._factor_key(params, self.config.evaluation.folds)
        result = self._carry_out(
            "score",
            "the factor model on held-out pairs",
            key,
            lambda: compute.score_unseen(
                study,
                self.config,
                self.learner,
                params,
                parts,
                workers=self.workers,
                progress=self.listener.step,
            ),
        )
        return {name: value for name, value in result.items() if name != "warnings"}

    def explain(self, study: Study, params: dict[str, Any]) -> dict[str, Any]:
        """Rank the factors, and return what the ranking notes of itself."""
        settings = self.config.explain
        key = self._factor_key(params, settings.model_dump())
        result = self._carry_out(
            "explain",
            f"{settings.resamples} refits on resampled pairs or countries",
            key,
            lambda: compute.rank(
                study,
                self.config,
                self.learner,
                params,
                workers=self.workers,
                progress=self.listener.step,
            ),
        )
        return dict(result["notes"])

    def relate(self, study: Study) -> None:
        """Show which factors are collinear."""
        ranking = self.folder.read("factors.csv")
        self._carry_out(
            "collinearity",
            "collinearity of factors",
            fingerprint(study.matrix.rows, study.matrix.X, ranking),
            lambda: compute.relate(study, ranking),
        )

    def expect(
        self, study: Study, params: dict[str, Any], *, spatial: bool
    ) -> dict[str, Any] | None:
        """Compare observed with expected works; return how alike neighbours deviate.

        `spatial` as the ranking notes it.
        """
        settings = self.config.explain
        key = self._factor_key(params, settings.level, settings.unit, spatial)
        result = self._carry_out(
            "expected",
            "observed vs expected works",
            key,
            lambda: compute.compare_with_expected(
                study, self.config, self.learner, params, spatial=spatial, workers=self.workers
            ),
        )
        return result.get("neighbours")

    def compare_missing(self, whole: FeatureMatrix, params: dict[str, Any]) -> dict[str, Any]:
        """Rank under each treatment of missing values; `whole` has them."""
        key = fingerprint(
            whole.rows, whole.X, self.config.learner.name, params, self.missing, self.config.seed
        )
        result = self._carry_out(
            "missing",
            "the ranking under three treatments of missing values",
            key,
            lambda: compute.compare_gaps(whole, self.config, params, workers=self.workers),
        )
        return dict(result["notes"])

    def forecast(self, study: Study, params: dict[str, Any], horizons: list[int]) -> dict[str, Any]:
        """Backtest and forecast, and return the metrics."""
        settings, origins = self.config.forecast, self.config.evaluation.origins
        key = fingerprint(
            self.data_key, params, origins, settings.level, horizons, settings.enabled,
            self.config.seed,
        )  # fmt: skip
        result = self._carry_out(
            "forecast",
            f"backtest over {origins} origins, and the forecast",
            key,
            lambda: compute.forecast(
                study,
                self.config,
                params,
                workers=self.workers,
                progress=self.listener.step,
            ),
        )
        return dict(result["metrics"])

    def what_if(self, study: Study, params: dict[str, Any], made: dict[str, Any]) -> None:
        """Keep what scenarios need; `made` are the metrics of the forecast."""
        unit, seed = self.config.explain.unit, self.config.seed
        self._carry_out(
            "scenario",
            "refits for scenarios, and surprises",
            fingerprint(self.data_key, self.config.learner.model_dump(), params, unit, seed, made),
            lambda: compute.prepare_scenarios(
                study,
                self.config,
                self._factor_estimator(study, params),
                self.folder.read("backtest.csv"),
                workers=self.workers,
            ),
        )

    def _factor_estimator(self, study: Study, params: dict[str, Any]) -> Estimator:
        """Return the factor model fitted on all rows with counts, once a run."""
        if self._fitted is None:
            self._fitted = compute.fit_factor_model(
                study.matrix, self.learner, params, self.config.seed
            )
        return self._fitted

    def factor_model(self, study: Study, params: dict[str, Any]) -> dict[str, Any]:
        """Return the fitted factor model as plain values."""
        return {
            "learner": self.config.learner.name,
            "params": plain(params),
            "features": [f.name for f in study.matrix.features],
            "model": to_json(self._factor_estimator(study, params)),
        }

    def note(self, text: str) -> None:
        """Tell the user, and the log."""
        self.log.append(text)
        self.listener.note(text)

    def warn(self, text: str) -> None:
        """Warn the user once; the warning is part of every output."""
        if text not in self.warnings:
            self.warnings.append(text)
            self.note(f"warning: {text}")
