"""The commands, and the exit codes: 0 done, 2 something to mend, 1 a source's or our fault."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlcoop import __version__
from mlcoop.cli import factors, forecast, planted
from mlcoop.cli.data import data_app
from mlcoop.cli.progress import progress_shown
from mlcoop.cli.shared import (
    EXPERIMENTS,
    MODELS,
    ConfigPath,
    DryRun,
    Experiments,
    Html,
    Json,
    Models,
    Name,
    Overrides,
    Workers,
    core_count,
    load_plan,
    new_client,
    print_json,
    records,
    show,
    today_utc,
)
from mlcoop.errors import DataError, MlcoopError, some

if TYPE_CHECKING:
    import pandas as pd

    from mlcoop.config import Config
    from mlcoop.family import Family
    from mlcoop.plan import Plan
    from mlcoop.schema import Experiment
    from mlcoop.sources.http import Client

# Commands import what they need when they need it, so that `mlcoop --help` answers at once and a
# bad config does not wait for the modelling libraries.
app = typer.Typer(
    name="mlcoop",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="What drives research collaboration between two countries, how sure can we be, "
    "and what will next year look like?",
)
app.add_typer(data_app, name="data")
app.add_typer(forecast.forecast_app, name="forecast")

app.command(epilog=factors.EPILOG)(factors.factors)
app.command(epilog=planted.EPILOG)(planted.simulate)
INTERRUPTED = 130
# What a machine or its owner may forbid of any path, wherever it is met.
_MACHINE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.ESTALE)


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
    from mlcoop.family import load_family

    client = new_client()
    family = load_family(config, overrides)
    if family is not None:
        _run_family(family, config, client, dry_run, force, as_json, workers, experiments, models)
        return
    plan = load_plan(config, overrides)
    if dry_run:
        show(_dry_run(plan, client, experiments, models), as_json)
        return
    from mlcoop.finished import is_finished
    from mlcoop.run import run_study

    root = experiments / plan.config.name
    held = not force and is_finished(root, plan.config)
    with progress_shown() as terminal:
        experiment = run_study(
            plan,
            client,
            experiments=experiments,
            models=models,
            listener=terminal,
            force=force,
            workers=workers or core_count(),
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
    from mlcoop.artefacts import plain
    from mlcoop.plan import plan_family
    from mlcoop.terminal.tables import print_table

    plans = plan_family(family, str(config), config.parent)
    if dry_run:
        members = {
            plan.config.name: {
                "sets": member.sets,
                **_dry_run(plan, client, experiments, models, must_rank=True),
            }
            for member, plan in zip(family.members, plans, strict=True)
        }
        document = {"name": family.name, "members": members}
        document["files"] = str(experiments / family.name)
        if as_json:
            print_json(plain(document))
        else:
            print(f"family {family.name}: {len(members)} members, compared in {document['files']}")
            print_table(_members_table(plain(members)))
        return
    from mlcoop import run_family as runner
    from mlcoop.terminal.comparison import print_comparison

    with progress_shown() as terminal:
        comparison = runner.run_family(
            family,
            plans,
            client,
            experiments=experiments,
            models=models,
            listener=terminal,
            force=force,
            workers=workers or core_count(),
        )
        terminal.note(f"compared: {experiments / family.name}/compare.html")
    if as_json:
        print_json(comparison.to_dict())
    else:
        print_comparison(comparison)


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
    html: Html = None,
    experiments: Experiments = EXPERIMENTS,
) -> None:
    """Set factor rankings side by side, with the uncertainty of every difference."""
    from mlcoop.comparison import compare as compare_experiments
    from mlcoop.family_folder import read_rankings
    from mlcoop.files import write_output
    from mlcoop.report.render import render_comparison
    from mlcoop.terminal.comparison import print_comparison

    studies, shown = read_rankings(names, experiments)
    comparison = compare_experiments(studies)
    if html is not None:
        write_output(html, render_comparison(comparison, **shown).encode())
        print(f"written: {html}", file=sys.stderr)
    if as_json:
        print_json(comparison.to_dict())
    else:
        print_comparison(comparison)


@app.command(epilog="Example: mlcoop report china-bri")
def report(name: Name, experiments: Experiments = EXPERIMENTS) -> None:
    """Write the HTML page of a study, or of a family's comparison, again from its folder alone."""
    from mlcoop.artefacts import absent_tables, find_experiment, read_experiment, read_manifest
    from mlcoop.family_folder import find_family, read_family, write_comparison
    from mlcoop.files import write_output
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
    if not read_manifest(Path(experiment.folder)).get("finished"):
        raise DataError(
            f"{experiment.folder}: its run is not finished, and the page would lack what is still "
            "to be made; run its config again, it goes on where it stopped"
        )
    absent = absent_tables(Path(experiment.folder))
    if absent:
        raise DataError(
            f"{experiment.folder}: its run wrote {some(absent)}, not there now, and the page would "
            "lack them; run its config again with --force"
        )
    path = Path(experiment.folder) / "report.html"
    write_output(path, render_report(experiment).encode())
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


@app.command("list", epilog="Example: mlcoop list")
def list_studies(as_json: Json = False, experiments: Experiments = EXPERIMENTS) -> None:
    """List the experiments and their headline figures."""
    from mlcoop.artefacts import list_experiments, read_experiment
    from mlcoop.terminal.study import print_list

    rows, damaged = [], []
    for path in list_experiments(experiments):
        try:
            rows.append(_headline(read_experiment(path, ("factors",))))
        except DataError as error:
            damaged.append(str(error))
    if as_json:
        print_json(rows)
    elif rows or not damaged:
        print_list(rows)
    if damaged:
        raise DataError("\n".join(damaged))


def _dry_run(
    plan: Plan, client: Client, experiments: Path, models: Path, *, must_rank: bool = False
) -> dict[str, Any]:
    from mlcoop.artefacts import plain
    from mlcoop.assemble import gather_request, look_at_own_file, refuse_without_imports
    from mlcoop.sources.gather import plan as count_requests

    plan = look_at_own_file(plan, must_rank=must_rank)
    config = plan.config
    request = None
    if config.panel is None and config.target.source != "simulated":
        refuse_without_imports(plan, client)
        request = gather_request(plan, today_utc())
    return plain(
        {
            "name": config.name,
            "focus": _focus_words(plan),
            "years": "those of the file"
            if config.panel is not None
            else f"{config.years.start} to {config.years.end}",
            "factors": _count_factors(plan),
            "learner": config.learner.name,
            "stages": ", ".join(plan.stages),
            "trials": config.tuning.trials if config.tuning.enabled else 0,
            "origins": config.evaluation.origins if config.evaluation.enabled else 0,
            **_years_ahead(config),
            "refits": config.explain.resamples if "explain" in plan.stages else 0,
            **({"not_ranked": plan.not_ranked} if plan.not_ranked else {}),
            "files": f"{experiments / config.name}, {models / config.name}",
            "requests": count_requests(request, client) if request else 0,
        }
    )


def _count_factors(plan: Plan) -> int:
    """Return how many factors will be ranked, if none is left out for want of figures."""
    if plan.config.panel is not None:
        return len(plan.config.panel.factors)
    # With one end that all pairs share, a national factor is ranked for either end.
    ends = 2 if plan.focal or plan.config.focus.institution else 1
    return sum(ends if factor.role == "country" else 1 for factor in plan.factors)


def _focus_words(plan: Plan) -> str:
    one, partners = plan.focal or plan.config.focus.institution, len(plan.partners)
    if one:
        return f"{one} and {partners} partners" if partners else f"{one} and all its partners"
    return f"all pairs of {partners} countries" if partners else "all pairs"


def _years_ahead(config: Config) -> dict[str, Any]:
    """Return how many years ahead will be forecast, and why fewer than asked, where years tell."""
    import numpy as np

    from mlcoop.model.origins import forecast_horizons
    from mlcoop.plan import UNTESTED

    if not config.forecast.enabled:
        return {"years_ahead": 0}
    if not config.evaluation.enabled:
        return {"years_ahead": 0, "warning": UNTESTED}
    if config.panel is not None or config.years.end == "latest":
        return {"years_ahead": config.forecast.horizon}
    years = np.arange(config.years.start, config.years.end + 1)
    possible, left_out = forecast_horizons(years, config.forecast.horizon)
    return {"years_ahead": len(possible), **({"warning": left_out[0]} if left_out else {})}


def _print_experiment(experiment: Experiment, as_json: bool) -> None:
    from mlcoop.terminal.study import print_experiment

    if as_json:
        print_json(
            {
                "name": experiment.name,
                "folder": experiment.folder,
                "simulated": bool(experiment.coverage.get("simulated")),
                "not_ranked": experiment.coverage.get("not_ranked"),
                "factors": records(experiment.factors),
                "groups": records(experiment.groups),
                "witnesses": records(experiment.witnesses),
                "forecast": records(experiment.forecast),
                "metrics": experiment.metrics,
            }
        )
    else:
        print_experiment(experiment)


def _headline(experiment: Experiment) -> dict[str, Any]:
    from mlcoop.artefacts import read_manifest
    from mlcoop.report.gather import factor_labels

    # A run that was cut off over an earlier one leaves the earlier one's provenance.
    done = read_manifest(Path(experiment.folder)).get("finished", True)
    table = experiment.factors
    top = None if table is None or table.empty else str(table.iloc[0]["factor"])
    skill = experiment.metrics.get("forecast", {}).get("skill", {}).get("focus", {})
    return {
        "name": experiment.name,
        "simulated": bool(experiment.coverage.get("simulated")),
        "years": experiment.coverage.get("years"),
        "focus_pairs": experiment.coverage.get("focus_pairs"),
        "top_factor": top,
        "not_ranked": experiment.coverage.get("not_ranked"),
        "top_factor_label": factor_labels(experiment).get(top, top) if top else None,
        "skill": skill.get("value"),
        "against": skill.get("against"),
        "finished": experiment.provenance.get("finished") if done else None,
    }


def main() -> None:
    """Run the command line with mlcoop's exit codes: 0 done, 2 mendable, 1 source or our fault."""
    # Figures go to files. A notebook that calls the command asks for a backend of its own, which
    # stops matplotlib where the command's environment does not hold it.
    os.environ["MPLBACKEND"] = "agg"
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A minus sign or an accent is no reason to fail where the terminal's encoding lacks it.
        sys.stdout.reconfigure(errors="replace")
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        # Killed at once, its workers would stay behind; nohup's choice is left alone.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
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
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _MACHINE and error.filename is not None:
            print(f"{error.filename}: {error.strerror}; mend that and try again", file=sys.stderr)
            sys.exit(2)
        traceback.print_exc()
        print(
            f"mlcoop {__version__}: this is our fault; please report it with the lines above",
            file=sys.stderr,
        )
        sys.exit(1)
