"""Whether a folder holds the finished study of a config, or that of another one."""

from __future__ import annotations

from pathlib import Path

import yaml

from mlcoop import __version__
from mlcoop.artefacts import fingerprint, read_manifest
from mlcoop.config import Config
from mlcoop.config_file import dotted, dump_config
from mlcoop.errors import ConfigError, MlcoopError, some
from mlcoop.experiments import read_experiment


def config_key(config: Config) -> str:
    """Return what identifies a config's results: all of it, and mlcoop's version."""
    return fingerprint(config.model_dump(mode="json"), __version__)


def is_finished(root: Path, config: Config) -> bool:
    """Tell whether a folder holds the finished study of just this config."""
    manifest = read_manifest(root)
    return bool(manifest.get("finished")) and manifest.get("config") == config_key(config)


def refuse_to_overwrite(root: Path, config: Config) -> None:
    """Raise `ConfigError` where a folder holds the finished study of another config."""
    if read_manifest(root).get("finished") and not is_finished(root, config):
        what = some(_differing_keys(root, config)) or "mlcoop's version"
        raise ConfigError(
            f"{root}: holds a finished study of another config (differs in {what}); "
            "give yours another name, or --force to overwrite it"
        )


def finished_before(root: Path, config: Config) -> bool:
    """Tell whether nothing is left to run: as `is_finished`; raise as `refuse_to_overwrite`."""
    refuse_to_overwrite(root, config)
    return is_finished(root, config)


def _differing_keys(root: Path, config: Config) -> list[str]:
    """Return the dotted keys in which a config differs from the one that a folder holds."""
    try:
        held = dotted(read_experiment(root, ()).config)
    except MlcoopError:
        return []
    mine = dotted(yaml.safe_load(dump_config(config)))
    return sorted(k for k in {*held, *mine} if held.get(k) != mine.get(k))
