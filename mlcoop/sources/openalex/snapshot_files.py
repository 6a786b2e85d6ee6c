"""The files of an OpenAlex snapshot's works: which are there, and which its manifest lists."""

from __future__ import annotations

import json
from pathlib import Path

from mlcoop.errors import ConfigError, some

ENDINGS = (".gz", ".json", ".jsonl", ".parquet")
MANIFEST = "manifest.json"


def files_of_works(root: Path, out: Path) -> tuple[list[Path], list[str]]:
    """Return the files of works under a folder, its own counts apart, and what its manifest says.

    A newer snapshot moves works to other files. One fetched over an older without deleting what is
    gone holds them twice.

    Raises
    ------
    ConfigError
        There is no folder or none in it, one is there in two formats, or none is listed.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder; give the snapshot's folder data/works")
    found = [p for p in root.rglob("*") if p.is_file() and p.name.endswith(ENDINGS)]
    mine = out.resolve()
    files = sorted(p for p in found if p.name != MANIFEST and mine not in p.resolve().parents)
    if not files:
        raise ConfigError(f"{root}: no works in it; give the snapshot's folder data/works")
    once: dict[tuple[str, str], Path] = {}
    for path in files:
        if (other := once.setdefault(_place(path.as_posix()), path)) != path:
            both = " and ".join(str(p.relative_to(root)) for p in (other, path))
            raise ConfigError(
                f"{root}: holds the same works twice, in {both}; give the folder of one format, "
                "such as data/jsonl/works, or take one of the two away"
            )
    listed = _listed(root / MANIFEST)
    if not listed:
        return files, []
    kept = [path for place, path in once.items() if place in listed]
    old = [str(path.relative_to(root)) for place, path in once.items() if place not in listed]
    absent = len(listed) - len(kept)
    warnings = []
    if old:
        warnings.append(
            f"{root}: left out, since its {MANIFEST} does not list them: {some(old)}; they are an "
            "older snapshot's, and their works stand in other files now"
        )
    if absent:
        warnings.append(
            f"{root}: {absent} of {len(listed)} files that its {MANIFEST} lists are not there; "
            "their works are not counted"
        )
    if not kept:
        raise ConfigError(f"{root}: holds no file that its {MANIFEST} lists; fetch them again")
    return kept, warnings


def _listed(manifest: Path) -> set[tuple[str, str]]:
    """Return the places of a snapshot's files, from its manifest; empty where there is none."""
    if not manifest.is_file():
        return set()
    try:
        return {_place(str(file["url"])) for file in json.loads(manifest.read_bytes())["files"]}
    except (ValueError, KeyError, TypeError):
        return set()


def _place(path: str) -> tuple[str, str]:
    """Return partition and part of a file, however the part ends.

    >>> _place("s3://openalex/data/jsonl/works/updated_date=2026-06-24/part_0000.gz")
    ('updated_date=2026-06-24', 'part_0000')
    """
    partition, part = path.split("/")[-2:]
    while part.endswith(ENDINGS):
        part = part.rpartition(".")[0]
    return partition, part
