"""A study of an institution as the pages name it: by its name where the files hold its code."""

from __future__ import annotations

from dataclasses import replace

from mlcoop.schema import PAIR, Experiment


def named(experiment: Experiment) -> Experiment:
    """Return the experiment with the institution's name in place of its code in the panel.

    A study of countries comes back as it is.
    """
    institution = experiment.coverage.get("institution")
    if not institution:
        return experiment
    code, name = str(institution["code"]), str(institution["name"])
    tables = {}
    for key in ("backtest", "forecast"):
        table = getattr(experiment, key)
        if table is not None:
            tables[key] = table.assign(**{end: table[end].replace(code, name) for end in PAIR})
    countries = [c for c in experiment.coverage.get("countries") or [] if c != code]
    return replace(
        experiment,
        config={
            **experiment.config,
            "focus": {**(experiment.config.get("focus") or {}), "focal": name},
        },
        coverage={**experiment.coverage, "countries": countries},
        **tables,
    )


def home(experiment: Experiment) -> str | None:
    """Return the country of the study's institution, or None in a study of countries."""
    institution = experiment.coverage.get("institution")
    return str(institution["country"]) if institution else None
