"""The stored factor model that scenarios are played with, read back from a study's folders."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from mlcoop.artefacts import read_table
from mlcoop.errors import DataError
from mlcoop.scenario.model import ScenarioModel
from mlcoop.schema import Experiment


def factors_above_null(experiment: Experiment) -> frozenset[str] | None:
    """Return the factors that a study's ranking distinguishes from chance; None without one."""
    table = experiment.factors
    return None if table is None else frozenset(table.loc[table["above_null"], "factor"])


def read_scenario_model(experiment: Experiment, models: Path) -> ScenarioModel:
    """Return the model and refits that a run left for scenarios.

    Raises
    ------
    DataError
        When a file is not there or damaged.
    """
    rows = Path(experiment.folder) / "scenario.parquet"
    state = models / experiment.name / "scenario.json.gz"
    for path in (rows, state):
        if not path.is_file():
            raise DataError(f"{path}: not there; run the study again, or give --models")
    try:
        document = json.loads(gzip.decompress(state.read_bytes()))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{state}: damaged ({error}); run the study with --force") from error
    return ScenarioModel.from_json(document, read_table(rows))
