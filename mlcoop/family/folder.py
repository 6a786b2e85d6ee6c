"""Folders of families: reading members back, and writing the comparison that a family ends in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlcoop.artefacts import plain, to_bytes
from mlcoop.comparison import Comparison, compare
from mlcoop.errors import DataError, some
from mlcoop.experiments import (
    RANKINGS,
    find_experiment,
    find_finished,
    need_finished,
    read_experiment,
)
from mlcoop.files import write_output
from mlcoop.report.render import render_comparison
from mlcoop.schema import Experiment

FILE = "family.json"


def write_comparison(
    root: Path, *, title: str, studies: Sequence[Experiment], over_time: bool
) -> Comparison:
    """Compare members under their labels and write page, JSON and the family's own record."""
    comparison = compare(studies)
    record = {
        "name": root.name,
        "title": title,
        "over_time": over_time,
        "members": [{"label": s.name, "experiment": Path(s.folder).name} for s in studies],
    }
    page = render_comparison(comparison, title=title, over_time=over_time)
    for name, content in (
        (FILE, to_bytes(record, FILE)),
        ("compare.json", to_bytes(plain(comparison.to_dict()), "compare.json")),
        ("compare.html", page.encode()),
    ):
        write_output(root / name, content)
    return comparison


def find_family(name: str, experiments: Path) -> Path | None:
    """Return the folder of a family given by name or by path, None when it is none."""
    root = find_experiment(name, experiments, FILE)
    return root if (root / FILE).is_file() else None


def read_rankings(
    names: Sequence[str], experiments: Path
) -> tuple[list[Experiment], dict[str, Any]]:
    """Return studies with their rankings alone, families unfolded, and how to show them.

    One family alone keeps its title and its members' labels; among others a member goes by its
    whole name.
    """
    studies: list[Experiment] = []
    shown: dict[str, Any] = {}
    for name in names:
        root = find_family(name, experiments)
        if root is None:
            studies.append(read_experiment(find_finished(name, experiments), RANKINGS))
            continue
        record, members = read_family(root, RANKINGS)
        if len(names) == 1:
            shown = {"title": record["title"], "over_time": record["over_time"]}
            return members, shown
        studies += [dataclasses.replace(m, name=Path(m.folder).name) for m in members]
    return studies, shown


def read_family(
    root: Path, tables: Iterable[str] = RANKINGS
) -> tuple[Mapping[str, Any], list[Experiment]]:
    """Return a family's record and its members, each under its label.

    Raises
    ------
    DataError
        When the record is damaged, a member is gone, or its run was cut off.
    """
    try:
        record = json.loads((root / FILE).read_text(encoding="utf-8"))
        named = [(m["label"], root.parent / m["experiment"]) for m in record["members"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{root / FILE}: damaged ({error}); run the family's config again") from (
            error
        )
    gone = [str(path) for _, path in named if not path.is_dir()]
    if gone:
        raise DataError(
            f"{root}: of its members {some(gone)} not there now; run the family's config again"
        )
    for _, path in named:
        need_finished(path)
    studies = [
        dataclasses.replace(read_experiment(path, tables), name=label) for label, path in named
    ]
    return record, studies
