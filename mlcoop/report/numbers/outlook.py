"""What a study says beside single forecasts: sums, surprises, farther years, coverage by size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mlcoop.report.names import (
    filled,
    from_percent,
    method_name,
    optional,
    pair_name,
    percent,
    set_name,
    told_apart,
    total_name,
)
from mlcoop.report.numbers.content_forecast import Calibration, SetErrors
from mlcoop.schema import Experiment

SIZES = {
    "size_half": "the smaller half",
    "size_30pct": "the next 30 %",
    "size_15pct": "the next 15 %",
    "size_5pct": "the largest 5 %",
}
MOST_SURPRISES = 200


@dataclass(frozen=True)
class Total:
    """A sum of forecasts with its joint interval."""

    key: str
    label: str
    year: int
    predicted: float
    lower: float
    upper: float
    level: float


@dataclass(frozen=True)
class Surprise:
    """A pair whose last count fell outside its interval; changes are relative (0.05 is 5 %)."""

    a: str
    b: str
    label: str
    year: int
    observed: float
    predicted: float
    lower: float
    upper: float
    change: float | None
    expected: float | None
    shared: float | None
    factors: str


@dataclass(frozen=True)
class Ahead:
    """Errors and coverage so many years ahead, on one set of pairs."""

    horizon: int
    key: str
    label: str
    origins: int
    error: float
    best: str
    best_error: float
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    coverage: float | None
    width: float | None


@dataclass(frozen=True)
class Outlook:
    """Everything of this module; `lead` says first how the model fares against the best rule."""

    lead: tuple[str, ...] = ()
    totals: tuple[Total, ...] = ()
    surprises: tuple[Surprise, ...] = ()
    horizons: tuple[Ahead, ...] = ()
    by_size: tuple[Calibration, ...] = ()


def gather_outlook(
    experiment: Experiment, errors: Sequence[SetErrors], focal: str | None
) -> Outlook:
    """Return what the folder holds of sums, surprises, farther years and coverage by size."""
    metrics = experiment.metrics.get("forecast") or {}
    lead = [lead_sentence(e) for e in errors if e.key in ("focus", "all") and e.skill is not None]
    return Outlook(
        tuple(lead),
        _totals(experiment.totals),
        _surprises(experiment.surprises, focal),
        _horizons(metrics),
        _by_size(metrics),
    )


def lead_sentence(errors: SetErrors) -> str:
    """Return by how much the model beats the best baseline, or plainly that it does not.

    >>> lead_sentence(SetErrors("all", "all pairs", {}, {}, "drift5", 0.1, 0.04, 0.15, "won"))
    'For all pairs, the forecast beats the best baseline, drift over 5 years: 10.0 % less error \
(90 % interval over origins 4.0 % to 15.0 %).'
    """
    assert errors.skill is not None
    rule = f"the best baseline, {method_name(str(errors.best))}"
    error = f"{percent(abs(errors.skill), 1)} {'less' if errors.skill >= 0 else 'more'} error"
    bounds = skill_bounds(errors)
    if not bounds:
        return (
            f"For {errors.label}, the forecast has {error} than {rule}; no interval was computed, "
            "so no verdict."
        )
    error += f" (90 % interval over origins {bounds})"
    if errors.verdict == "won":
        return f"For {errors.label}, the forecast beats {rule}: {error}."
    if errors.verdict == "lost":
        return f"For {errors.label}, {rule}, beats the forecast: {error}."
    return f"For {errors.label}, the forecast is not distinguishable from {rule}: {error}."


def skill_bounds(errors: SetErrors) -> str:
    """Return the interval of a skill in the direction that its words have; "" without one.

    Words say "35.6 % more error" of a skill of -0.356, so its bounds are turned round with it.

    >>> skill_bounds(SetErrors("all", "all pairs", {}, {}, "drift5", -0.3, -0.5, 0.1, "undecided"))
    '−10.0 % to 50.0 %'
    """
    if errors.skill is None or errors.skill_low is None or errors.skill_high is None:
        return ""
    low, high = errors.skill_low, errors.skill_high
    if errors.skill < 0:
        low, high = -high, -low
    return f"{percent(low, 1)} to {percent(high, 1)}"


def focus_total(outlook: Outlook) -> Total | None:
    """Return the focus set's total of the first year ahead."""
    found = [t for t in outlook.totals if t.key == "focus"]
    return min(found, key=lambda t: t.year) if found else None


def totals_once(totals: pd.DataFrame) -> pd.DataFrame:
    """Return totals without those of all pairs where they are the focus set's.

    >>> rows = [["focus", 2022, 9.0], ["all", 2022, 9.0], ["KOR", 2022, 4.0]]
    >>> list(totals_once(pd.DataFrame(rows, columns=["total", "year", "predicted"]))["total"])
    ['focus', 'KOR']
    """
    sums = [
        totals[totals["total"] == key].set_index("year")["predicted"] for key in ("focus", "all")
    ]
    return totals[totals["total"] != "all"] if sums[0].equals(sums[1]) else totals


def _totals(table: pd.DataFrame | None) -> tuple[Total, ...]:
    if not filled(table):
        return ()
    rows = [
        Total(
            key=str(r["total"]),
            label=total_name(str(r["total"])),
            year=int(r["year"]),
            predicted=float(r["predicted"]),
            lower=float(r["lower"]),
            upper=float(r["upper"]),
            level=float(r["level"]),
        )
        for r in totals_once(table).to_dict("records")
    ]
    sets = {"focus": 0, "all": 1}
    return tuple(sorted(rows, key=lambda t: (sets.get(t.key, 2), t.year, -t.predicted, t.key)))


def _surprises(table: pd.DataFrame | None, focal: str | None) -> tuple[Surprise, ...]:
    if not filled(table):
        return ()
    focus = table[table["in_focus"].astype(bool)]
    return tuple(
        Surprise(
            a=str(r["country_a"]),
            b=str(r["country_b"]),
            label=pair_name(str(r["country_a"]), str(r["country_b"]), focal),
            year=int(r["year"]),
            observed=float(r["observed"]),
            predicted=float(r["predicted"]),
            lower=float(r["lower"]),
            upper=float(r["upper"]),
            change=from_percent(r["change_pct"]),
            expected=from_percent(r["expected_change_pct"]),
            shared=from_percent(r["shared_change_pct"]),
            factors="" if pd.isna(r.get("factors")) else str(r.get("factors") or ""),
        )
        for r in focus.head(MOST_SURPRISES).to_dict("records")
    )


def _horizons(metrics: dict) -> tuple[Ahead, ...]:
    rows = []
    for horizon, part in (metrics.get("horizons") or {}).items():
        for key in (k for k in told_apart(part.get("wape") or {}) if k in ("focus", "all")):
            errors = (part.get("wape") or {}).get(key) or {}
            rivals = {m: e for m, e in errors.items() if m != "model" and e is not None}
            if not rivals or errors.get("model") is None:
                continue
            best = min(rivals, key=lambda m: (rivals[m], m))
            skill = (part.get("skill") or {}).get(key) or {}
            held = (part.get("coverage") or {}).get(key) or {}
            rows.append(
                Ahead(
                    horizon=int(horizon),
                    key=key,
                    label=set_name(key),
                    origins=len(part.get("origins") or ()),
                    error=float(errors["model"]),
                    best=best,
                    best_error=float(rivals[best]),
                    skill=optional(skill.get("value")),
                    skill_low=optional(skill.get("low")),
                    skill_high=optional(skill.get("high")),
                    coverage=optional(held.get("mean")),
                    width=optional(held.get("width_share")),
                )
            )
    return tuple(rows)


def _by_size(metrics: dict) -> tuple[Calibration, ...]:
    held = metrics.get("coverage_by_size") or {}
    return tuple(
        Calibration.read(key, label, metrics["level"], held[key])
        for key, label in SIZES.items()
        if key in held and held[key]["mean"] is not None
    )
