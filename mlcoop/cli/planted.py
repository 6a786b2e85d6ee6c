"""`mlcoop simulate`: simulated worlds with planted drivers, and the power of a study."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlcoop.cli.progress import progress_shown
from mlcoop.cli.shared import (
    Json,
    Workers,
    core_count,
    load_plan,
    new_client,
    print_json,
    today_utc,
)

if TYPE_CHECKING:
    from mlcoop.plan import Plan
    from mlcoop.simulate.recipes import Recipe

EPILOG = "Example: mlcoop simulate --like configs/quickstart.yaml --worlds 4"


def simulate(
    kind: Annotated[str, typer.Argument(help="a kind of world; --kinds lists them")] = "mixed",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path, typer.Option(help="CSV file of the panel")] = Path("world.csv"),
    kinds: Annotated[
        bool, typer.Option("--kinds", help="list the kinds and what can be set, and stop")
    ] = False,
    drivers: Annotated[
        str,
        typer.Option(metavar="FACTOR,FACTOR", help="the true drivers, most important first"),
    ] = "",
    like: Annotated[
        Path | None,
        typer.Option(metavar="CONFIG", help="print the statistical power of a study of its size"),
    ] = None,
    member: Annotated[
        str, typer.Option(metavar="NAME", help="with --like a family: the member that is meant")
    ] = "",
    worlds: Annotated[
        int, typer.Option(min=2, help="with --like: number of simulated worlds")
    ] = 20,
    works: Annotated[
        float | None, typer.Option(min=0.01, help="with --like: mean works per pair and year")
    ] = None,
    pair_noise: Annotated[
        float | None,
        typer.Option(min=0, help="with --like: s.d. of persistent pair effects (log scale)"),
    ] = None,
    overrides: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="KEY=VALUE", help="override a setting of the kind; with --like, a key"
        ),
    ] = [],  # noqa: B006
    force: Annotated[
        bool, typer.Option("--force", help="overwrite the files of another world")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Write a planted world: a panel whose true drivers are known, and a config that ranks it.

    Countries, their distances, borders, languages, blocs and populations are real; other factors
    and all counts are simulated. A kind sets how; --set changes it (pair_noise=0.8, dispersion=1,
    mean_works=0.5, shapes=threshold, collinear=0.9 with twins=4 ...).

    With --like, write nothing: rank planted worlds of the size of a config's study, and print its
    statistical power, that is which effects it would detect and which orders of factors it would
    establish. Uses no online source. A world takes about 6 s for 60 pairs and 15 factors, 40 s
    with thousands of training pairs.
    """
    from mlcoop.artefacts import to_bytes
    from mlcoop.config_file import apply_override
    from mlcoop.errors import ConfigError, some
    from mlcoop.files import write_output, writing

    chosen = [name.strip() for name in drivers.split(",") if name.strip()]
    if like is not None:
        if chosen:
            raise ConfigError(
                "--drivers: only for a world that is written; leave it out with --like"
            )
        _power(
            _plan_like(like, overrides, member), worlds, works, pair_noise, seed, workers, as_json
        )
        return
    for option, given, mend in (
        ("--member", member or None, "leave it out"),
        ("--works", works, f"write --set mean_works={works}"),
        ("--pair-noise", pair_noise, f"write --set pair_noise={pair_noise}"),
    ):
        if given is not None:
            raise ConfigError(f"{option} {given}: needs --like; for a world's files {mend}")
    from mlcoop.simulate.recipes import RECIPES, recipe_with
    from mlcoop.simulate.world import simulate_world

    settings = _settings(RECIPES.get(kind, RECIPES["linear"]))
    if kinds and as_json:
        labels = {name: recipe.label for name, recipe in RECIPES.items()}
        print_json({"kinds": labels, "settings": settings})
        return
    if kinds:
        for name, recipe in RECIPES.items():
            print(f"{name:12} {recipe.label}")
        print("\nsettings that --set can change, with their values for the chosen kind:")
        for name, value in settings.items():
            print(f"{name:14} {value}")
        return
    truth = out.with_name(f"{out.stem}-truth.csv")
    config = out.with_suffix(".yaml")
    if out == config:
        raise ConfigError(f"--out {out}: that name is for the panel's config; end yours in .csv")
    with writing(out):
        there = [path for path in (out, truth, config) if path.exists()]
    if there and not force:
        raise ConfigError(
            f"{some(there)}: exists already; choose another --out, or --force to overwrite"
        )
    changes: dict[str, Any] = {}
    for override in overrides:
        changes = apply_override(changes, override, settings)
    recipe_with(kind, changes)  # refuses `seed` and `kind`, too, which the call takes itself
    world = simulate_world(kind, seed=seed, chosen=chosen or None, **changes)
    for path, content in (
        (out, world.panel),
        (truth, world.truth),
        (config, _world_config(out, world.factors)),
    ):
        write_output(path, to_bytes(content, path.name))
    written = {"panel": str(out), "truth": str(truth), "config": str(config)}
    print_json(written) if as_json else print("\n".join(written.values()))


def _plan_like(path: Path, overrides: list[str], member: str) -> Plan:
    """Return the plan of a study, or that of the one member of a family that is meant."""
    from mlcoop.errors import ConfigError, some
    from mlcoop.family.file import load_family
    from mlcoop.plan import make_plan

    family = load_family(path, overrides)
    if family is None:
        if member:
            raise ConfigError(f"--member {member}: {path} is one study, no family; leave it out")
        plan = load_plan(path, overrides)
    else:
        configs = {m.label: m.config for m in family.members}
        if member not in configs:
            told = f'has no "{member}"' if member else "is a family"
            raise ConfigError(
                f"{path}, vary: {told}; give with --member the one that is meant: {some(configs)}"
            )
        plan = make_plan(configs[member], str(path), path.parent)
    if plan.config.focus.institution is not None:
        raise ConfigError(
            f"{path}, focus.institution: a planted world has countries only; ask of one with the "
            "same partners, such as --set focus.institution=null --set focus.focal=KOR "
            "--set focus.partners=asean --set training.pairs=focus"
        )
    return plan


def _power(
    plan: Plan,
    worlds: int,
    works: float | None,
    pair_noise: float | None,
    seed: int,
    workers: int | None,
    as_json: bool,
) -> None:
    from mlcoop.assemble import assemble, gather_request
    from mlcoop.likeness import study_like
    from mlcoop.power import power_analysis, surroundings_of
    from mlcoop.sources.counted import read_own
    from mlcoop.terminal.power import print_power

    config, today = plan.config, today_utc()
    with progress_shown() as shown:
        shown.start("covariates", "rows and factors of a study of this size")
        notes: tuple[str, ...] = ()
        if config.panel is not None:
            matrix = assemble(plan, new_client(), today=today).matrix
        else:
            own = read_own(gather_request(plan, today)) if plan.path is not None else None
            found = study_like(plan, this_year=today.year, seed=seed, own=own)
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
            workers=workers or core_count(),
            progress=shown.step,
            notes=notes,
        )
    if as_json:
        print_json(power.to_dict())
    else:
        print_power(power)


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Return what --set can change, each with its value as --set takes it."""
    return {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in asdict(recipe).items()
        if name != "label"
    }


def _world_config(panel: Path, factors: tuple[str, ...]) -> str:
    return (
        f"name: {panel.stem}\npanel:\n  path: {panel.name}\n  pair: [i, j]\n  year: year\n"
        f"  target: y\n  exposure: exposure\n  factors: [{', '.join(factors)}]\n"
    )
