"""`mlcoop forecast`: a study's forecast, its totals, surprises, scenarios and later score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mlcoop.cli.shared import (
    EXPERIMENTS,
    MODELS,
    Experiments,
    Json,
    Models,
    Name,
    print_json,
    records,
)
from mlcoop.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from mlcoop.schema import Experiment


class _ShowsByDefault(TyperGroup):
    """`mlcoop forecast EXP` is `mlcoop forecast show EXP`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


forecast_app = typer.Typer(
    cls=_ShowsByDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="A study's forecast with intervals; `mlcoop forecast EXP` is short for `show EXP`.",
)


@forecast_app.command(
    epilog="Example: mlcoop forecast china-bri --scenario configs/scenarios/initiative.yaml"
)
def show(
    name: Name,
    scenario: Annotated[
        Path | None, typer.Option(help="file of changed factors; shows the associated difference")
    ] = None,
    totals: Annotated[
        bool, typer.Option("--totals", help="totals: the focus set, every country, all pairs")
    ] = False,
    surprises: Annotated[
        bool, typer.Option("--surprises", help="latest counts outside their prediction interval")
    ] = False,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=5, help="years ahead to show; default: all")
    ] = None,
    as_json: Json = False,
    experiments: Experiments = EXPERIMENTS,
    models: Models = MODELS,
) -> None:
    """Print the forecast of the years ahead; or its totals, its surprises, or a scenario."""
    from mlcoop.artefacts import plain
    from mlcoop.terminal import forecast as terminal
    from mlcoop.terminal.study import print_forecast

    if sum([scenario is not None, totals, surprises]) > 1:
        raise ConfigError("forecast: give one of --scenario, --totals and --surprises at a time")
    if horizon is not None and surprises:
        raise ConfigError("forecast: surprises are about the latest counts; leave out --horizon")
    experiment = _read(name, experiments)
    if surprises:
        table = _needed(experiment.surprises, experiment, "surprises.csv")
        print_json(records(table)) if as_json else terminal.print_surprises(experiment)
        return
    forecast = _ahead(_needed(experiment.forecast, experiment, "forecast.csv"), horizon)
    if scenario is not None:
        outcome = _play(experiment, forecast, scenario, models)
        if as_json:
            print_json(plain(outcome.to_dict()))
        else:
            terminal.print_scenario(experiment, outcome)
    elif totals:
        table = _ahead(_needed(experiment.totals, experiment, "totals.csv"), horizon)
        print_json(records(table)) if as_json else terminal.print_totals(experiment, table)
    elif as_json:
        print_json(records(forecast))
    else:
        print_forecast(replace(experiment, forecast=forecast))


@forecast_app.command(epilog="Example: mlcoop forecast score china-bri --observed counts-2022.csv")
def score(
    name: Name,
    observed: Annotated[
        Path, typer.Option(help="observed counts: year, country_a, country_b, works")
    ],
    as_json: Json = False,
    experiments: Experiments = EXPERIMENTS,
) -> None:
    """Score a forecast against observed counts: coverage, errors, baselines, largest errors."""
    from mlcoop.artefacts import plain, read_table
    from mlcoop.forecast.hindsight import score_forecast
    from mlcoop.schema import PAIR_YEAR
    from mlcoop.sources.own.observed import read_observed
    from mlcoop.terminal import forecast as terminal

    experiment = _read(name, experiments)
    forecast = _needed(experiment.forecast, experiment, "forecast.csv")
    counts = read_observed(observed, experiment)
    panel = Path(experiment.folder) / "panel.parquet"
    history = None
    if panel.is_file():
        history = read_table(panel)[[*PAIR_YEAR, "works"]].drop_duplicates(PAIR_YEAR)
    found = score_forecast(forecast, counts, history, where=str(observed))
    if as_json:
        print_json(plain(found.to_dict()))
    else:
        terminal.print_hindsight(experiment, found)


def _read(name: str, experiments: Path) -> Experiment:
    from mlcoop.experiments import find_finished, read_experiment

    return read_experiment(find_finished(name, experiments))


def _needed(table: pd.DataFrame | None, experiment: Experiment, file: str) -> pd.DataFrame:
    from mlcoop.schema import NOT_FORECAST

    if table is None or (table.empty and file != "surprises.csv"):
        for warning in experiment.coverage.get("warnings", []):
            if warning.startswith(NOT_FORECAST):
                raise DataError(f"{experiment.folder}: holds no {file}. {warning}")
        sections = ["evaluation"] if file == "surprises.csv" else ["evaluation", "forecast"]
        off = [s for s in sections if not (experiment.config.get(s) or {}).get("enabled", True)]
        if off:
            on = " and ".join(f"{s}.enabled=true" for s in off)
            raise DataError(
                f"{experiment.folder}: was run without {file}; set {on} and run it again"
            )
        raise DataError(
            f"{experiment.folder}: holds no {file}; run its config again (with --force if the "
            "folder was shared without its tables of counts)"
        )
    return table


def _ahead(table: pd.DataFrame, horizon: int | None) -> pd.DataFrame:
    """Return the rows of one year ahead, or all."""
    from mlcoop.forecast.origins import fewest_years

    if horizon is None:
        return table
    years = sorted(int(y) for y in table["year"].unique())
    if horizon > len(years):
        raise ConfigError(
            f"--horizon {horizon}: this study forecasts only {len(years)} ahead; set "
            f"forecast.horizon={horizon} and run it again, with {fewest_years(horizon)} years of "
            "counts or more"
        )
    return table[table["year"] == years[horizon - 1]]


def _play(experiment: Experiment, forecast: pd.DataFrame, path: Path, models: Path) -> Any:
    from mlcoop.scenario.file import find_moves, read_scenario
    from mlcoop.scenario.model import play_scenario
    from mlcoop.scenario.store import factors_above_null, read_scenario_model

    scenario = read_scenario(path)
    model = read_scenario_model(experiment, models)
    # A file may name years that --horizon leaves out.
    assert experiment.forecast is not None
    years = sorted(int(y) for y in experiment.forecast["year"].unique())
    own = experiment.coverage.get("institution")
    moves = find_moves(scenario, model.features, model.rows, years, str(path), own)
    return play_scenario(scenario, model, forecast, moves, factors_above_null(experiment))
