"""Values of a factor as a reader knows them: dollars and kilometres, not their logarithms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlcoop.features.catalogue import FACTORS
from mlcoop.features.factor import base_of
from mlcoop.report.names import number

SIZES = ((1e12, " tn"), (1e9, " bn"), (1e6, " m"))


def factor_unit(factor: str, *, own: bool = False) -> str:
    """Return the catalogue's unit of a factor in either role, "" for a column of the user's own.

    >>> factor_unit("gdp_partner"), factor_unit("my_column"), factor_unit("distance", own=True)
    ('log USD of 2015', '', '')
    """
    if own:
        return ""
    entry = FACTORS.get(factor) or FACTORS.get(base_of(factor))
    return entry.unit if entry else ""


def feature_unit(feature: Mapping[str, Any]) -> str:
    """Return the catalogue's unit of a scenario model's feature, "" for a column of one's own."""
    return factor_unit(str(feature["factor"]), own=bool(feature.get("own")))


def natural(value: float, unit: str) -> tuple[float, str]:
    """Return a value and its unit with a logarithm or hyperbolic sine undone.

    >>> natural(math.log(3), "log(1 + years)")[1], round(natural(math.log(3), "log(1 + years)")[0])
    ('years', 2)
    """
    if unit.startswith("log(1 + "):
        return math.expm1(value), unit.removeprefix("log(1 + ").removesuffix(")")
    if unit.endswith(("log ratio", "difference of logs")):
        return math.exp(value), "times"
    if unit == "log" or unit.startswith("log "):
        return math.exp(value), unit.removeprefix("log").strip()
    if unit.startswith("inverse hyperbolic sine of "):
        return math.sinh(value), unit.removeprefix("inverse hyperbolic sine of ")
    return value, unit


def in_words(value: float, unit: str) -> str:
    """Return a value with its natural unit.

    >>> in_words(math.log(2.5e9), "log USD of 2015"), in_words(4, "hours"), in_words(1, "0 or 1")
    ('2.5 bn USD of 2015', '4 hours', '1')
    """
    shown, words = natural(value, unit)
    words = "" if words == "0 or 1" else words
    return f"{short(shown)}{'' if words.startswith('%') or not words else ' '}{words}".replace(
        "%", " %", 1
    )


def short(value: float) -> str:
    """Return a number in three figures or so.

    >>> short(0.123), short(45.6), short(1234.5), short(2.5e12)
    ('0.12', '45.6', '1,234', '2.5 tn')
    """
    size = abs(value)
    for factor, word in SIZES:
        if size >= factor:
            value, size = value / factor, size / factor
            return _trimmed(number(value, 0 if size >= 100 else 1)) + word
    return _trimmed(number(value, 0 if size >= 100 else 1 if size >= 10 else 2))


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
