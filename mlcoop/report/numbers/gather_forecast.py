"""Backtest, intervals and forecasts of an experiment to the plain values of a summary."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mlcoop.report.names import filled, optional, pair_name, set_name, told_apart
from mlcoop.report.numbers.content_forecast import Calibration, Expected, Held, SetErrors
from mlcoop.report.numbers.gather import need
from mlcoop.schema import FORECAST_CSV, Experiment

UNDECIDED = "undecided"


def focus_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the focus set: a study reports on it, and trains on more."""
    return table[table["in_focus"].astype(bool)] if "in_focus" in table else table


def set_errors(experiment: Experiment) -> tuple[SetErrors, ...]:
    """Return the errors of model and baselines for every set."""
    metrics = experiment.metrics.get("forecast") or {}
    sets = metrics.get("sets") or {}
    by_year: dict[str, dict[int, dict[str, float]]] = {}
    for row in metrics.get("by_year") or []:
        wape = optional(row.get("wape"))
        if wape is not None:
            years = by_year.setdefault(str(row["set"]), {})
            years.setdefault(int(row["year"]), {})[str(row["method"])] = wape
    result = []
    for name in told_apart({s: (sets.get(s), by_year.get(s)) for s in {*sets, *by_year}}):
        years = dict(sorted(by_year.get(name, {}).items()))
        errors = {
            method: float(values["wape"])
            for method, values in (sets.get(name) or {}).items()
            if optional((values or {}).get("wape")) is not None
        }
        rivals = {m: e for m, e in errors.items() if m != "model"}
        best = min(rivals, key=lambda m: (rivals[m], m)) if rivals else None
        stated = (metrics.get("skill") or {}).get(name) or {}
        skill = optional(stated.get("value"))
        if skill is None and best is not None and "model" in errors and rivals[best] > 0:
            skill = 1 - errors["model"] / rivals[best]
        low, high = optional(stated.get("low")), optional(stated.get("high"))
        result.append(
            SetErrors(
                key=name,
                label=set_name(name),
                errors=errors,
                by_year=years,
                best=str(stated["against"]) if stated.get("against") in rivals else best,
                skill=skill,
                skill_low=low,
                skill_high=high,
                verdict=_verdict(low, high, errors, best),
            )
        )
    return tuple(result)


def _verdict(
    low: float | None, high: float | None, errors: Mapping[str, float], best: str | None
) -> str:
    if best is not None and errors[best] == 0 and errors.get("model", 0.0) > 0:
        return "lost"  # to a rule that was right in every year; no share of its error can be told
    if low is None or high is None:
        return UNDECIDED
    return "won" if low > 0 else "lost" if high < 0 else UNDECIDED


def calibration(experiment: Experiment) -> tuple[Calibration, ...]:
    """Return how often intervals held, by set and year."""
    metrics = experiment.metrics.get("forecast") or {}
    held = metrics.get("coverage") or {}
    return tuple(
        Calibration.read(name, set_name(name), metrics["level"], held[name])
        for name in told_apart(held)
    )


def expected(experiment: Experiment, focal: str | None) -> tuple[Expected, ...]:
    """Return the forecasts of the focus pairs, first year first and largest pair first."""
    table = experiment.forecast
    if not filled(table):
        return ()
    need(table, FORECAST_CSV, "forecast.csv")
    table = focus_rows(table)
    rows = []
    for row in table.sort_values(
        ["year", "predicted", "country_a", "country_b"], ascending=[True, False, True, True]
    ).to_dict("records"):
        last = optional(row["last_observed"])
        rows.append(
            Expected(
                a=str(row["country_a"]),
                b=str(row["country_b"]),
                label=pair_name(str(row["country_a"]), str(row["country_b"]), focal),
                year=int(row["year"]),
                last_year=int(row["last_year"]),
                last_observed=last,
                predicted=float(row["predicted"]),
                lower=float(row["lower"]),
                upper=float(row["upper"]),
                level=float(row["level"]),
                change=float(row["predicted"]) / last - 1 if last else None,
            )
        )
    return tuple(rows)


def past(
    experiment: Experiment, pairs: set[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Held, ...]]:
    """Return what was counted and forecast one year ahead for `pairs`, year by year."""
    table = experiment.backtest
    if not filled(table):
        return {}
    table = table.assign(horizon=table["year"] - table["origin"])
    table = table.sort_values(["year", "horizon"], kind="stable")
    table = table.drop_duplicates(["country_a", "country_b", "year"])
    result: dict[tuple[str, str], tuple[Held, ...]] = {}
    for pair, part in table.groupby(["country_a", "country_b"], sort=True):
        assert isinstance(pair, tuple)
        key = (str(pair[0]), str(pair[1]))
        if key in pairs:
            result[key] = tuple(
                Held(
                    int(row["year"]),
                    optional(row["observed"]),
                    optional(row["predicted"]),
                    optional(row["lower"]),
                    optional(row["upper"]),
                )
                for row in part.to_dict("records")
            )
    return result
