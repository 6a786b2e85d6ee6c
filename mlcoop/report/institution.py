"""A study of an institution as the pages name it: by its name where the files hold its code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from mlcoop.schema import PAIR, Experiment

TABLES = {
    "backtest": PAIR,
    "forecast": PAIR,
    "surprises": PAIR,
    "observed_expected": PAIR,
    "totals": ["total"],
}


def with_name(
    table: pd.DataFrame, experiment: Experiment, columns: Sequence[str] = PAIR
) -> pd.DataFrame:
    """Return a table of a study with its institution, if it has one, by its name."""
    own = experiment.coverage.get("institution")
    if not own:
        return table
    return table.assign(
        **{c: table[c].replace(str(own["code"]), str(own["name"])) for c in columns}
    )


def named(experiment: Experiment) -> Experiment:
    """Return the experiment with the institution's name in place of its code in the panel.

    A study of countries comes back as it is.
    """
    institution = experiment.coverage.get("institution")
    if not institution:
        return experiment
    code, name = str(institution["code"]), str(institution["name"])
    tables = {}
    for key, columns in TABLES.items():
        table = getattr(experiment, key)
        if table is not None:
            tables[key] = with_name(table, experiment, columns)
    ranking = dict(experiment.metrics.get("ranking") or {})

    def ends(pair: Sequence[str]) -> list[str]:
        return [name if end == code else end for end in pair]

    if ranking:
        ranking["apart"] = [ends(p) for p in ranking.get("apart") or []]
        ranking["spells"] = [{**s, "pair": ends(s["pair"])} for s in ranking.get("spells") or []]
    countries = [c for c in experiment.coverage.get("countries") or [] if c != code]
    return replace(
        experiment,
        config={
            **experiment.config,
            "focus": {**(experiment.config.get("focus") or {}), "focal": name},
        },
        coverage={**experiment.coverage, "countries": countries},
        metrics={**experiment.metrics, "ranking": ranking} if ranking else experiment.metrics,
        **tables,
    )


def home(experiment: Experiment) -> str | None:
    """Return the country of the study's institution, or None in a study of countries."""
    institution = experiment.coverage.get("institution")
    return str(institution["country"]) if institution else None
