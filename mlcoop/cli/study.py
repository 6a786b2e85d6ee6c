"""`mlcoop run`: carry out a study or a family of them or, with --dry-run, show the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlcoop.cli.progress import progress_shown
from mlcoop.cli.shared import (
    EXPERIMENTS,
    MODELS,
    ConfigPath,
    DryRun,
    Experiments,
    Json,
    Models,
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

if TYPE_CHECKING:
    import pandas as pd

    from mlcoop.config import Config
    from mlcoop.family.file import Family
    from mlcoop.plan import Plan
    from mlcoop.schema import Experiment
    from mlcoop.sources.service.http import Client

EPILOG = "Example: mlcoop run configs/quickstart.yaml --set tuning.trials=10"


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
    """Run a study, or a family of them, into experiments/ and models/; resume an interrupted run.

    A config with a `vary:` section is a family: its members run one after the other, followed by
    their comparison.
    """
    from mlcoop.family.file import load_family

    client = new_client()
    family = load_family(config, overrides)
    if family is not None:
        from mlcoop.plan import plan_family

        plans = plan_family(family, str(config), config.parent)
        if dry_run:
            _dry_run_family(family, plans, client, experiments, models, as_json)
            return
        from mlcoop.run_family import run_family
        from mlcoop.terminal.comparison import print_comparison

        with progress_shown() as terminal:
            comparison = run_family(
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
        print_json(comparison.to_dict()) if as_json else print_comparison(comparison)
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
            terminal.note(f"{root}: already finished with the same config; --force runs it again")
    _print_experiment(experiment, as_json)


def _dry_run_family(
    family: Family,
    plans: list[Plan],
    client: Client,
    experiments: Path,
    models: Path,
    as_json: bool,
) -> None:
    from mlcoop.artefacts import plain
    from mlcoop.terminal.tables import print_table

    members = {
        plan.config.name: {
            "sets": member.sets,
            **_dry_run(plan, client, experiments, models, must_rank=True),
        }
        for member, plan in zip(family.members, plans, strict=True)
    }
    place = str(experiments / family.name)
    if as_json:
        print_json(plain({"name": family.name, "members": members, "files": place}))
    else:
        print(f"family {family.name}: {len(members)} members, compared in {place}")
        print_table(_members_table(plain(members)))


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


def _dry_run(
    plan: Plan, client: Client, experiments: Path, models: Path, *, must_rank: bool = False
) -> dict[str, Any]:
    from mlcoop.artefacts import plain
    from mlcoop.assemble import gather_request, look_at_own_file, refuse_without_imports
    from mlcoop.sources.gather import plan as count_requests

    plan = look_at_own_file(plan, must_rank=must_rank)
    config = plan.config
    request = None
    if plan.asks_services:
        refuse_without_imports(plan, client)
        request = gather_request(plan, today_utc())
    return plain(
        {
            "name": config.name,
            "focus": _focus_words(plan),
            "years": "as in the file"
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
    """Return how many factors will be ranked, if none is left out for lack of data."""
    if plan.config.panel is not None:
        return len(plan.config.panel.factors)
    # With a country that all pairs share, a national factor is ranked for it and for the partner.
    ends = 2 if plan.focal or plan.config.focus.institution else 1
    return sum(ends if factor.role == "country" else 1 for factor in plan.factors)


def _focus_words(plan: Plan) -> str:
    one, partners = plan.focal or plan.config.focus.institution, len(plan.partners)
    if one:
        return f"{one} and {partners} partners" if partners else f"{one} and all its partners"
    return f"all pairs of {partners} countries" if partners else "all pairs"


def _years_ahead(config: Config) -> dict[str, Any]:
    """Return how many years ahead will be forecast, and why fewer than asked, if known."""
    import numpy as np

    from mlcoop.forecast.origins import forecast_horizons
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
                "dimensions": records(experiment.dimensions),
                "witnesses": records(experiment.witnesses),
                "forecast": records(experiment.forecast),
                "metrics": experiment.metrics,
            }
        )
    else:
        print_experiment(experiment)
