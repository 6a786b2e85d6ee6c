"""Benchmarks are run by hand and seldom: at least they find all that they import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_benchmark_says_how_it_is_called(file: Path) -> None:
    done = subprocess.run([sys.executable, str(file), "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout
