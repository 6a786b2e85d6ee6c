"""Backtest, intervals and forecasts of an experiment to the plain values of a summary."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlcoop.report.names import filled, optional, pair_name, set_name, told_apart
from mlcoop.report.numbers.content_forecast import Calibration, Expected, Held, SetErrors
from mlcoop.report.numbers.gather import need
from mlcoop.schema import BASELINES, FORECAST_CSV, Experiment

UNDECIDED = "undecided"


def focus_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the focus set: a study reports on it, and trains on more."""
    return table[table["in_focus"].astype(bool)] if "in_focus" in table else table


def set_errors(experiment: Experiment) -> tuple[SetErrors, ...]:
    """Return the errors of model and baselines for every set, from `metrics` or the backtest."""
    metrics = experiment.metrics.get("forecast") or {}
    sets = metrics.get("sets") or {}
    by_year: dict[str, dict[int, dict[str, float]]] = {}
    for row in metrics.get("by_year") or []:
        wape = optional(row.get("wape"))
        if wape is not None:
            years = by_year.setdefault(str(row["set"]), {})
            years.setdefault(int(row["year"]), {})[str(row["method"])] = wape
    if not sets and not by_year and filled(experiment.backtest):
        by_year["backtest"] = _wape_by_year(experiment.backtest)
    result = []
    for name in told_apart({s: (sets.get(s), by_year.get(s)) for s in {*sets, *by_year}}):
        years = dict(sorted(by_year.get(name, {}).items()))
        errors = {
            method: float(values["wape"])
            for method, values in (sets.get(name) or {}).items()
            if optional((values or {}).get("wape")) is not None
        } or _means(years)
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
                label="backtested pairs" if name == "backtest" else set_name(name),
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


def _wape_by_year(backtest: pd.DataFrame) -> dict[int, dict[str, float]]:
    known = focus_rows(backtest).dropna(subset=["observed"])
    methods = {"model": "predicted", **{b: b for b in BASELINES if b in known}}
    result: dict[int, dict[str, float]] = {}
    for year, part in known.groupby("year"):
        total = part["observed"].sum()
        if total > 0:
            result[int(str(year))] = {
                method: float((part[column] - part["observed"]).abs().sum() / total)
                for method, column in methods.items()
                if part[column].notna().all()
            }
    return result


def _means(by_year: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    methods = sorted({m for year in by_year.values() for m in year})
    return {
        m: float(np.mean([year[m] for year in by_year.values()]))
        for m in methods
        if all(m in year for year in by_year.values())
    }


def calibration(experiment: Experiment) -> tuple[Calibration, ...]:
    """Return how often intervals held, by set and year, from `metrics` or the backtest."""
    metrics = experiment.metrics.get("forecast") or {}
    held = metrics.get("coverage") or {}
    level = optional(metrics.get("level")) or forecast_level(experiment)
    result = []
    for name in told_apart(held):
        part = held[name] or {}
        years = {int(y): optional(v) for y, v in (part.get("by_year") or {}).items()}
        result.append(
            Calibration(
                key=name,
                label=set_name(name),
                level=level,
                mean=optional(part.get("mean")),
                width=optional(part.get("width_share")),
                by_year={y: v for y, v in sorted(years.items()) if v is not None},
            )
        )
    if not result and filled(experiment.backtest):
        known = focus_rows(experiment.backtest).dropna(subset=["observed", "lower", "upper"])
        inside = known["observed"].between(known["lower"], known["upper"])
        if len(known):
            by_year = {int(y): float(v) for y, v in inside.groupby(known["year"]).mean().items()}
            mean = float(inside.mean())
            width = float((known["upper"] - known["lower"]).sum() / known["observed"].sum())
            result.append(Calibration("backtest", "backtested pairs", level, mean, width, by_year))
    return tuple(result)


def forecast_level(experiment: Experiment) -> float:
    """Return the level of the forecast's intervals."""
    if filled(experiment.forecast):
        return float(experiment.forecast["level"].iloc[0])
    return optional((experiment.config.get("forecast") or {}).get("level")) or 0.9


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
