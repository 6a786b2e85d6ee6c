"""Truth: the package map; a file imports from rows above it and its own folder, never below."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mlcoop

MAP = """
errors files schema tables countries sources panel reference planted simulate features model
explain comparison forecast report config config_file artefacts experiments scenario
family results explore few_pairs plan likeness power study assemble stages card finished run
run_family terminal cli
"""
ORDER = MAP.split()
PACKAGE = Path(mlcoop.__file__).parent
FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem[0] != "_"
)


def imported(path: Path) -> set[str]:
    """Return the rows of the map that a file imports, relative imports resolved."""
    inside = ("mlcoop", *path.relative_to(PACKAGE).parts[:-1])
    rows = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*inside[: len(inside) - node.level + 1], *filter(None, [base])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "mlcoop" and len(parts) > 1 and parts[1] in ORDER:
                rows.add(parts[1])
    return rows


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_up_the_map_only(path: Path) -> None:
    row = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert row in ORDER, f"{path.name} is not on the map"
    below = {name for name in imported(path) if ORDER.index(name) > ORDER.index(row)}
    assert not below


def test_a_relative_import_from_below_is_seen() -> None:
    assert "run" in imported_source("from ..run import run_study", PACKAGE / "model" / "x.py")


def imported_source(text: str, path: Path) -> set[str]:
    class Fake(type(path)):  # type: ignore[misc]
        def read_text(self, *args: object, **kwargs: object) -> str:
            return text

    return imported(Fake(path))
