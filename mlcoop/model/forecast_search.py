"""The search for the boosted experts' parameters, inside training years."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlcoop.errors import DataError
from mlcoop.model.forecasters import (
    DEFAULTS,
    EXPERTS,
    TrainingSet,
    fit_expert,
    space,
    to_works,
    training_set,
)
from mlcoop.model.growth import expect_common, growth_features, measure_growth
from mlcoop.model.history import build_history
from mlcoop.model.origins import first_origin


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
    horizon: int = 1,
    seed: int = 0,
    folds: int = 3,
    rows: int = 12_000,
) -> TuningProblem:
    """Return the search for the boosted experts' parameters, inside training years.

    Parameters
    ----------
    before : int
        First reported origin; the folds are the last origins whose outcome is known by then.
    rows : int
        Training rows of a fold at most; the largest pairs are always kept.

    Notes
    -----
    A fold's score is the WAPE of the boosted expert that weighs large pairs less, averaged over
    all pairs and (where it is part of them) the focus.
    """
    panel = build_history(history, focus).until(before)
    growth = measure_growth(panel)
    first, known = first_origin(len(panel.years)), set(panel.observed_years)
    possible = range(first + horizon, len(panel.years) - horizon)
    origins = [k for k in possible if {panel.years[k], panel.years[k + horizon]} <= known][-folds:]
    if not origins:
        raise DataError(
            f"tuning: the years to {before} leave no origin to tune on; give more years or "
            "set tuning.enabled=false"
        )
    expert = EXPERTS["boosted_even"]
    rng = np.random.default_rng(seed)
    prepared = []
    for k in origins:
        data = training_set(growth, k, horizon)
        if len(data.target) > rows:
            chance = np.sqrt(data.last + 1)
            keep = np.sort(
                rng.choice(len(chance), size=rows, replace=False, p=chance / chance.sum())
            )
            data = TrainingSet(
                data.X.iloc[keep], data.target[keep], data.last[keep], data.recency[keep]
            )
        prepared.append((k, data, growth_features(growth, k)))

    def fold_scores(params: Mapping[str, Any]) -> Iterator[float]:
        for k, data, now in prepared:
            fit = fit_expert(expert, data, horizon, params, seed + k)
            predicted = to_works(
                fit.predict(now) + expect_common(growth, k, horizon), growth.counts[:, k]
            )
            observed = panel.counts[:, k + horizon]
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
