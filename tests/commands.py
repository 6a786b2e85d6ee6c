"""The command line as a shell would call it: once in this process, once in one of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from mlcoop.cli import main


def environment(cwd: Path, **env: str) -> dict[str, str]:
    """Return the environment without what names services or keys, and a cache of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLCOOP_", "OPENALEX_"))}
    return {**clean, "MLCOOP_CACHE_DIR": str(cwd / "cache"), **env}


def mlcoop_process(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, for what only that can show; it takes seconds."""
    return subprocess.run(
        [sys.executable, "-m", "mlcoop", *arguments],
        cwd=cwd,
        env=environment(cwd, **env),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )


def mlcoop(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command's `main` here: its streams and their encoding, its warnings and its code."""
    coding = env.get("PYTHONIOENCODING", "utf-8")
    out, err = (
        io.TextIOWrapper(io.BytesIO(), coding, errors=errors, write_through=True)
        for errors in ("strict", "backslashreplace")  # an interpreter's own
    )
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)}
    code: Any = 0
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["mlcoop", *arguments])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        # As a fresh interpreter tells them, so that a warning is a line too many here as well.
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        patch.setattr(warnings, "showwarning", _show)
        try:
            with mock.patch.dict(os.environ, environment(cwd, **env), clear=True):
                main()
        except SystemExit as left:
            code = left.code
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    said = [stream.buffer.getvalue().decode(coding) for stream in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess([*arguments], 0 if code is None else code, *said)


def _show(message: Any, category: Any, name: str, line: int, *_: Any) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, name, line))
