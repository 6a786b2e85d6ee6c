"""What the commands share: options, plans, the services' client, and JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlcoop.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from mlcoop.plan import Plan
    from mlcoop.sources.service.http import Client

ConfigPath = Annotated[Path, typer.Argument(help="experiment file, for example configs/x.yaml")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="override a config key")
]
Experiments = Annotated[
    Path, typer.Option("--experiments", help="folder that holds the experiments")
]
Models = Annotated[Path, typer.Option("--models", help="folder that holds the models")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="check and show the plan, run nothing")]
Name = Annotated[str, typer.Argument(help="an experiment, by name or folder")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="worker processes; results do not depend on it")
]


def page_path(html: Path | None) -> Path | None:
    """Return where to write a page, refusing a file of another kind, which it would replace."""
    if html is not None and html.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--html {html}: give a file that ends in .html")
    return html


Html = Annotated[
    Path | None, typer.Option(help="also write it as an HTML page", callback=page_path)
]
EXPERIMENTS = Path("experiments")
MODELS = Path("models")


def print_json(document: Any) -> None:
    """Print one JSON document."""
    utf8 = (sys.stdout.encoding or "utf-8").lower() in ("utf-8", "utf8")
    print(json.dumps(document, indent=1, ensure_ascii=not utf8, allow_nan=False))


def load_plan(config: Path, overrides: list[str]) -> Plan:
    """Return the plan of a study."""
    from mlcoop.config_file import load_config
    from mlcoop.plan import make_plan

    return make_plan(load_config(config, overrides), str(config), config.parent)


def load_plans(config: Path, overrides: list[str]) -> list[Plan]:
    """Return the plan of a study, or those of a family's members."""
    from mlcoop.family.file import load_family
    from mlcoop.plan import plan_family

    family = load_family(config, overrides)
    if family is None:
        return [load_plan(config, overrides)]
    return plan_family(family, str(config), config.parent)


def new_client() -> Client:
    """Return what asks the services."""
    from mlcoop.sources.service.http import Client

    return Client()


def today_utc() -> date:
    """Return the date, by universal time."""
    return datetime.now(UTC).date()


def core_count() -> int:
    """Return how many workers to use when none are named."""
    import os

    return max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))


def show(document: dict[str, Any], as_json: bool) -> None:
    """Print a document as JSON, or a line for each of its keys."""
    if as_json:
        print_json(document)
        return
    for line in _lines(document):
        print(line)


def _lines(document: dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in document.items():
        words = key.replace("_", " ")
        if isinstance(value, dict) and value:
            yield f"{indent}{words}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, bool):
            yield f"{indent}{words}: {'yes' if value else 'no'}"
        elif isinstance(value, (list, dict)):
            yield f"{indent}{words}: {', '.join(map(str, value)) or 'none'}"
        else:
            yield f"{indent}{words}: {'unknown' if value is None else value}"


def records(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Return the rows of a table, none when there is no table."""
    if table is None:
        return []
    from mlcoop.artefacts import plain

    return plain(table.to_dict(orient="records"))
