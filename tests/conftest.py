"""Settings for the whole suite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

# Before numpy is there: the suite's own processes take the cores, and threads would wait for them.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

# Deadlines and slow-draw checks measure the machine, not the code; fixed draws keep CI repeatable.
settings.register_profile(
    "mlcoop", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mlcoop")


@pytest.fixture(scope="session")
def notebook() -> Iterator[dict[str, Any]]:
    """Execute the cells of docs/notebook.ipynb: a small planted study with all its folders."""
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    cells = [c for c in cells if c["cell_type"] == "code"]
    space: dict[str, Any] = {}
    before = Path.cwd()
    try:
        for cell in cells:
            text = "".join(cell["source"])
            if text.startswith("!mlcoop "):
                command = f"{sys.executable} -m mlcoop {text.removeprefix('!mlcoop ')}"
                env = {**os.environ, "PYTHONPATH": str(ROOT)}
                subprocess.run(command, shell=True, check=True, env=env)
            else:
                exec(compile(text, "notebook", "exec"), space)
        folder = Path.cwd()
    finally:
        os.chdir(before)
    yield {"cells": cells, "space": space, "folder": folder}
    shutil.rmtree(folder)
