"""`mlcoop factors`: the catalogue, and a factor's coverage and distribution in a study."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlcoop.cli.shared import EXPERIMENTS, Experiments, Json, print_json
from mlcoop.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mlcoop.features.distribution import Distribution
    from mlcoop.features.factor import Factor
    from mlcoop.schema import Experiment

EPILOG = "Example: mlcoop factors distance --experiment china-bri --picture distance.svg"
FIELDS = (
    *("name", "label", "group", "unit", "source", "role", "inputs", "lag", "carry", "sign"),
    *("kind", "default", "definition", "reference"),
)
PICTURES = (".png", ".svg")
NETWORK = "network_position"


def factors(
    name: Annotated[str | None, typer.Argument(help="a factor or a group; default: all")] = None,
    experiment: Annotated[
        str | None, typer.Option(help="show coverage and distribution in this experiment")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="the same, for the experiment of this config")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="write one factor's distribution as PNG or SVG")
    ] = None,
    as_json: Json = False,
    experiments: Experiments = EXPERIMENTS,
) -> None:
    """List the factor catalogue, or show one factor and its distribution over a study's pairs."""
    from mlcoop.features.catalogue import FACTORS, select_factors
    from mlcoop.forecast.network import POSITIONS
    from mlcoop.terminal.factors import print_factors, print_positions

    positions = [p for p in POSITIONS if name in (None, NETWORK, p.name)]
    alone = name is not None and bool(positions)
    network = [NETWORK, *(p.name for p in POSITIONS)]
    chosen = [] if alone else select_factors([name or "all"], where="", also=network)
    whole = name in FACTORS
    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise ConfigError(f"--picture {picture}: give a file that ends in .png or .svg")
    study = _study(experiment, config, experiments)
    if picture is not None and (study is None or not whole):
        raise ConfigError("--picture: needs the name of one factor and --experiment or --config")
    if alone and study is not None:
        print(
            f"{name}: recomputed at every forecast origin and used only by the forecast model; a "
            "study keeps no distribution of it",
            file=sys.stderr,
        )
    known = None if study is None else _known(study)
    spread = []
    if study is not None and whole:
        try:
            spread = _spread(study, chosen[0])
        except DataError as error:
            # Its definition can be shown all the same; a picture cannot.
            if picture is not None:
                raise
            print(error, file=sys.stderr)
    if picture is not None and study is not None:
        _draw(picture, chosen[0], spread, study.name)
    if as_json:
        documents = [
            {field: getattr(f, field) for field in FIELDS}
            | ({"coverage": known.get(f.name, {})} if known is not None else {})
            | ({"distribution": [_document(d) for d in spread]} if spread else {})
            for f in chosen
        ]
        documents += [
            {"name": p.name, "label": p.label, "group": NETWORK, "unit": p.unit, "role": "pair"}
            | {"forecast_only": True, "definition": p.definition, "reference": p.reference}
            for p in positions
        ]
        print_json(documents)
    else:
        if chosen:
            print_factors(chosen, whole=whole, known=known, spread=spread)
        if positions:
            print_positions(positions, whole=name not in (None, NETWORK))


def _study(name: str | None, config: Path | None, experiments: Path) -> Experiment | None:
    from mlcoop.config_file import load_config
    from mlcoop.experiments import find_finished, read_experiment

    if name is not None and config is not None:
        raise ConfigError("--experiment and --config: give one of them")
    if config is not None:
        name = load_config(config).name
    if name is None:
        return None
    return read_experiment(find_finished(name, experiments), tables=())


def _known(study: Experiment) -> dict[str, dict[str, float]]:
    """Return the share of focus rows with data, by catalogue factor and by feature."""
    known: dict[str, dict[str, float]] = {}
    for row in study.coverage.get("factors") or []:
        feature = str(row["factor"])
        factor = feature.removesuffix(f"_{row['role']}") if row.get("role") else feature
        known.setdefault(factor, {})[feature] = float(row["coverage"])
    return known


def _spread(study: Experiment, factor: Factor) -> list[Distribution]:
    from mlcoop.artefacts import read_table
    from mlcoop.features.distribution import distributions

    path = Path(study.folder) / "panel.parquet"
    if not path.is_file():
        raise DataError(
            f"{path}: missing, and the distribution is computed from it; run the study's config "
            "again with --force"
        )
    focal = (study.config.get("focus") or {}).get("focal")
    return distributions(
        read_table(path), factor, focal=focal, countries=list(study.coverage["countries"])
    )


def _draw(path: Path, factor: Factor, spread: list[Distribution], study: str) -> None:
    from mlcoop.files import write_output
    from mlcoop.report.figures import draw_distribution

    write_output(path, draw_distribution(factor, spread, study, path.suffix.lower()[1:]))
    print(f"written: {path}", file=sys.stderr)


def _document(spread: Distribution) -> dict[str, Any]:
    from mlcoop.artefacts import plain

    return plain(
        {
            "feature": spread.feature,
            "rows": spread.rows,
            "known": spread.known,
            "quantiles": {f"{level:g}": value for level, value in spread.quantiles.items()},
            "bars": spread.bars.to_dict("records"),
        }
    )
