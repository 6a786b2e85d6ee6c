"""What the explorer asks of a stored model: a pair's factors as they are, and its forecast moved.

Nothing is computed here that `mlcoop forecast --scenario` does not compute: the choices on the page
become a scenario, and the same functions play it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlcoop.report.names import country_name
from mlcoop.report.units import feature_unit, natural
from mlcoop.scenario.file import Change, Scenario, find_moves, scale_of
from mlcoop.scenario.model import Outcome, ScenarioModel, play_scenario


@dataclass(frozen=True)
class Knob:
    """A factor of one pair that can be moved, on its natural scale (dollars, not logarithms).

    Attributes
    ----------
    name, label, unit : str
    factor : str
        What a scenario calls it, with `country` where it is the figure of one of two alike.
    now : float or None
        Its value for the year to be forecast; None when it is not known.
    low, high : float
        The range of the data that the model learnt from.
    """

    name: str
    label: str
    unit: str
    factor: str
    country: str | None
    now: float | None
    low: float
    high: float


def knobs(model: ScenarioModel, pair: tuple[str, str]) -> dict[str, Knob]:
    """Return the factors of a pair by feature name, in the model's order."""
    rows = model.rows
    row = rows[(rows["country_a"] == pair[0]) & (rows["country_b"] == pair[1])].iloc[0]
    found = {}
    for feature in model.features:
        name, unit = str(feature["name"]), feature_unit(feature)
        there, _ = scale_of(unit)
        low, now, high = there(
            np.array([feature["low"], row[name], feature["high"]], dtype=float)
        ).tolist()
        known = now if np.isfinite(now) else None
        words = natural(float(feature["low"]), unit)[1]
        label, factor, country = str(feature["label"]), name, None
        if feature["role"] == "both":
            # Without a focal country rows look both ways: only a name says whose figure it is.
            country = str(row["partner" if name.endswith("_partner") else "focal"])
            label, factor = f"{label}, {country_name(country)}", str(feature["factor"])
        found[name] = Knob(
            name=name,
            label=label,
            unit=words,
            factor=factor,
            country=country,
            now=known,
            low=low,
            high=high,
        )
    return found


def play(
    model: ScenarioModel,
    forecast: pd.DataFrame,
    pair: tuple[str, str],
    values: Mapping[str, float],
    above_null: Collection[str] | None = None,
) -> Outcome:
    """Return a pair's forecast as it is and with some of its factors set to other values.

    `above_null` as in `play_scenario`.

    Raises
    ------
    ConfigError, DataError
        From `find_moves` and `play_scenario`, when the pair or a factor is not in the study.
    """
    where = "-".join(pair)
    there = knobs(model, pair)
    changes = [
        Change(factor=there[name].factor, countries=there[name].country, pairs=where, set=value)
        for name, value in values.items()
    ]
    scenario = Scenario(title=where, changes=changes)
    years = sorted(int(y) for y in forecast["year"].unique())
    moves = find_moves(scenario, model.features, model.rows, years, "what if")
    return play_scenario(scenario, model, forecast, moves, above_null)
