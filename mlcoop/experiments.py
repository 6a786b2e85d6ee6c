"""Studies read back from their folders: found by name, whole or in part, and what they lack."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mlcoop.artefacts import read_manifest, read_table
from mlcoop.errors import ConfigError, DataError, some
from mlcoop.schema import (
    BACKTEST_CSV,
    DIMENSIONS_CSV,
    FACTORS_CSV,
    FORECAST_CSV,
    GROUPS_CSV,
    OBSERVED_EXPECTED_CSV,
    ORDERS_CSV,
    Experiment,
)

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same values, eight times as fast
TABLES = {
    "factors": ".csv",
    "groups": ".csv",
    "dimensions": ".csv",
    "resamples": ".parquet",
    "backtest": ".csv",
    "forecast": ".csv",
    "effects": ".csv",
    "interactions": ".csv",
    "totals": ".csv",
    "surprises": ".csv",
    "observed_expected": ".csv",
    "collinearity": ".csv",
    "correlations": ".csv",
    "orders": ".csv",
    "witnesses": ".csv",
    "group_players": ".csv",
    "interactions_with_focus": ".csv",
    "missing": ".csv",
}
COLUMNS = {
    "factors": [*FACTORS_CSV, "above_null"],
    "groups": [*GROUPS_CSV, "above_null"],
    "dimensions": [*DIMENSIONS_CSV, "above_null"],
    "orders": ORDERS_CSV,
    "observed_expected": OBSERVED_EXPECTED_CSV,
    "forecast": FORECAST_CSV,
    "backtest": BACKTEST_CSV,
}
RANKINGS = ("factors", "groups", "dimensions", "orders", "resamples")


def read_experiment(root: Path, tables: Iterable[str] = tuple(TABLES)) -> Experiment:
    """Read a study back from its folder alone.

    Parameters
    ----------
    root : Path
    tables : iterable of str
        Which tables to read, all unless said otherwise: `RANKINGS` are read a hundred times as
        fast, since counts by pair and year are left alone.

    Raises
    ------
    ConfigError
        When there is no such folder; the nearest known study is named.
    DataError
        When the folder is not a study, or one of its files cannot be read.
    """
    if not (root / "config.yaml").is_file():
        known = [path.name for path in list_experiments(root.parent)]
        members = [name for name in known if name.startswith(f"{root.name}-")]
        if not root.is_dir():
            near = difflib.get_close_matches(root.name, known, n=1)
            hint = (
                f'did you mean "{near[0]}"?' if near else "run a config first, or see mlcoop list"
            )
            if members:
                # A family's own folder is made when all its members are there.
                hint = f"a family of that name resumes from {some(members)} when its config is run"
            raise ConfigError(f"{root}: no such experiment; {hint}")
        if members and (root / "family.json").is_file():
            raise ConfigError(
                f"{root}: is a family of studies; name one of its members: {some(members)}"
            )
        raise DataError(f"{root}: holds no config.yaml, so it is not an mlcoop experiment")
    try:
        found = {name: root / f"{name}{TABLES[name]}" for name in tables}
        read = {name: read_table(path) for name, path in found.items() if path.is_file()}
        _check_columns(root, read)
        trials = root / "tuning" / "trials.csv"
        return Experiment(
            name=root.name,
            folder=str(root),
            config=_read_config(root / "config.yaml"),
            provenance=_read_json(root / "provenance.json"),
            metrics=_read_json(root / "metrics.json"),
            coverage=_read_json(root / "coverage.json"),
            trials=read_table(trials) if trials.is_file() else None,
            **read,
        )
    except PermissionError as error:
        place = error.filename or root
        raise DataError(f"{place}: may not be read ({error.strerror}); ask its owner") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        detail = str(error).splitlines()[0]
        raise DataError(
            f"{root}: a file of this experiment is damaged ({detail}); "
            "run its config again with --force"
        ) from error


def need_finished(root: Path) -> None:
    """Raise `DataError` where a study's run was cut off.

    What is still to be made lacks there, or is an earlier run's beside the later one's config. A
    folder without manifest is taken for finished.
    """
    if not read_manifest(root).get("finished", True):
        raise DataError(
            f"{root}: its run is not finished; run its config again, it resumes where it stopped"
        )


def find_finished(name: str, experiments: Path) -> Path:
    """Return the folder of a study as `find_experiment` does; raise as `need_finished` does."""
    root = find_experiment(name, experiments)
    need_finished(root)
    return root


def _check_columns(root: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Raise `DataError` where a table lacks a column that every run of this version writes."""
    for name, columns in COLUMNS.items():
        lacking = [c for c in columns if name in tables and c not in tables[name]]
        if lacking:
            raise DataError(
                f"{root / name}{TABLES[name]}: lacks the column {some(lacking)}, as if another "
                "version of mlcoop had written it; run its config again with --force"
            )


def absent_tables(root: Path) -> list[str]:
    """Return the tables that a study's run wrote and its folder no longer holds."""
    stages = read_manifest(root).get("stages", {}).values()
    wrote = {name for stage in stages for name in stage["files"]}
    tables = [name + ending for name, ending in TABLES.items()]
    return [name for name in tables if name in wrote and not (root / name).is_file()]


def _read_config(path: Path) -> dict[str, Any]:
    return _as_object(yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER), path)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return _as_object(json.loads(path.read_text(encoding="utf-8")), path)


def _as_object(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no keys")
    return content


def list_experiments(experiments: Path) -> list[Path]:
    """Return the folders that hold a study, by name."""
    if not experiments.is_dir():
        return []
    return sorted(path.parent for path in experiments.glob("*/config.yaml"))


def find_experiment(name: str, experiments: Path, file: str = "config.yaml") -> Path:
    """Return the folder of a study given by name or by path; `file` is what such a folder holds.

    A path is that folder or none: a study of the same name elsewhere is another study.
    """
    given = Path(name)
    by_path = len(given.parts) > 1 or (given / file).is_file()
    return given if by_path else experiments / given.name
