"""What the reader sees for a code, a method, a number: the words of report and terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import pandas as pd

from mlcoop.countries import is_iso3, name_of
from mlcoop.features.factor import GROUPS, base_of

METHODS = {
    "model": "mlcoop",
    "persistence": "last year's count",
    "drift1": "drift over 1 year",
    "drift3": "drift over 3 years",
    "drift5": "drift over 5 years",
    "group_growth": "group growth",
    "drift3_group": "half drift over 3 years, half group growth",
    "smoothing": "damped smoothing",
    "ppml": "PPML with pair effects and trend",
}
ROLES = {"partner": "partner", "focal": "focal", "both": "either country"}
SETS = {"focus": "focus pairs", "all": "all pairs", "largest_5pct": "the largest 5 % of pairs"}


def country_name(code: str) -> str:
    """Return the short English name of an ISO3 code; any other text comes back unchanged.

    >>> country_name("KOR"), country_name("plant-7")
    ('South Korea', 'plant-7')
    """
    return name_of(code) if is_iso3(code) else code


def base_group(key: str) -> str:
    """Return the words for a group of the catalogue, whichever end of the pair it is about.

    >>> base_group("research_strength_focal")
    'Research strength'
    """
    return GROUPS.get(base_of(key)) or GROUPS.get(key) or plain(key)


def group_name(key: str, role: str = "", focal: str | None = None) -> str:
    """Return the words for a group of factors, with whose it is unless the pair's own.

    >>> group_name("economy_market", "partner"), group_name("economy_market", "focal", "CHN")
    ('Economy and market (partner)', 'Economy and market (China)')
    >>> group_name("economy_market", "both"), group_name("economy_market", "pair")
    ('Economy and market (either country)', 'Economy and market')
    """
    words = base_group(key)
    if role == "focal" and focal:
        return f"{words} ({country_name(focal)})"
    return f"{words} ({ROLES[role]})" if role in ROLES else words


def pair_name(a: str, b: str, focal: str | None = None) -> str:
    """Return the pair in words, the focal country first; an institution's by its partner alone.

    All pairs of such a study share the institution, whose name would fill every label.

    >>> pair_name("BGD", "CHN", focal="CHN"), pair_name("CHN", "ETH Zurich", focal="ETH Zurich")
    ('China–Bangladesh', 'China')
    """
    if focal in (a, b) and not is_iso3(focal):
        return country_name(b if a == focal else a)
    first, second = (b, a) if b == focal else (a, b)
    return f"{country_name(first)}–{country_name(second)}"


def last_count_head(years: Iterable[int]) -> str:
    """Return what a column of last counts is headed by; own counts may end by pair.

    >>> last_count_head([2021, 2021]), last_count_head([2021, 2019])
    ('count 2021', 'last count')
    """
    known = set(years)
    return f"count {known.pop()}" if len(known) == 1 else "last count"


def first_of(years: Sequence[int], shown: int) -> str:
    """Describe the rows shown of a table of forecasts, sorted by year and then by size.

    >>> first_of([2022, 2022, 2022], 2), first_of([2022, 2022, 2023, 2023], 2)
    ('the 2 largest of 3', 'the first 2 of 4')
    """
    which = f"first {shown:,}" if len(set(years)) > 1 else f"{shown:,} largest"
    return f"the {which} of {len(years):,}"


def plain(key: str) -> str:
    """Return a key as words: underscores to spaces, a capital first.

    >>> plain("research_strength")
    'Research strength'
    """
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def factor_name(key: Any, labels: Mapping[str, str]) -> str:
    """Return the label of a factor, its key as words where it has none.

    >>> factor_name("gdp", {"gdp": "GDP"}), factor_name("own_column", {})
    ('GDP', 'Own column')
    """
    return labels.get(str(key), plain(str(key)))


def total_name(key: str) -> str:
    """Return the words for what a total sums: a set of pairs, or all pairs of a country.

    >>> total_name("all"), total_name("KOR")
    ('all pairs', 'South Korea')
    """
    return set_name(key) if key in ("focus", "all") else country_name(key)


def method_name(method: str) -> str:
    """Return the words for a forecasting method."""
    return METHODS.get(method, plain(method))


def set_name(key: str) -> str:
    """Return the words for a set of pairs."""
    return SETS.get(key, plain(key).lower())


def number(value: Any, digits: int = 0) -> str:
    """Return a count with thousands separated, or a dash for what is missing.

    >>> number(12345.6), number(float("nan"))
    ('12,346', '–')
    """
    if value is None or not math.isfinite(float(value)):
        return "–"
    text = f"{float(value):,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.replace("-", "")


def percent(share: Any, digits: int = 0, signed: bool = False) -> str:
    """Return a share as per cent.

    >>> percent(0.123), percent(-0.0512, 1, signed=True), percent(0.05, signed=True)
    ('12 %', '−5.1 %', '+5 %')
    """
    if share is None or not math.isfinite(float(share)):
        return "–"
    text = number(float(share) * 100, digits)
    return f"{'+' if signed and float(share) > 0 and text.strip('0.') else ''}{text} %"


def percent_tick(share: float, _: float = 0) -> str:
    """Return a place on an axis of shares, with a decimal where it lies between whole per cents.

    >>> percent_tick(0.05), percent_tick(0.075)
    ('5 %', '7.5 %')
    """
    return percent(share, 0 if round(100 * share, 6) % 1 == 0 else 1)


def small_percent(share: Any) -> str:
    """Return a share as per cent, with a decimal where it is below ten per cent."""
    missing = share is None or not math.isfinite(float(share))
    return percent(share, 0 if missing or abs(float(share)) >= 0.0995 else 1)


def in_quotes(label: str) -> str:
    """Return a factor's label for a sentence, whose own commas it may hold.

    >>> in_quotes("Population, partner")
    '“Population, partner”'
    """
    return f"“{label}”"


def listing(items: Sequence[str], most: int = 4) -> str:
    """Return items as a phrase.

    >>> listing(["a", "b", "c"])
    'a, b and c'
    >>> listing(list("abcdef"), most=2)
    'a, b and 4 more'
    """
    shown = list(items)
    if len(shown) > most:
        shown = [*shown[:most], f"{len(shown) - most} more"]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def span(low: Any, high: Any, form: Any = number, joint: str = " to ") -> str:
    """Return an interval; a unit that both bounds share is written once.

    >>> span(0.11, 0.17, percent), span(3, 3)
    ('11 to 17 %', '3')
    """
    left, right = form(low), form(high)
    if left == right:
        return left
    if left.endswith(" %") and right.endswith(" %"):
        left = left[:-2]
    return f"{left}{joint}{right}"


def ranks_within(low: float, high: float) -> str:
    """Return the whole ranks within an interval: a bound near 0 is not shown as 0.

    >>> ranks_within(-1.95, -0.05), ranks_within(-0.4, 3.0), ranks_within(0.2, 0.8)
    ('−1', '0 to 3', '0.2 to 0.8')
    """
    whole = math.ceil(low), math.floor(high)
    return span(*whole) if whole[0] <= whole[1] else span(low, high, lambda v: number(v, 1))


def told_apart(parts: Mapping[str, Any]) -> list[str]:
    """Return the names of sets in order, all pairs left out where the focus set is all of them.

    >>> told_apart({"all": 1, "focus": 2}), told_apart({"size": 3, "all": 2, "focus": 2})
    (['focus', 'all'], ['focus', 'size'])
    """
    names = [name for name in SETS if name in parts]
    if parts.get("focus") is not None and parts.get("all") == parts["focus"]:
        names.remove("all")
    return names + sorted(set(parts) - set(SETS))


def filled(table: pd.DataFrame | None) -> TypeGuard[pd.DataFrame]:
    """Tell whether a stage left a table with rows."""
    return table is not None and len(table) > 0


def optional(value: Any) -> float | None:
    """Return a float, or None for anything missing or not finite."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def from_percent(value: Any) -> float | None:
    """Return a number in per cent as a share, None for what is missing."""
    share = optional(value)
    return None if share is None else share / 100
