"""What was asked, the answer, and how far to trust it: sentences made from the numbers.

Every sentence speaks of association and carries its uncertainty, or says that none was computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcoop.countries import is_iso3
from mlcoop.errors import lower_first
from mlcoop.report.names import (
    country_name,
    listing,
    method_name,
    number,
    pair_name,
    percent,
    plain,
    small_percent,
    span,
)
from mlcoop.report.numbers.content import Planted, Ranked
from mlcoop.report.numbers.content_forecast import Calibration, Expected, Held, SetErrors

# Words of the groups' names that are initials.
ACRONYMS = {
    "apec", "apta", "asean", "brics", "caricom", "cefta", "cemac", "ceec", "cis", "comesa",
    "cptpp", "dr", "eac", "eaeu", "ecowas", "eea", "efta", "eu", "eu15", "eu28", "g20", "g7",
    "gafta", "gcc", "oecd", "oic", "p4", "rcep", "saarc", "sacu", "sadc", "safta", "sco", "usmca",
    "waemu",
}  # fmt: skip

NOT_CAUSE = (
    "The ranking describes association, not cause: it tells which factors go with collaboration, "
    "not what would happen if one were changed."
)


def about(config: Mapping[str, Any]) -> str:
    """Return the focus set in words.

    >>> about({"focus": {"focal": "CHN", "partners": "belt-and-road"}})
    'China and the Belt and Road countries'
    >>> about({"focus": {"partners": ["asean", "KOR"]}})
    'the ASEAN countries and South Korea'
    """
    focus = config.get("focus") or {}
    focal, partners = focus.get("focal"), focus.get("partners")
    if config.get("panel"):
        return "the pairs of the panel"
    if not focal:
        return "all pairs of the training set" if not partners else _partners(partners)
    return f"{country_name(str(focal))} and {_partners(partners)}"


def _cased(word: str) -> str:
    if word == "and":
        return word
    return word.upper() if word in ACRONYMS else word.capitalize()


def _partners(partners: Any) -> str:
    given = [partners] if isinstance(partners, str) else partners or []
    return listing([_partner(str(p)) for p in given]) or "its partners"


def _partner(name: str) -> str:
    """Return a country, or a group of countries, in words; plans spell them in codes and keys."""
    if is_iso3(name):
        return country_name(name)
    return f"the {' '.join(_cased(w) for w in name.split('-'))} countries"


def asked(
    config: Mapping[str, Any], coverage: Mapping[str, Any], simulated: bool, forecast: bool
) -> str:
    """Return the study's question with its years, pairs and what is counted."""
    years = coverage.get("years") or []
    when = f", {years[0]}–{years[1]}" if len(years) == 2 else ""
    target = config.get("target") or {}
    field = target.get("field") or "all"
    of = "" if field == "all" else f" in {field} sciences" if field != "health" else " in health"
    cited = "highly cited " if target.get("highly_cited") else ""
    what = f"simulated {cited}joint works" if simulated else f"{cited}joint works{of}"
    counting = f", {target['counting']} counting" if target.get("counting") else ""
    pairs = coverage.get("pairs")
    ahead = ", and how many works will next year bring" if forecast else ""
    size = f" {number(pairs)} pairs stand in the panel." if pairs else ""
    return (
        f"Which factors go with the number of {what} of {about(config)}{when}{counting}{ahead}?"
        f"{size}"
    )


def ranking_sentence(factors: Sequence[Ranked], level: float, simulated: bool) -> str:
    """Return which factors lead, with the interval of the first and the width of its tier."""
    first = factors[0]
    order = _order(first, factors, "factor")
    told = [f.above_null for f in factors if f.above_null is not None]
    null = f"; {_told(sum(told), len(factors))} above what chance alone would give" if told else ""
    where = "In this simulated world, " if simulated else ""
    opening = f"{where}{first.label}" if where else first.label
    return (
        f"{opening} goes furthest with collaboration, with {small_percent(first.share)} of the "
        f"total importance of {len(factors)} factors ({_interval(first, level)}; "
        f"rank {span(first.rank_low, first.rank_high)}): {order}{null}."
    )


def _told(told: int, of: int) -> str:
    if not told:
        return f"none of the {of} factors stands"
    return f"{told} of the {of} factors {'stands' if told == 1 else 'stand'}"


def _interval(row: Ranked, level: float) -> str:
    return f"{percent(level)} interval {_bounds(row)}"


def _bounds(row: Ranked) -> str:
    return span(row.share_low, row.share_high, small_percent)


def dimension_sentence(dimensions: Sequence[Ranked], level: float) -> str:
    """Return the share of every dimension with its interval, and which may come first."""
    first, *rest = dimensions
    then = [f"{_in_sentence(d)} ({small_percent(d.share)}, {_bounds(d)})" for d in rest]
    text = (
        f"By dimension, {_in_sentence(first)} comes first ({small_percent(first.share)} of the "
        f"total importance, {_interval(first, level)}), then {listing(then)}; "
        f"{_order(first, dimensions, 'dimension')}."
    )
    chance = [_in_sentence(d) for d in dimensions if d.above_null is False]
    # Single factors and groups of such a dimension may be told from chance all the same.
    return text + (f" Not told from chance as a whole: {listing(chance)}." if chance else "")


def group_sentence(groups: Sequence[Ranked], level: float) -> str:
    """Return the leading groups with the interval of the first."""
    first, rest = groups[0], groups[1:]
    text = (
        f"By group, {_in_sentence(first)} comes first ({small_percent(first.share)} of the "
        f"total importance, {_interval(first, level)}, rank {span(first.rank_low, first.rank_high)}"
        f" of {len(groups)})"
    )
    if rest:
        then = [f"{_in_sentence(g)} ({small_percent(g.share)})" for g in rest[:2]]
        text += f", then {listing(then)}"
    text += f"; {_order(first, groups, 'group')}."
    told = [g.share for g in groups if g.above_null]
    untold = [g.share for g in groups if g.above_null is False]
    if told and untold and min(told) < max(untold):
        text += " Groups that are told from chance come first, others after them, whatever their "
        text += "share."
    return text


def _order(first: Ranked, rows: Sequence[Ranked], kind: str) -> str:
    """Say how many others may truly be first: the upper end of the first one's rank interval."""
    others = first.rank_high - 1
    if others < 1 or len(rows) < 2:
        return "the data put it first alone"
    nearest = rows[1].label if kind == "factor" else _in_sentence(rows[1])
    if others == 1:
        return f"one other {kind} may stand before it, {nearest} the likeliest"
    return f"up to {others} other {kind}s may stand before it, {nearest} the likeliest"


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
    """Return next year's total, how far such totals missed before, and the largest pair.

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
    if len(misses) == 1:
        change += (
            f" (in the one earlier year tested such a total missed by {percent(misses[0], 1)})"
        )
    elif misses:
        change += (
            f" (over {len(misses)} earlier years such a total missed by "
            f"{percent(float(np.mean(misses)), 1)} on average, {percent(max(misses), 1)} at worst)"
        )
    top = rows[0]
    pairs = f"the {len(rows)} pairs" if len(rows) > 1 else "the pair"
    own = f"({percent(top.level)} interval {span(top.lower, top.upper)})"
    held = f" ({percent(top.level)} interval {span(*joint)})" if joint else ""
    largest = f"; the largest, {top.label}, {number(top.predicted)} {own}"
    if len(rows) == 1:
        held, largest = held or f" {own}", ""
    return (
        f"For {year} the forecast is {number(total)} {'simulated ' if simulated else ''}works over "
        f"{pairs}{held}{change}{largest}."
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
    """Return whether the forecast beats the best simple rule, and plainly when it does not.

    The interval of a skill is one at 90 % over origins, whatever the level of the forecast's own.
    """
    years = len(errors.by_year)
    over = f"Over {years} years forecast blind" if years > 1 else "Forecast blind"
    if "model" not in errors.errors:
        return (
            f"Forecast blind, {errors.label} had no work in any year tested, so there is no error "
            "as a share of works, and no rule to compare with."
        )
    missed = (
        f"{over}, the forecast for {errors.label} missed by {percent(errors.errors['model'], 1)}"
    )
    if errors.best is None:
        return f"{missed} of the works; no simple rule was run beside it."
    rule = f"{method_name(errors.best)}, {percent(errors.errors[errors.best], 1)}"
    bounds = ""
    if errors.skill_low is not None and errors.skill_high is not None:
        low_high = f"{percent(errors.skill_low, 1)} to {percent(errors.skill_high, 1)}"
        bounds = f" (90 % interval {low_high})"
    return (
        f"{missed} of the works, against {rule}, for the best simple rule in hindsight: "
        f"{skill_words(errors)}{bounds}."
    )


def skill_words(errors: SetErrors) -> str:
    """Return the verdict in words.

    >>> skill_words(SetErrors("all", "all pairs", {}, {}, "drift1", 0.04, -0.01, 0.09, "undecided"))
    '4.0 % less error, which the data cannot tell from none'
    """
    if errors.skill is None:
        if errors.best is not None and errors.errors.get(errors.best) == 0:
            return "it was exactly right, and no forecast can do better"
        return "no skill was computed"
    side = "less" if errors.skill >= 0 else "more"
    amount = f"{percent(abs(errors.skill), 1)} {side} error"
    if errors.verdict == "won":
        return f"{amount}, better than the rule"
    if errors.verdict == "lost":
        return f"{amount}, worse than the rule"
    if errors.skill_low is None:
        return f"{amount}; no interval was made, so no verdict"
    return f"{amount}, which the data cannot tell from none"


def calibration_sentence(rows: Sequence[Calibration]) -> str:
    """Return how often the intervals held, and in the worst year."""
    row = rows[0]
    if row.mean is None:
        return ""
    worst = ""
    if row.by_year:
        year = min(row.by_year, key=lambda y: row.by_year[y])
        alike = min(row.by_year.values()) == max(row.by_year.values())
        worst = f"; in the worst year, {year}, {percent(row.by_year[year])}"
        worst = ", in every year as many" if alike and len(row.by_year) > 1 else worst
    return (
        f"Intervals meant to hold {percent(row.level)} of the time held {percent(row.mean)} of "
        f"the counts of {row.label}{worst}."
    )


def deviance_sentence(factor_model: Mapping[str, Mapping[str, float]]) -> str:
    """Return what the factors explain on pairs that the model was not trained on."""
    ours = factor_model.get("deviance_explained") or {}
    rival = factor_model.get("ppml_deviance_explained") or {}
    key = "focus_unseen" if "focus_unseen" in ours else next(iter(ours), None)
    if key is None or ours[key] is None:
        return ""
    who = (
        "focus pairs" if key == "focus_unseen" else plain(key).lower().replace(" unseen", " pairs")
    )
    beside = ""
    if rival.get(key) is not None:
        beside = f" (a gravity regression by PPML: {percent(rival[key])})"
    return (
        f"On {who} that it was not trained on, the factor model explains "
        f"{percent(ours[key])} of the Poisson deviance around the mean of all pairs{beside}."
    )


def resampling_sentence(n: int, unit: str | None, level: float, ends: str = "countries") -> str:
    """Return what the ranks' intervals rest on."""
    if not n:
        return "No resamples were made, so the order of the factors carries no interval of its own."
    what = {"pair": "pairs", "country": ends}.get(unit or "", f"pairs or {ends}")
    return (
        f"Ranks and tiers rest on {n} refits on resampled {what}, at {percent(level)} for all "
        f"factors together; factors in one tier are not to be put in order as they stand."
    )


def scales_sentence(factors: Sequence[Ranked], scales: Mapping[str, str]) -> str:
    """Return which of the factors above chance the model took in logs of its own accord."""
    found = [_in_sentence(f) for f in factors if f.above_null and f.key in scales]
    if not found:
        return ""
    return f"Values of {listing(found)} are skew and taken in logs, which works follow better."


def of_years_sentence(factors: Sequence[Ranked], years: Mapping[str, int]) -> str:
    """Return which factors differ between years alone, and how little that is to tell them by."""
    found = [_in_sentence(f) for f in factors if f.key in years]
    if not found:
        return ""
    return (
        f"Values of {listing(found)} differ between years and hardly between pairs: "
        f"{max(years.values())} years tell of them, however many the pairs, and whatever else "
        "changed alike in these years may be what is seen."
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
        f"the other pairs suggest many: the ranking hardly counts {it}, and the panel does not say "
        "why."
    )


def planted_sentence(
    planted: Sequence[Planted], factors: Sequence[Ranked], tau: float | None
) -> str:
    """Return how near the recovered order came to the planted one, and what was claimed wrongly."""
    drivers = [p for p in planted if p.importance is None or p.importance > 0]
    inside = sum(p.low is not None and p.low <= p.rank <= (p.high or 0) for p in drivers)
    agreement = "" if tau is None else f"Kendall’s tau with the planted order is {number(tau, 2)}; "
    text = (
        f"All counts are simulated, so the true order is known: {agreement}"
        f"{inside} of {len(drivers)} true drivers have their planted rank inside their interval"
    )
    told = {f.key: f.above_null for f in factors if f.above_null is not None}
    idle = [p.key for p in planted if p.importance == 0 and p.key in told]
    if idle:
        wrong = sum(bool(told[key]) for key in idle)
        text += f", and {wrong} of {len(idle)} factors without any effect were taken for drivers"
    return f"{text}."
