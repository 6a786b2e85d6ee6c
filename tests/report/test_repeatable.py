"""Truth: the same numbers give the same bytes, whatever order Python keeps its sets in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STUDY = Path(__file__).parents[2] / "experiments" / "china-bri"
DRAW = """
import hashlib, sys
from pathlib import Path
from mlcoop.experiments import read_experiment
from mlcoop.report.figures import draw_figures
from mlcoop.report.render import render_report
from mlcoop.report.summary import summarise
study = read_experiment(Path(sys.argv[1]))
files = draw_figures(summarise(study)) | {"report.html": render_report(study).encode()}
print({name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())})
"""


def draw(hash_seed: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", DRAW, str(STUDY)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_page_and_figures_do_not_depend_on_the_hash_seed() -> None:
    first = draw("1")
    assert "report.html" in first and "ranking.png" in first
    assert first == draw("2")
