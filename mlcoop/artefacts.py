"""Run folders: every file written whole or not at all, each with what it was made from."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import filelock
import numpy as np
import pandas as pd

import mlcoop
from mlcoop.errors import ConfigError
from mlcoop.files import refuse_unwritable, write_output, writing

MANIFEST = "manifest.json"
MEND = "fix that, and the same command resumes where this stopped"
PLACES = "choose folders with --experiments and --models"
PACKAGES = (
    "numpy",
    "optuna",
    "pandas",
    "pandera",
    "scikit-learn",
    "scipy",
    "shap",
    "statsmodels",
    "xgboost-cpu",
)
Content: TypeAlias = "pd.DataFrame | dict[str, Any] | str | bytes"


def to_bytes(content: Content, name: str) -> bytes:
    """Return a file's bytes, by its ending: CSV, Parquet, JSON, or text and bytes as they are."""
    if isinstance(content, pd.DataFrame):
        if name.endswith(".parquet"):
            buffer = io.BytesIO()
            content.to_parquet(buffer, index=False)
            return buffer.getvalue()
        return content.to_csv(index=False, lineterminator="\n").encode()
    if isinstance(content, dict):
        # Models are for machines: a line a number would make them ten times as long.
        indent = None if name.startswith("models/") else 1
        text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()
    return content.encode() if isinstance(content, str) else content


def plain(value: Any) -> Any:
    """Turn numpy scalars into Python's, and what is not a finite number into None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def fingerprint(*parts: Any) -> str:
    """Return a SHA-256 over tables (content, not index) and JSON-like values.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}), fingerprint(1) == fingerprint(2)
    (True, False)
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, pd.DataFrame):
            digest.update(",".join(map(str, part.columns)).encode())
            digest.update(pd.util.hash_pandas_object(part, index=False).to_numpy().tobytes())
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
    return digest.hexdigest()


@dataclass
class RunFolder:
    """The two folders of one study, `experiments/NAME` and `models/NAME`, while it runs.

    The manifest says which stage is complete, from which inputs (`key`), in which files (with
    checksums), and the few numbers (`result`) that later stages read; and which files runs
    before it left (`earlier`). `current` are the stages of this run.
    """

    root: Path
    models: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    current: set[str] = field(default_factory=set)

    @classmethod
    def foresee(cls, experiments: Path, models: Path, name: str) -> None:
        """Raise what `open` would, before hours of fetching, and make nothing."""
        for path in (experiments / name, models / name):
            refuse_unwritable(path, PLACES)

    @classmethod
    def open(cls, experiments: Path, models: Path, name: str) -> RunFolder:
        """Open the folders of a study, new or cut off; raise `ConfigError` if not writable."""
        folder = cls(experiments / name, models / name)
        for path in (folder.root, folder.models):
            with writing(path, PLACES):
                path.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=path):
                    pass
        folder.manifest = read_manifest(folder.root)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run at a time."""
        lock = filelock.FileLock(self.root / ".lock", timeout=0)
        try:
            held = lock.acquire()
        except filelock.Timeout as error:
            raise ConfigError(
                f"{self.root}: another run is writing this study; wait for it or rename yours"
            ) from error
        # Its file stays: a run that has opened one which is gone would lock it beside the next's.
        with held:
            self.manifest = read_manifest(self.root)  # that of before may be another run's
            yield

    def holds(self, stage: str, key: str) -> bool:
        """Say whether a stage is complete from just these inputs, with every file unharmed.

        Another version of mlcoop may make something else of them.
        """
        entry = self.manifest.get("stages", {}).get(stage)
        if not entry or (entry["key"], entry.get("mlcoop")) != (key, mlcoop.__version__):
            return False
        if not all(_intact(self._path(name), sha) for name, sha in entry["files"].items()):
            return False
        self.current.add(stage)
        return True

    def result(self, stage: str) -> dict[str, Any]:
        """Return the numbers that a complete stage left for later ones."""
        return dict(self.manifest["stages"][stage]["result"])

    def read(self, name: str) -> pd.DataFrame:
        """Read back a table that a stage wrote."""
        return read_table(self._path(name))

    def write(
        self,
        stage: str,
        key: str,
        files: Mapping[str, Content],
        *,
        seconds: float,
        result: dict[str, Any] | None = None,
    ) -> None:
        """Write a stage's files, then the manifest that makes them count.

        Raises
        ------
        ConfigError
            A file cannot be written, as on a full disk; the stages before stay complete.
        """
        sums = {}
        for name, content in files.items():
            data = to_bytes(content, name)
            write_output(self._path(name), data, MEND)
            sums[name] = hashlib.sha256(data).hexdigest()
        stages = dict(self.manifest.get("stages", {}))
        earlier = {*self.manifest.get("earlier", []), *stages.get(stage, {}).get("files", {})}
        stages[stage] = {
            "key": key,
            "mlcoop": mlcoop.__version__,
            "files": sums,
            "seconds": round(seconds, 1),
            "result": result or {},
        }
        self.current.add(stage)
        self._save({**self.manifest, "stages": stages, "earlier": sorted(earlier)})

    def begin(self, config_key: str) -> None:
        """Note which config is being run, and that it is not finished."""
        self._save({**self.manifest, "config": config_key, "finished": False})

    def finish(self) -> None:
        """Mark the whole study as finished."""
        self._save({**self.manifest, "finished": True})

    def clear(self) -> None:
        """Forget every stage, so that all are run again; `drop_earlier` takes what is left."""
        self._save({"earlier": sorted(self._written())})

    def drop_earlier(self) -> None:
        """Remove files that only runs before this one wrote: they would pass for its own."""
        stages = self.manifest.get("stages", {})
        kept = {stage: entry for stage, entry in stages.items() if stage in self.current}
        for name in self._written().difference(*(entry["files"] for entry in kept.values())):
            if ".." in Path(name).parts or Path(name).is_absolute():
                continue  # a manifest from elsewhere must not reach outside
            with writing(self._path(name), MEND):
                self._path(name).unlink(missing_ok=True)
        self._save({**self.manifest, "stages": kept, "earlier": []})

    def _written(self) -> set[str]:
        """Return the files of every stage, and those left by runs before."""
        stages = self.manifest.get("stages", {}).values()
        return set(self.manifest.get("earlier", [])).union(*(e["files"] for e in stages))

    def _path(self, name: str) -> Path:
        inside = name.removeprefix("models/")
        return self.models / inside if inside != name else self.root / name

    def _save(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest
        write_output(self.root / MANIFEST, to_bytes(manifest, MANIFEST), MEND)


def read_manifest(root: Path) -> dict[str, Any]:
    """Return a study's manifest, empty when there is none or it was damaged."""
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _intact(path: Path, sha: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet table; "NA" stays a code (Namibia), only an empty cell is missing."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def provenance(
    *,
    config_key: str,
    seed: int,
    inputs: list[dict[str, Any]],
    data_key: str,
    timings: Mapping[str, float],
    finished: str,
) -> dict[str, Any]:
    """Return what a study was made from: versions, seed, checksums of inputs, commit, timings."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "mlcoop": mlcoop.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": versions,
        "seed": seed,
        "config_sha256": config_key,
        "panel_sha256": data_key,
        "inputs": inputs,
        "finished": finished,
        "seconds": dict(timings),
    }


def _commit() -> str | None:
    """Return the commit of mlcoop's checkout, marked when files differ from it; None without."""
    source = Path(mlcoop.__file__).parent
    git = ["git", "-C", str(source)]
    try:
        inside = subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, check=False
        )
        if inside.returncode != 0:
            return None
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "."], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.decode().strip() + (" with changes" if changed.stdout.strip() else "")
