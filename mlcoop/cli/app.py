"""The commands, and the exit codes: 0 done, 2 the user can correct it, 1 a source or a bug."""

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
from mlcoop.cli import factors, forecast, planted, study
from mlcoop.cli.data import data_app
from mlcoop.cli.shared import (
    EXPERIMENTS,
    MODELS,
    Experiments,
    Html,
    Json,
    Models,
    Name,
    print_json,
)
from mlcoop.errors import ConfigError, DataError, MlcoopError, lower_first, some

if TYPE_CHECKING:
    from mlcoop.schema import Experiment

# Commands import what they need when they need it, so that `mlcoop --help` answers at once and a
# bad config does not wait for the modelling libraries.
app = typer.Typer(
    name="mlcoop",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which factors are associated with research collaboration between countries, how "
    "certain is the ranking, and how many works are expected next year?",
)
app.add_typer(data_app, name="data")
app.add_typer(forecast.forecast_app, name="forecast")

app.command(epilog=study.EPILOG)(study.run)
app.command(epilog=factors.EPILOG)(factors.factors)
app.command(epilog=planted.EPILOG)(planted.simulate)
INTERRUPTED = 130
# What typer raises of a command that it cannot read; where the class lives depends on its version.
_Usage: type[Exception] = typer.BadParameter.__mro__[1]
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


@app.command(epilog="Example: mlcoop compare china-bri china-bri-fields-physical --html cmp.html")
def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="EXP EXP...", help="two or more, or a family of studies")
    ],
    as_json: Json = False,
    html: Html = None,
    experiments: Experiments = EXPERIMENTS,
) -> None:
    """Compare factor rankings side by side, with the uncertainty of every difference."""
    from mlcoop.comparison import compare as compare_experiments
    from mlcoop.family.folder import read_rankings
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
def report(name: Name, as_json: Json = False, experiments: Experiments = EXPERIMENTS) -> None:
    """Rebuild the HTML page of a study, or of a family's comparison, from its folder alone."""
    from mlcoop.artefacts import read_manifest
    from mlcoop.experiments import absent_tables, find_experiment, read_experiment
    from mlcoop.family.folder import find_family, read_family, write_comparison
    from mlcoop.files import write_output
    from mlcoop.report.render import render_report

    family = find_family(name, experiments)
    if family is not None:
        record, studies = read_family(family)
        write_comparison(
            family, title=record["title"], studies=studies, over_time=record["over_time"]
        )
        _print_page(family / "compare.html", as_json)
        return
    experiment = read_experiment(find_experiment(name, experiments))
    if not read_manifest(Path(experiment.folder)).get("finished"):
        raise DataError(
            f"{experiment.folder}: its run is not finished, so the page would be incomplete; run "
            "its config again, it resumes where it stopped"
        )
    absent = absent_tables(Path(experiment.folder))
    if absent:
        raise DataError(
            f"{experiment.folder}: lacks {some(absent)}, which its run wrote, so the page would be "
            "incomplete; run its config again with --force"
        )
    path = Path(experiment.folder) / "report.html"
    write_output(path, render_report(experiment).encode())
    _print_page(path, as_json)


def _print_page(path: Path, as_json: bool) -> None:
    print_json({"page": str(path)}) if as_json else print(path)


@app.command(epilog="Example: mlcoop explore china-bri")
def explore(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXP...]", help="default: all experiments")
    ] = None,
    port: Annotated[int, typer.Option(min=1024, max=65535)] = 8501,
    browser: Annotated[bool, typer.Option(help="open the page in a browser")] = True,
    experiments: Experiments = EXPERIMENTS,
    models: Models = MODELS,
) -> None:
    """Open a local page, on this machine only: browse studies, compare them, try what-ifs."""
    from mlcoop.experiments import find_experiment, read_experiment
    from mlcoop.explore import serve

    for name in names or []:
        read_experiment(find_experiment(name, experiments), ())
    code = serve(names or [], experiments=experiments, models=models, port=port, browser=browser)
    raise typer.Exit(code)


@app.command("list", epilog="Example: mlcoop list")
def list_studies(as_json: Json = False, experiments: Experiments = EXPERIMENTS) -> None:
    """List the experiments and their headline results."""
    from mlcoop.experiments import list_experiments, read_experiment
    from mlcoop.terminal.study import print_list

    if experiments != EXPERIMENTS and not experiments.is_dir():
        raise ConfigError(f"--experiments {experiments}: no such folder; name one of studies")
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


def _headline(experiment: Experiment) -> dict[str, Any]:
    from mlcoop.artefacts import read_manifest
    from mlcoop.report.numbers.gather import factor_labels

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
    code = None
    try:
        code = app(prog_name="mlcoop", standalone_mode=False)
    except MlcoopError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except _Usage as error:
        print(_misread(error), file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _MACHINE and error.filename is not None:
            print(f"{error.filename}: {error.strerror}; fix that and try again", file=sys.stderr)
            sys.exit(2)
        traceback.print_exc()
        print(
            f"mlcoop {__version__}: this is a bug in mlcoop; please report it with the lines above",
            file=sys.stderr,
        )
        sys.exit(1)
    # The library turns an interrupt into a code or an abort, by its version.
    if code == INTERRUPTED:
        print("interrupted; the same command resumes where it stopped", file=sys.stderr)
        sys.exit(1)
    sys.exit(code)


def _misread(error: Any) -> str:
    """Return in one line what of a command cannot be read; the help itself where nothing is asked.

    Typer's own words take three lines, the first of them the usage.
    """
    said = error.format_message().strip()
    if "\n" in said:
        return said
    # Where an option's own value is missing it does not say of which command.
    command = error.ctx.command_path if error.ctx else "mlcoop"
    shown = f"{command} --help" if error.ctx else "the command's --help"
    end = " See" if said.endswith("?") else "; see"
    return f"{command}: {lower_first(said.removesuffix('.'))}{end} {shown}"
