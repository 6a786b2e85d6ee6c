"""Start the explorer: a page on this machine alone, which asks nothing of the network."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlcoop.errors import ConfigError

HOST = "127.0.0.1"
SETTINGS = "MLCOOP_EXPLORE"  # how the page's script, which Streamlit runs, learns what to show
APP = Path(__file__).parent / "app.py"


def serve(
    names: Sequence[str], *, experiments: Path, models: Path, port: int, browser: bool
) -> int:
    """Serve the page until it is interrupted, and return Streamlit's exit code.

    Raises
    ------
    ConfigError
        When Streamlit is not installed.
    """
    need_streamlit()
    settings = encode(names, experiments, models)
    try:
        return subprocess.run(command(port, browser), env=settings, check=False).returncode
    except KeyboardInterrupt:
        return 0


def need_streamlit() -> None:
    """Raise `ConfigError` with the way to install Streamlit when it is not there."""
    if importlib.util.find_spec("streamlit") is None:
        raise ConfigError(
            "explore: needs Streamlit, which is not installed; pip install -e '.[explore]'"
        )


def command(port: int, browser: bool) -> list[str]:
    """Return Streamlit's command line: loopback only, no statistics sent, nothing watched."""
    options = {
        "server.address": HOST,
        "server.port": str(port),
        "server.headless": str(not browser).lower(),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "theme.primaryColor": "#1f4e79",
    }
    return [
        *(sys.executable, "-m", "streamlit", "run", str(APP)),
        *(part for key, value in options.items() for part in (f"--{key}", value)),
    ]


def encode(names: Sequence[str], experiments: Path, models: Path) -> dict[str, str]:
    """Return the environment in which the page's script runs."""
    shown = {
        "names": list(names),
        "experiments": str(experiments.resolve()),
        "models": str(models.resolve()),
    }
    return {**os.environ, SETTINGS: json.dumps(shown)}


def decode(environment: Mapping[str, str]) -> tuple[list[str], Path, Path]:
    """Return names, experiments and models as `encode` put them there."""
    shown = json.loads(environment[SETTINGS])
    return list(shown["names"]), Path(shown["experiments"]), Path(shown["models"])
