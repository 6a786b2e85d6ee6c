"""Benchmarks are run by hand and seldom: at least they find all that they import."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_benchmark_says_how_it_is_called(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here as Python runs a script: its folder first on the path, its own imports made anew."""
    for other in FILES:
        monkeypatch.delitem(sys.modules, other.stem, raising=False)
    monkeypatch.syspath_prepend(str(file.parent))
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(file), run_name="__main__")
    assert left.value.code == 0
    assert "usage" in capsys.readouterr().out
