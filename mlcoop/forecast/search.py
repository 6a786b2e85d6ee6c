"""The search for the boosted experts' parameters, inside training years."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlcoop.errors import DataError
from mlcoop.forecast.experts import (
    DEFAULTS,
    EXPERTS,
    TrainingSet,
    fit_expert,
    space,
    to_works,
    training_set,
)
from mlcoop.forecast.growth import expect_common, growth_features, measure_growth
from mlcoop.forecast.history import build_history
from mlcoop.forecast.origins import first_origin

FOLDS = 3
HORIZON = 1  # year ahead; the settings serve every horizon
MOST_ROWS = 12_000  # training rows of a fold; larger pairs are likelier to be drawn


@dataclass(frozen=True)
class TuningProblem:
    """What `mlcoop.model.tuning.tune` needs: `space(trial)`, `fold_scores(params)`, defaults."""

    space: Callable[[Any], dict[str, Any]]
    fold_scores: Callable[[Mapping[str, Any]], Iterator[float]]
    defaults: dict[str, Any]
    folds: tuple[int, ...]


def tuning_problem(
    history: pd.DataFrame,
    focus: pd.DataFrame | None,
    *,
    before: int,
    seed: int = 0,
) -> TuningProblem:
    """Return the search for the boosted experts' parameters, inside training years.

    Parameters
    ----------
    before : int
        First reported origin; the `FOLDS` are the last origins whose outcome is known by then.

    Notes
    -----
    A fold's score is the WAPE of the boosted expert that weighs large pairs less, averaged over
    all pairs and (where it is part of them) the focus, of forecasts `HORIZON` ahead.
    """
    panel = build_history(history, focus).until(before)
    growth = measure_growth(panel)
    first, known = first_origin(len(panel.years)), set(panel.observed_years)
    possible = range(first + HORIZON, len(panel.years) - HORIZON)
    origins = [k for k in possible if {panel.years[k], panel.years[k + HORIZON]} <= known][-FOLDS:]
    if not origins:
        raise DataError(
            f"tuning: the years to {before} leave no origin to tune on; give more years or "
            "set tuning.enabled=false"
        )
    expert = EXPERTS["boosted_even"]
    rng = np.random.default_rng(seed)
    prepared = []
    for k in origins:
        data = training_set(growth, k, HORIZON)
        if len(data.target) > MOST_ROWS:
            chance = np.sqrt(data.last + 1)
            keep = np.sort(
                rng.choice(len(chance), size=MOST_ROWS, replace=False, p=chance / chance.sum())
            )
            data = TrainingSet(
                data.X.iloc[keep], data.target[keep], data.last[keep], data.recency[keep]
            )
        prepared.append((k, data, growth_features(growth, k)))

    def fold_scores(params: Mapping[str, Any]) -> Iterator[float]:
        for k, data, now in prepared:
            fit = fit_expert(expert, data, HORIZON, params, seed + k)
            predicted = to_works(
                fit.predict(now) + expect_common(growth, k, HORIZON), growth.counts[:, k]
            )
            observed = panel.counts[:, k + HORIZON]
            use = np.isfinite(predicted) & np.isfinite(observed)
            losses = []
            for at in (use, use & panel.in_focus):
                if observed[at].sum() > 0:
                    wape = np.abs(predicted - observed)[at].sum() / observed[at].sum()
                    losses.append(float(wape))
            yield float(np.mean(losses)) if losses else 0.0

    return TuningProblem(
        space, fold_scores, dict(DEFAULTS), tuple(int(panel.years[k]) for k in origins)
    )
