"""Parse, call, print: results on stdout, progress on stderr, exit codes 0, 2 and 1."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mlcoop import __version__
from mlcoop.errors import ConfigError, DataError, MlcoopError
from mlcoop.factors_cli import EPILOG, factors
from mlcoop.forecast_cli import forecast_app

if TYPE_CHECKING:
    import pandas as pd

    from mlcoop.family import Family
    from mlcoop.plan import Plan
    from mlcoop.schema import Experiment
    from mlcoop.sources.http import Client

# Commands import what they need when they run, so that `mlcoop --help` answers at once.
app = typer.Typer(
    name="mlcoop",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="What drives research collaboration between two countries, how sure can we be, "
    "and what will next year look like?",
)
data_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The sources' figures and their cache."
)
app.add_typer(data_app, name="data")
app.add_typer(forecast_app, name="forecast")

ConfigPath = Annotated[Path, typer.Argument(help="experiment file, for example configs/x.yaml")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="override a key of the config")
]
Experiments = Annotated[Path, typer.Option("--experiments", help="folder of the experiments")]
Models = Annotated[Path, typer.Option("--models", help="folder of the models")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="check and show the plan, do nothing")]
Name = Annotated[str, typer.Argument(help="an experiment: its name or its folder")]
Workers = Annotated[int | None, typer.Option(min=1, help="processes; the number changes no result")]
EXPERIMENTS = Path("experiments")
MODELS = Path("models")
INTERRUPTED = 130


class Terminal:
    """Shows a run's progress on stderr: a bar where there is a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.stage = ""

    def start(self, stage: str, what: str) -> None:
        """Say that a stage begins."""
        self.stage = stage
        self._close()
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.bar.start()
            self.bar.add_task(f"{stage}: {what}", total=None)
        else:
            self.console.print(f"{stage}: {what}", markup=False, highlight=False, soft_wrap=True)

    def step(self, done: int, total: int) -> None:
        """Move the bar of the stage that runs."""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, total=total)

    def note(self, text: str) -> None:
        """Print a line that the user should see."""
        self.console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        """Say that a stage is done."""
        self._close()
        how = "kept from before" if reused else f"{seconds:.1f} s"
        self.console.print(f"{stage}: done ({how})", markup=False, highlight=False, soft_wrap=True)

    def member(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """Say which study of a family begins, and how long the rest may take."""
        self._close()
        left = "" if seconds_left is None else f" (about {_duration(seconds_left)} left)"
        text = f"[{number}/{total}] {name}{left}"
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _duration(seconds: float) -> str:
    """Return a rough time in words.

    >>> _duration(40), _duration(300), _duration(9000)
    ('40 s', '5 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def _terminal() -> Iterator[Terminal]:
    terminal = Terminal(Console(stderr=True))
    try:
        yield terminal
    finally:
        terminal._close()


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit()


@app.command(
    epilog="Example: mlcoop run configs/quickstart.yaml --set tuning.trials=10",
)
def run(
    config: ConfigPath,
    overrides: Overrides = [],  # noqa: B006
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="overwrite a finished study")] = False,
    as_json: Json = False,
    workers: Workers = None,
    experiments: Experiments = EXPERIMENTS,
    models: Models = MODELS,
) -> None:
    """Run a study, or a family of them, into experiments/ and models/; go on where it was cut off.

    A config with a `vary:` section is a family: its members run one after the other and end in
    their comparison.
    """
    from mlcoop import run as runner
    from mlcoop.family import load_family

    client = _client()
    family = load_family(config, overrides)
    if family is not None:
        _run_family(family, config, client, dry_run, force, as_json, workers, experiments, models)
        return
    plan = _plan(config, overrides)
    if dry_run:
        _show(_dry_run(plan, client, experiments, models), as_json)
        return
    root = experiments / plan.config.name
    held = not force and runner.is_finished(root, runner.config_key(plan.config))
    with _terminal() as terminal:
        experiment = runner.run_study(
            plan,
            client,
            experiments=experiments,
            models=models,
            listener=terminal,
            force=force,
            workers=workers or _cores(),
        )
        if held:
            terminal.note(f"{root}: finished before from the same config; --force runs it again")
    _print_experiment(experiment, as_json)


def _run_family(
    family: Family,
    config: Path,
    client: Client,
    dry_run: bool,
    force: bool,
    as_json: bool,
    workers: int | None,
    experiments: Path,
    models: Path,
) -> None:
    from mlcoop import run_family as runner
    from mlcoop import terminal as tables
    from mlcoop.artefacts import plain

    plans = runner.plan_family(family, str(config), config.parent)
    if dry_run:
        members = {
            plan.config.name: {"sets": member.sets, **_dry_run(plan, client, experiments, models)}
            for member, plan in zip(family.members, plans, strict=True)
        }
        document = {"name": family.name, "members": members}
        document["files"] = str(experiments / family.name)
        if as_json:
            _print_json(plain(document))
        else:
            print(f"family {family.name}: {len(members)} members, compared in {document['files']}")
            tables.print_table(_members_table(plain(members)))
        return
    with _terminal() as terminal:
        comparison = runner.run_family(
            family,
            plans,
            client,
            experiments=experiments,
            models=models,
            listener=terminal,
            force=force,
            workers=workers or _cores(),
        )
        terminal.note(f"compared: {experiments / family.name}/compare.html")
    if as_json:
        _print_json(comparison.to_dict())
    else:
        tables.print_comparison(comparison)


def _members_table(members: dict[str, dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for name, member in members.items():
        sets = ", ".join(f"{key}: {value}" for key, value in member["sets"].items())
        asked = member["requests"]
        left = asked["left"] if isinstance(asked, dict) else asked
        rows.append([name, sets, member["years"], member["learner"], member["refits"], left])
    heads = ["member", "sets", "years", "learner", "refits", "requests left"]
    return pd.DataFrame(rows, columns=heads)


@app.command(epilog="Example: mlcoop compare china-bri china-bri-fields-physical --html cmp.html")
def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="EXP EXP...", help="two or more, or a family of studies")
    ],
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="write the comparison as a page")] = None,
    experiments: Experiments = EXPERIMENTS,
) -> None:
    """Set factor rankings side by side, with the uncertainty of every difference."""
    from mlcoop import terminal
    from mlcoop.artefacts import write_whole
    from mlcoop.comparison import compare as compare_experiments
    from mlcoop.family_folder import read_rankings
    from mlcoop.report.render import render_comparison

    studies, shown = read_rankings(names, experiments)
    comparison = compare_experiments(studies)
    if html is not None:
        write_whole(html, render_comparison(comparison, **shown).encode())
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        _print_json(comparison.to_dict())
    else:
        terminal.print_comparison(comparison)


@app.command(epilog="Example: mlcoop report china-bri")
def report(name: Name, experiments: Experiments = EXPERIMENTS) -> None:
    """Write the HTML page of a study, or of a family's comparison, again from its folder alone."""
    from mlcoop.artefacts import find_experiment, read_experiment, write_whole
    from mlcoop.family_folder import find_family, read_family, write_comparison
    from mlcoop.report.render import render_report

    family = find_family(name, experiments)
    if family is not None:
        record, studies = read_family(family)
        write_comparison(
            family, title=record["title"], studies=studies, over_time=record["over_time"]
        )
        print(family / "compare.html")
        return
    experiment = read_experiment(find_experiment(name, experiments))
    path = Path(experiment.folder) / "report.html"
    write_whole(path, render_report(experiment).encode())
    print(path)


@app.command(epilog="Example: mlcoop explore china-bri")
def explore(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXP...]", help="all when none is named")
    ] = None,
    port: Annotated[int, typer.Option(min=1024, max=65535)] = 8501,
    browser: Annotated[bool, typer.Option(help="open the page in a browser")] = True,
    experiments: Experiments = EXPERIMENTS,
    models: Models = MODELS,
) -> None:
    """Serve a page on this machine alone: browse studies, compare them, try what-if scenarios."""
    from mlcoop.artefacts import find_experiment, read_experiment
    from mlcoop.explore import serve

    for name in names or []:
        read_experiment(find_experiment(name, experiments), ())
    code = serve(names or [], experiments=experiments, models=models, port=port, browser=browser)
    raise typer.Exit(code)


app.command(epilog=EPILOG)(factors)


@app.command("list", epilog="Example: mlcoop list")
def list_studies(as_json: Json = False, experiments: Experiments = EXPERIMENTS) -> None:
    """List the experiments and their headline figures."""
    from mlcoop import terminal
    from mlcoop.artefacts import list_experiments, read_experiment

    rows = [_headline(read_experiment(path)) for path in list_experiments(experiments)]
    if as_json:
        _print_json(rows)
    else:
        terminal.print_list(rows)


@app.command(epilog="Example: mlcoop simulate --like configs/quickstart.yaml --worlds 4")
def simulate(
    kind: Annotated[str, typer.Argument(help="a kind of world; --kinds lists them")] = "mixed",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path, typer.Option(help="CSV file of the panel")] = Path("world.csv"),
    kinds: Annotated[bool, typer.Option("--kinds", help="list the kinds and stop")] = False,
    like: Annotated[
        Path | None, typer.Option(metavar="CONFIG", help="say what a study of its size could tell")
    ] = None,
    worlds: Annotated[int, typer.Option(min=2, help="with --like: worlds drawn and ranked")] = 20,
    works: Annotated[
        float | None, typer.Option(min=0.01, help="with --like: works of an average pair and year")
    ] = None,
    pair_noise: Annotated[
        float | None, typer.Option(min=0, help="with --like: s.d. of pairs' own log effects")
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Write a planted world: a panel whose true drivers are known, and a config that ranks it.

    With --like, write nothing: rank planted worlds of the size of a config's study, and print
    which effects and which orders of factors it could tell. Asks no service. A world takes about
    2 s for 60 pairs and 15 factors, 40 s where thousands of pairs are trained on.
    """
    from mlcoop.artefacts import to_bytes, write_whole

    if like is not None:
        _power(_plan(like, overrides), worlds, works, pair_noise, seed, workers, as_json)
        return
    from mlcoop.simulate import RECIPES, simulate_world

    if kinds:
        for name, recipe in RECIPES.items():
            print(f"{name:12} {recipe.label}")
        return
    world = simulate_world(kind, seed=seed)
    truth = out.with_name(f"{out.stem}-truth.csv")
    config = out.with_suffix(".yaml")
    for path, content in (
        (out, world.panel),
        (truth, world.truth),
        (config, _world_config(out, world.factors)),
    ):
        write_whole(path, to_bytes(content, path.name))
        print(path)


@data_app.command("fetch", epilog="Example: mlcoop data fetch configs/china-bri.yaml --dry-run")
def data_fetch(
    config: ConfigPath,
    overrides: Overrides = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Bring a study's figures into the cache; what is there is not asked for again."""
    from mlcoop.artefacts import plain
    from mlcoop.assemble import gather_request
    from mlcoop.sources.gather import gather
    from mlcoop.sources.gather import plan as count_requests

    plans = _plans(config, overrides)
    if all(p.config.panel or p.config.target.source == "simulated" for p in plans):
        raise ConfigError(f"{config}: this study asks no service; there is nothing to fetch")
    client = _client()
    asked = {}
    for plan in plans:
        request = gather_request(plan, _today())
        if not dry_run:
            with _terminal() as terminal:
                terminal.start("data", f"figures of {plan.config.name} into the cache")
                figures = gather(request, client, lambda done, of, what: terminal.step(done, of))
                for warning in figures.warnings:
                    terminal.note(warning)
        asked[plan.config.name] = plain(count_requests(request, client))
    _show(asked if len(asked) > 1 else next(iter(asked.values())), as_json)


@data_app.command("import", epilog="Example: mlcoop data import gravity Gravity_csv_V202211.zip")
def data_import(
    kind: Annotated[str, typer.Argument(help="gravity or baci")],
    files: Annotated[list[Path], typer.Argument(help="the files as CEPII gives them")],
    as_json: Json = False,
) -> None:
    """Read CEPII's Gravity or BACI files that you downloaded into the cache; resumable."""
    from mlcoop.sources.imported import import_files

    with _terminal() as terminal:
        terminal.start("import", f"{len(files)} files")
        done = import_files(
            kind,
            files,
            _client().cache,
            today=_today().isoformat(),
            progress=lambda ready, total, what: terminal.step(ready, total),
        )
        for warning in done.warnings:
            terminal.note(warning)
    if as_json:
        _print_json({"rows": done.rows, "kept": done.kept, "warnings": done.warnings})
        return
    for name, rows in done.rows.items():
        print(f"{name}: {rows:,} pairs and years")
    for name in done.kept:
        print(f"{name}: in the cache already")


@data_app.command("status", epilog="Example: mlcoop data status --html coverage.html")
def data_status(
    config: Annotated[Path | None, typer.Argument(help="only what this study reads")] = None,
    overrides: Overrides = [],  # noqa: B006
    html: Annotated[Path | None, typer.Option(help="write a page with a picture")] = None,
    as_json: Json = False,
) -> None:
    """Show what the cache holds, by source, indicator and year."""
    from mlcoop import terminal
    from mlcoop.artefacts import write_whole
    from mlcoop.assemble import gather_request
    from mlcoop.report.coverage import render_coverage
    from mlcoop.sources.status import cache_status, coverage

    request = None
    if config is not None:
        plan = _plan(config, overrides)
        if plan.config.panel is not None or plan.config.target.source == "simulated":
            raise ConfigError(
                f"{config}: this study asks no service; the cache holds nothing of it"
            )
        request = gather_request(plan, _today())
    cache = _client().cache
    table, years = cache_status(cache), coverage(cache, request)
    if html is not None:
        title = f"Figures of {plan.config.name}" if config is not None else "Figures in the cache"
        write_whole(html, render_coverage(years, table, title).encode())
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        _print_json({"answers": _records(table), "countries_by_year": _records(years)})
        return
    if config is None:
        terminal.print_table(table)
    terminal.print_coverage(years)


@data_app.command("impact", epilog="Example: mlcoop data impact configs/china-bri.yaml")
def data_impact(
    config: ConfigPath,
    overrides: Overrides = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Show how many works of a study's countries are highly cited, international and domestic."""
    from mlcoop import terminal
    from mlcoop.artefacts import plain
    from mlcoop.assemble import gather_request
    from mlcoop.sources import impact

    plan = _plan(config, overrides)
    if plan.config.panel is not None or plan.config.target.source == "simulated":
        raise ConfigError(
            f"{config}: this study's works are not OpenAlex's; there are no citations"
        )
    client = _client()
    request = gather_request(plan, _today())
    if dry_run:
        _show(plain(impact.plan(request, client)), as_json)
        return
    with _terminal() as screen:
        screen.start("impact", "highly cited works")
        found = impact.of_study(request, client, lambda done, total, what: screen.step(done, total))
        for warning in found.warnings:
            screen.note(warning)
    if as_json:
        _print_json({"years": _records(found.table), "claim": impact.claim(found.table)})
    else:
        terminal.print_impact(impact.pooled(found.table), impact.claim(found.table))


@data_app.command("verify", epilog="Example: mlcoop data verify")
def data_verify() -> None:
    """Check every cached answer against its checksum."""
    from mlcoop.sources.status import verify

    problems = verify(_client().cache)
    for problem in problems:
        print(problem)
    if problems:
        raise DataError(
            f"{len(problems)} cached answers are damaged; the next fetch asks for them again"
        )
    print("the cache matches its checksums")


@data_app.command("aggregate", epilog="Example: mlcoop data aggregate data/works --out counts")
def data_aggregate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a snapshot's folder data/works")],
    out: Annotated[Path, typer.Option(help="folder for the counts")] = Path("counts"),
    workers: Workers = None,
) -> None:
    """Count the pairs of a whole OpenAlex works snapshot, full and fractional; resumable."""
    from mlcoop.sources.snapshot import aggregate

    with _terminal() as terminal:
        terminal.start("aggregate", "files of the snapshot")
        done = aggregate(
            folder,
            out,
            workers=workers or _cores(),
            progress=lambda ready, total, what: terminal.step(ready, total),
        )
        for warning in done.warnings:
            terminal.note(warning)
    print(out)


def _plan(config: Path, overrides: list[str]) -> Plan:
    from mlcoop.config import load_config
    from mlcoop.plan import make_plan

    return make_plan(load_config(config, overrides), str(config), config.parent)


def _plans(config: Path, overrides: list[str]) -> list[Plan]:
    """Return the plan of a study, or those of a family's members."""
    from mlcoop.family import load_family
    from mlcoop.run_family import plan_family

    family = load_family(config, overrides)
    if family is None:
        return [_plan(config, overrides)]
    return plan_family(family, str(config), config.parent)


def _power(
    plan: Plan,
    worlds: int,
    works: float | None,
    pair_noise: float | None,
    seed: int,
    workers: int | None,
    as_json: bool,
) -> None:
    from mlcoop import terminal
    from mlcoop.assemble import assemble
    from mlcoop.likeness import study_like
    from mlcoop.power import power_analysis, surroundings_of

    config, today = plan.config, _today()
    with _terminal() as shown:
        shown.start("covariates", "rows and factors of such a study")
        notes: tuple[str, ...] = ()
        if config.panel is not None:
            matrix = assemble(plan, _client(), today=today).matrix
        else:
            found = study_like(plan, this_year=today.year, seed=seed)
            matrix, notes = found.matrix, found.notes
        surroundings = surroundings_of(plan, works=works, pair_noise=pair_noise)
        shown.start("power", f"{worlds} planted worlds of this size")
        power = power_analysis(
            matrix,
            config.learner.name,
            dict(config.learner.params),
            surroundings=surroundings,
            level=config.explain.level,
            resamples=config.explain.resamples,
            unit=config.explain.unit,
            worlds=worlds,
            seed=seed,
            workers=workers or _cores(),
            progress=shown.step,
            notes=notes,
        )
    if as_json:
        _print_json(power.to_dict())
    else:
        terminal.print_power(power)


def _client() -> Client:
    from mlcoop.sources.http import Client

    return Client()


def _today() -> date:
    return datetime.now(UTC).date()


def _cores() -> int:
    import os

    return max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))


def _dry_run(plan: Plan, client: Client, experiments: Path, models: Path) -> dict[str, Any]:
    from mlcoop.artefacts import plain
    from mlcoop.assemble import gather_request
    from mlcoop.sources.gather import plan as count_requests

    config = plan.config
    asks = config.panel is None and config.target.source != "simulated"
    return plain(
        {
            "name": config.name,
            "focus": f"{plan.focal or config.focus.institution or 'all pairs'}"
            + (f" and {len(plan.partners)} partners" if plan.partners else ""),
            "years": "those of the file"
            if config.panel is not None
            else f"{config.years.start} to {config.years.end}",
            "factors": len(plan.factors) or len(config.panel.factors if config.panel else ()),
            "learner": config.learner.name,
            "stages": ", ".join(plan.stages),
            "trials": config.tuning.trials if config.tuning.enabled else 0,
            "origins": config.evaluation.origins if config.evaluation.enabled else 0,
            "refits": config.explain.resamples if config.explain.enabled else 0,
            "files": f"{experiments / config.name}, {models / config.name}",
            "requests": count_requests(gather_request(plan, _today()), client) if asks else 0,
        }
    )


def _world_config(panel: Path, factors: tuple[str, ...]) -> str:
    return (
        f"name: {panel.stem}\npanel:\n  path: {panel.name}\n  pair: [i, j]\n  year: year\n"
        f"  target: y\n  exposure: exposure\n  factors: [{', '.join(factors)}]\n"
    )


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(document)
        return
    for key, value in document.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for inner, content in value.items():
                print(f"  {inner}: {content}")
        else:
            print(f"{key}: {value}")


def _print_experiment(experiment: Experiment, as_json: bool) -> None:
    from mlcoop import terminal

    if as_json:
        _print_json(
            {
                "name": experiment.name,
                "folder": experiment.folder,
                "simulated": bool(experiment.coverage.get("simulated")),
                "factors": _records(experiment.factors),
                "groups": _records(experiment.groups),
                "witnesses": _records(experiment.witnesses),
                "forecast": _records(experiment.forecast),
                "metrics": experiment.metrics,
            }
        )
    else:
        terminal.print_experiment(experiment)


def _headline(experiment: Experiment) -> dict[str, Any]:
    table = experiment.factors
    top = None if table is None or table.empty else str(table.iloc[0]["factor"])
    skill = experiment.metrics.get("forecast", {}).get("skill", {}).get("focus", {})
    return {
        "name": experiment.name,
        "simulated": bool(experiment.coverage.get("simulated")),
        "years": experiment.coverage.get("years"),
        "focus_pairs": experiment.coverage.get("focus_pairs"),
        "top_factor": top,
        "skill": skill.get("value"),
        "against": skill.get("against"),
        "finished": experiment.provenance.get("finished"),
    }


def _records(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    if table is None:
        return []
    from mlcoop.artefacts import plain

    return plain(table.to_dict(orient="records"))


def main() -> None:
    """Run the command line with mlcoop's exit codes: 0 done, 2 mendable, 1 source or our fault."""
    try:
        app(prog_name="mlcoop", standalone_mode=True)
    except MlcoopError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as error:
        # The library turns an interrupt into an exit with a code that depends on its version.
        if isinstance(error, SystemExit) and error.code != INTERRUPTED:
            raise
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(0)
    except Exception:
        traceback.print_exc()
        print(
            f"mlcoop {__version__}: this is our fault; please report it with the lines above",
            file=sys.stderr,
        )
        sys.exit(1)
