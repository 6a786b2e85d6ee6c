"""`mlcoop data`: source data into the cache, what it holds, and how it is checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlcoop.cli.progress import progress_shown
from mlcoop.cli.shared import (
    ConfigPath,
    DryRun,
    Html,
    Json,
    Overrides,
    Workers,
    core_count,
    load_plan,
    load_plans,
    new_client,
    print_json,
    records,
    show,
    today_utc,
)
from mlcoop.errors import ConfigError, DataError, counted

data_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Source data and the local cache."
)


@data_app.command("fetch", epilog="Example: mlcoop data fetch configs/china-bri.yaml --dry-run")
def data_fetch(
    config: ConfigPath,
    overrides: Overrides = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Download a study's source data into the cache; cached data are not requested again."""
    from mlcoop.artefacts import plain
    from mlcoop.assemble import gather_request
    from mlcoop.sources.gather import gather
    from mlcoop.sources.gather import plan as count_requests

    plans = [p for p in load_plans(config, overrides) if p.asks_services]
    if not plans:
        raise ConfigError(f"{config}: this study uses no online source; there is nothing to fetch")
    client = new_client()
    asked = {}
    for plan in plans:
        request = gather_request(plan, today_utc())
        if not dry_run:
            with progress_shown() as terminal:
                terminal.start("data", f"source data of {plan.config.name} into the cache")
                figures = gather(request, client, lambda done, of, what: terminal.step(done, of))
                for warning in figures.warnings:
                    terminal.note(warning)
        asked[plan.config.name] = plain(count_requests(request, client))
    show(asked if len(asked) > 1 else next(iter(asked.values())), as_json)


@data_app.command("import", epilog="Example: mlcoop data import gravity Gravity_csv_V202211.zip")
def data_import(
    kind: Annotated[str, typer.Argument(help="gravity or baci")],
    files: Annotated[list[Path], typer.Argument(help="the files as downloaded from CEPII")],
    as_json: Json = False,
) -> None:
    """Import downloaded CEPII Gravity or BACI files into the cache; resumable."""
    from mlcoop.sources.imported.pair_files import import_files

    with progress_shown() as terminal:
        done = import_files(
            kind,
            files,
            new_client().cache,
            today=today_utc().isoformat(),
            progress=terminal.counting("import", counted(len(files), "file")),
        )
        for warning in done.warnings:
            terminal.note(warning)
    if as_json:
        print_json({"rows": done.rows, "kept": done.kept, "warnings": done.warnings})
        return
    for name, rows in done.rows.items():
        print(f"{name}: {rows:,} pairs and years")
    for name in done.kept:
        print(f"{name}: already in the cache")


@data_app.command("status", epilog="Example: mlcoop data status --html coverage.html")
def data_status(
    config: Annotated[
        Path | None, typer.Argument(help="only the data that this study uses")
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Show what the cache holds, by source, indicator and year."""
    from mlcoop.assemble import gather_request
    from mlcoop.files import write_output
    from mlcoop.report.coverage import render_coverage
    from mlcoop.sources.status import cache_status, coverage
    from mlcoop.terminal.data import print_coverage
    from mlcoop.terminal.tables import print_table

    request = None
    if config is not None:
        plan = load_plan(config, overrides)
        if not plan.asks_services:
            raise ConfigError(
                f"{config}: this study uses no online source; the cache holds no data of it"
            )
        request = gather_request(plan, today_utc())
    cache = new_client().cache
    years = coverage(cache, request)
    table = cache_status(cache, coverage(cache) if request else years)
    if html is not None:
        title = f"Data of {plan.config.name}" if config is not None else "Data in the cache"
        write_output(html, render_coverage(years, table, title).encode())
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        print_json({"answers": records(table), "countries_by_year": records(years)})
        return
    if config is None and len(table):
        print_table(table)
        if years.empty:  # nothing but files and distances, which are not by country and year
            return
    print_coverage(years)


@data_app.command("impact", epilog="Example: mlcoop data impact configs/china-bri.yaml")
def data_impact(
    config: ConfigPath,
    overrides: Overrides = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Show the share of highly cited works, international and domestic, of a study's countries."""
    from mlcoop.artefacts import plain
    from mlcoop.assemble import gather_request
    from mlcoop.sources.openalex import impact
    from mlcoop.terminal.data import print_impact

    plan = load_plan(config, overrides)
    if not plan.asks_services:
        raise ConfigError(
            f"{config}: this study's counts are not from OpenAlex, so there are no citation data"
        )
    client = new_client()
    request = gather_request(plan, today_utc())
    if dry_run:
        show(plain(impact.plan(request, client)), as_json)
        return
    with progress_shown() as screen:
        step = screen.counting("impact", "highly cited works")
        found = impact.of_study(request, client, step)
        for warning in found.warnings:
            screen.note(warning)
    if as_json:
        print_json({"years": records(found.table), "claim": impact.claim(found.table)})
    else:
        print_impact(impact.pooled(found.table), impact.claim(found.table))


@data_app.command("verify", epilog="Example: mlcoop data verify")
def data_verify(as_json: Json = False) -> None:
    """Check every cached answer against its checksum."""
    cache = new_client().cache
    problems, answers = cache.problems(), sum(1 for _ in cache.records())
    if as_json:
        print_json({"whole": not problems, "answers": answers, "damaged": problems})
    else:
        good = "all match their checksums" if answers else "nothing to check"
        for problem in problems or [f"{cache.folder}: {counted(answers, 'cached answer')}, {good}"]:
            print(problem)
    if problems:
        raise DataError(
            f"damaged answers in the cache: {len(problems)}; run mlcoop data fetch, which requests "
            "them again, and import damaged imports again"
        )


@data_app.command("aggregate", epilog="Example: mlcoop data aggregate data/works --out counts")
def data_aggregate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="the snapshot's folder data/works")],
    out: Annotated[Path, typer.Option(help="folder for the counts")] = Path("counts"),
    workers: Workers = None,
) -> None:
    """Count country pairs in an OpenAlex works snapshot, full and fractional; resumable."""
    from mlcoop.sources.openalex.snapshot import aggregate

    with progress_shown() as terminal:
        done = aggregate(
            folder,
            out,
            workers=workers or core_count(),
            progress=terminal.counting("aggregate", "files of the snapshot"),
        )
        for warning in done.warnings:
            terminal.note(warning)
    print(out)
