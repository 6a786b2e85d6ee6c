"""The answer, and how far to trust it: sentences made from the numbers.

Every sentence speaks of association and carries its uncertainty, or says that none was computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcoop.errors import lower_first
from mlcoop.report.names import (
    country_name,
    in_quotes,
    listing,
    method_name,
    number,
    pair_name,
    percent,
    small_percent,
    span,
)
from mlcoop.report.numbers.content import Planted, Ranked
from mlcoop.report.numbers.content_forecast import Calibration, Expected, Held, SetErrors
from mlcoop.report.numbers.outlook import skill_bounds

NOT_CAUSE = (
    "The ranking describes association, not cause: it shows which factors are associated with "
    "collaboration, not what would happen if one were changed."
)


def ranking_sentence(factors: Sequence[Ranked], level: float, simulated: bool) -> str:
    """Return which factor leads, with its intervals, and how many are above the null line."""
    first, of = factors[0], len(factors)
    told = sum(f.above_null for f in factors)
    return (
        f"{'In this simulated world, ' if simulated else ''}{in_quotes(first.label)} ranks "
        f"first by association with collaboration. It accounts for {small_percent(first.share)} of "
        f"the total importance of {of} factors ({_interval(first, level)}) and has "
        f"{_rank(first, of, level)}: {_order(first, factors, 'factor', level)}. Of the {of} "
        f"factors, {_are(told)} distinguishable from chance (at a false discovery rate of "
        f"{percent(1 - level)})."
    )


def _are(count: int) -> str:
    return f"{count or 'none'} {'is' if count < 2 else 'are'}"


def _interval(row: Ranked, level: float) -> str:
    return f"{percent(level)} interval {_bounds(row)}"


def _bounds(row: Ranked) -> str:
    return span(row.share_low, row.share_high, small_percent)


def _rank(row: Ranked, of: int, level: float) -> str:
    return f"rank {span(row.rank_low, row.rank_high)} of {of} ({percent(level)} confidence set)"


def dimension_sentence(dimensions: Sequence[Ranked], level: float) -> str:
    """Return the share of every dimension with its interval, and which may come first."""
    first, *rest = dimensions
    text = (
        f"By dimension, {_in_sentence(first)} ranks first ({small_percent(first.share)} of the "
        f"total importance, {_interval(first, level)}): "
        f"{_order(first, dimensions, 'dimension', level)}."
    )
    if rest:
        then = [f"{_in_sentence(d)} ({small_percent(d.share)}, {_bounds(d)})" for d in rest]
        text += f" Next in order: {listing(then)}."
    chance = [_in_sentence(d) for d in dimensions if not d.above_null]
    # Single factors and groups of such a dimension may be distinguishable all the same.
    text += f" Not distinguishable from chance as a whole: {listing(chance)}." if chance else ""
    return text


def group_sentence(groups: Sequence[Ranked], level: float) -> str:
    """Return the leading groups with the intervals of the first."""
    first, rest = groups[0], groups[1:]
    text = (
        f"By group, {_in_sentence(first)} ranks first with {small_percent(first.share)} of the "
        f"total importance ({_interval(first, level)}) and {_rank(first, len(groups), level)}: "
        f"{_order(first, groups, 'group', level)}."
    )
    if rest:
        then = [f"{_in_sentence(g)} ({small_percent(g.share)})" for g in rest[:2]]
        text += f" Next in order: {listing(then)}."
    told = [g.share for g in groups if g.above_null]
    untold = [g.share for g in groups if not g.above_null]
    if told and untold and min(told) < max(untold):
        text += " Groups that are distinguishable from chance rank ahead of the others, whatever "
        text += "their share."
    return text


def _order(first: Ranked, rows: Sequence[Ranked], kind: str, level: float) -> str:
    """Say how many others may truly be first: the upper end of the first one's confidence set."""
    others = first.rank_high - 1
    if len(rows) < 2:
        return f"it is the only {kind}"
    if others < 1:
        return f"its first place is established ({percent(level)} confidence)"
    nearest = in_quotes(rows[1].label) if kind == "factor" else _in_sentence(rows[1])
    many = f"one other {kind}" if others == 1 else f"up to {others} other {kind}s"
    return f"{many} could rank above it, most likely {nearest}"


def _in_sentence(row: Ranked) -> str:
    """Return a label with a small first letter, but acronyms and a user's own names as they stand.

    Keys of the catalogue have no capitals.
    """
    head = row.label.split(" ")[0]
    small = head[1:].islower() and not row.key[:1].isupper()
    return lower_first(row.label) if small else row.label


def forecast_sentence(
    forecasts: Sequence[Expected],
    past: Mapping[tuple[str, str], Sequence[Held]],
    simulated: bool,
    joint: tuple[float, float] | None = None,
) -> str:
    """Return next year's total, how far off such totals were before, and the largest pair.

    `joint` is the interval of the total.
    """
    year = forecasts[0].year
    rows = [f for f in forecasts if f.year == year]
    total = sum(f.predicted for f in rows)
    last = [f.last_observed for f in rows if f.last_observed is not None]
    change = ""
    if len(last) == len(rows) and sum(last) > 0:
        step = total / sum(last) - 1
        years = sorted({f.last_year for f in rows})
        counted_in = f"counted in {years[0]}"
        if len(years) > 1:  # own counts may lack some pairs' last year
            counted_in = f"last counted, {years[0]} to {years[-1]} by pair"
        change = (
            f", {percent(abs(step), 1)} {'more' if step >= 0 else 'fewer'} than the "
            f"{number(sum(last))} {counted_in}"
        )
    misses = total_misses(past, {(f.a, f.b) for f in rows})
    before = ""
    if len(misses) == 1:
        before = (
            " In the one earlier year tested, the out-of-sample forecast of this total was off by "
            f"{percent(misses[0], 1)}."
        )
    elif misses:
        before = (
            f" Over {len(misses)} earlier years, out-of-sample forecasts of this total were off by "
            f"{percent(float(np.mean(misses)), 1)} on average and {percent(max(misses), 1)} at "
            "worst."
        )
    top = rows[0]
    pairs = f"the {len(rows)} pairs" if len(rows) > 1 else "the pair"
    own = f"({percent(top.level)} interval {span(top.lower, top.upper)})"
    held = f" ({percent(top.level)} interval {span(*joint)})" if joint else ""
    what = "partner" if top.label in (country_name(top.a), country_name(top.b)) else "pair"
    largest = f" The largest {what} is {top.label} with {number(top.predicted)} works {own}."
    if len(rows) == 1:
        held, largest = held or f" {own}", ""
    return (
        f"For {year}, the forecast is {number(total)} {'simulated ' if simulated else ''}"
        f"co-authored works over {pairs}{held}{change}.{before}{largest}"
    )


def total_misses(
    past: Mapping[tuple[str, str], Sequence[Held]], pairs: set[tuple[str, str]]
) -> list[float]:
    """Return the relative error of the total over `pairs`, for each year forecast before."""
    sums: dict[int, list[float]] = {}
    for pair, held in past.items():
        if pair not in pairs:
            continue
        for point in held:
            if point.observed is not None and point.predicted is not None:
                both = sums.setdefault(point.year, [0.0, 0.0])
                both[0] += point.observed
                both[1] += point.predicted
    return [abs(p / o - 1) for _, (o, p) in sorted(sums.items()) if o > 0]


def skill_sentence(errors: SetErrors) -> str:
    """Return whether the forecast beats the best baseline, and plainly when it does not.

    The interval of a skill is one at 90 % over origins, whatever the level of the forecast's own.
    """
    years = len(errors.by_year)
    if "model" not in errors.errors:
        return (
            f"{errors.label[:1].upper()}{errors.label[1:]} had no works in any year tested, so "
            "out-of-sample forecasts have no error as a share of works, and no baseline to compare "
            "with."
        )
    ours = (
        f"{f'Over {years} years, out' if years > 1 else 'Out'}-of-sample forecasts for "
        f"{errors.label} had an error (WAPE) of {percent(errors.errors['model'], 1)} of works"
    )
    if errors.best is None:
        return f"{ours}; no baseline was run for comparison."
    bounds = skill_bounds(errors)
    bounds = f" (90 % interval {bounds})" if bounds else ""
    return (
        f"{ours}. The best baseline (chosen in hindsight), {method_name(errors.best)}, had "
        f"{percent(errors.errors[errors.best], 1)}. Relative to that baseline: "
        f"{skill_words(errors)}{bounds}."
    )


def skill_words(errors: SetErrors) -> str:
    """Return the verdict in words.

    >>> skill_words(SetErrors("all", "all pairs", {}, {}, "drift1", 0.04, -0.01, 0.09, "undecided"))
    '4.0 % less error, a difference not distinguishable from zero'
    """
    if errors.skill is None:
        if errors.best is not None and errors.errors.get(errors.best) == 0:
            return "no forecast can do better, as it was exactly right"
        return "no skill was computed"
    side = "less" if errors.skill >= 0 else "more"
    amount = f"{percent(abs(errors.skill), 1)} {side} error"
    if errors.verdict == "won":
        return f"{amount}, better than the baseline"
    if errors.verdict == "lost":
        return f"{amount}, worse than the baseline"
    if errors.skill_low is None:
        return f"{amount}; no interval was computed, so no verdict"
    return f"{amount}, a difference not distinguishable from zero"


def calibration_sentence(rows: Sequence[Calibration]) -> str:
    """Return how many counts the intervals covered, in all years and in the worst."""
    row = rows[0]
    if row.mean is None:
        return ""
    worst = ""
    if row.by_year:
        year = min(row.by_year, key=lambda y: row.by_year[y])
        alike = min(row.by_year.values()) == max(row.by_year.values())
        worst = f", and {percent(row.by_year[year])} in the worst year, {year}"
        worst = ", the same in every year" if alike and len(row.by_year) > 1 else worst
    return (
        f"Prediction intervals covered {percent(row.mean)} of the counts of {row.label} (nominal "
        f"{percent(row.level)}){worst}."
    )


def deviance_sentence(factor_model: Mapping[str, Mapping[str, float]]) -> str:
    """Return what the factors explain on pairs that the model was not trained on."""
    ours = factor_model.get("deviance_explained") or {}
    rival = factor_model.get("ppml_deviance_explained") or {}
    key = "focus_unseen" if "focus_unseen" in ours else next(iter(ours), None)
    if key is None or ours[key] is None:
        return ""
    who = "focus pairs" if key == "focus_unseen" else "pairs"
    beside = ""
    if rival.get(key) is not None:
        beside = f" (a gravity regression by PPML: {percent(rival[key])})"
    return (
        f"On {who} held out from its training, the factor model explains {percent(ours[key])} of "
        f"the Poisson deviance around the mean of all pairs{beside}."
    )


def resampling_sentence(n: int, unit: str | None, level: float, ends: str = "countries") -> str:
    """Return what the confidence sets for ranks rest on."""
    if not n:
        return "No resamples were drawn, so the ranking of factors has no confidence sets."
    what = {"pair": "pairs", "country": ends}.get(unit or "", f"pairs or {ends}")
    return (
        f"Confidence sets for ranks, and tiers, come from {n} refits on "
        f"resampled {what} (bootstrap) and hold for all factors simultaneously at "
        f"{percent(level)}. Factors in the same tier should not be read as ordered."
    )


def scales_sentence(factors: Sequence[Ranked], scales: Mapping[str, str]) -> str:
    """Return which of the factors above chance the model took in logs of its own accord."""
    found = [in_quotes(f.label) for f in factors if f.above_null and f.key in scales]
    if not found:
        return ""
    return (
        f"Values of {listing(found)} are skewed and enter the model in logs, which fit the counts "
        "better."
    )


def of_years_sentence(factors: Sequence[Ranked], years: Mapping[str, int]) -> str:
    """Return which factors differ between years alone, and how little that is to tell them by."""
    found = [in_quotes(f.label) for f in factors if f.key in years]
    if not found:
        return ""
    return (
        f"Values of {listing(found)} differ between years and hardly between pairs. The evidence "
        f"on them is {max(years.values())} years, however many the pairs. Anything else that "
        "changed in step over these years could be what the model picks up."
    )


def apart_sentence(pairs: Sequence[Sequence[str]], focal: str | None) -> str:
    """Return which pairs without works hardly count in the ranking.

    >>> apart_sentence([["CHN", "PRK"]], "CHN")[:57]
    'China–North Korea has no works where factors and the othe'
    """
    if not pairs:
        return ""
    has, it = ("has", "it") if len(pairs) == 1 else ("have", "them")
    return (
        f"{listing([pair_name(a, b, focal) for a, b in pairs])} {has} no works where factors and "
        f"the other pairs suggest many. The ranking gives {it} hardly any weight. The panel does "
        "not show the reason."
    )


def spells_sentence(spells: Sequence[Mapping[str, Any]], focal: str | None) -> str:
    """Return which pairs have spells without works that do not count in the ranking, and when.

    >>> spells_sentence([{"pair": ["CHN", "PRK"], "years": [2004, 2005, 2006, 2011]}], "CHN")[:60]
    'China–North Korea (2004 to 2006, 2011) has no works in years'
    """
    if not spells:
        return ""
    names = [pair_name(a, b, focal) for a, b in (s["pair"] for s in spells)]
    found = [f"{n} ({_runs(s['years'])})" for n, s in zip(names, spells, strict=True)]
    has, its = ("has", "its") if len(found) == 1 else ("have", "their")
    return (
        f"{listing(found)} {has} no works in years for which factors and {its} other years suggest "
        "many. The ranking leaves those years out. The panel does not show the reason."
    )


def _runs(years: Sequence[int]) -> str:
    """Return rising years as the runs that they make."""
    firsts = [y for y in years if y - 1 not in years]
    lasts = [y for y in years if y + 1 not in years]
    return ", ".join(span(*run, form=str) for run in zip(firsts, lasts, strict=True))


def planted_sentence(
    planted: Sequence[Planted], factors: Sequence[Ranked], tau: float | None
) -> str:
    """Return how near the recovered order came to the planted one, and what was claimed wrongly."""
    drivers = [p for p in planted if p.importance is None or p.importance > 0]
    inside = sum(p.low is not None and p.low <= p.rank <= (p.high or 0) for p in drivers)
    agreement = "" if tau is None else f" Kendall’s tau with that order is {number(tau, 2)}."
    text = (
        f"All counts are simulated, so the true (planted) order is known.{agreement} Confidence "
        f"sets for ranks cover the planted rank of {inside} of {len(drivers)} true drivers"
    )
    told = {f.key: f.above_null for f in factors}
    idle = [p.key for p in planted if p.importance == 0 and p.key in told]
    if idle:
        wrong = sum(told[key] for key in idle)
        text += f", and {wrong} of {len(idle)} factors without any effect were taken for drivers"
    return f"{text}."
