"""A scenario file to what it changes: which factor, of whom, in which years, and how far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from mlcoop.config import Section
from mlcoop.config_file import dotted_key, read_raw
from mlcoop.countries import to_iso3
from mlcoop.errors import ConfigError, MlcoopError, did_you_mean, lower_first
from mlcoop.features.factor import base_of
from mlcoop.report.units import feature_unit, in_words
from mlcoop.sources.openalex.institution import called, goes_by
from mlcoop.tables import group_key, group_members, group_names

WAYS = ("set", "add", "multiply")
# No factor comes near; a slip in the exponent would leave the range of numbers.
Amount = Annotated[float, Field(ge=-1e15, le=1e15)]


class Change(Section):
    """One factor, changed one way."""

    factor: str
    countries: str | list[str] | None = Field(
        None, description="whose value (country factor), or whose pairs (pair factor)"
    )
    pairs: str | list[str] | None = Field(
        None, description='"all", "focus", or a list such as [CHN-PAK, CHN-IRN]'
    )
    years: int | list[int] | None = Field(None, description="forecast years; default: all")
    set: Amount | None = None
    add: Amount | None = None
    multiply: Amount | None = None

    @model_validator(mode="after")
    def _says_what_and_where(self) -> Change:
        given = [w for w in WAYS if getattr(self, w) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give just one of set, add and multiply (got {', '.join(given) or 'none'})"
            )
        if self.countries is None and self.pairs is None:
            raise ValueError("give countries or pairs: whose factor is changed")
        return self


class Scenario(Section):
    """A scenario file."""

    title: str | None = None
    changes: list[Change] = Field(min_length=1)


@dataclass(frozen=True)
class Move:
    """A change resolved against a study.

    Attributes
    ----------
    columns : tuple of str
        Feature columns of the factor.
    countries, pairs : frozenset or None
        None where the change does not limit them. Pairs are sorted tuples of codes.
    only_focus : bool
        Whether only pairs of the focus set are moved.
    years : frozenset of int or None
    way : {"set", "add", "multiply"}
    amount : float
        On the factor's natural scale: km, dollars, years, not their logarithms.
    unit : str
    """

    columns: tuple[str, ...]
    countries: frozenset[str] | None
    pairs: frozenset[tuple[str, str]] | None
    only_focus: bool
    years: frozenset[int] | None
    way: str
    amount: float
    unit: str

    def holds_in(self, year: int) -> bool:
        """Return whether the change holds in a forecast year."""
        return self.years is None or year in self.years

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return changed values on the feature's own scale; NaN where a value is not possible.

        >>> move = Move(("gdp",), None, None, False, None, "multiply", 1.2, "log USD of 2015")
        >>> move.apply(np.log(np.array([100.0]))).round(4) == np.log(120).round(4)
        array([ True])
        """
        there, back = scale_of(self.unit)
        natural = there(values)
        if self.way == "set":
            natural = np.full(len(values), self.amount)
        elif self.way == "add":
            natural = natural + self.amount
        else:
            natural = natural * self.amount
        with np.errstate(all="ignore"):
            return np.where(np.isfinite(back(natural)), back(natural), np.nan)

    def shown(self, value: float) -> str:
        """Return a value of the feature on its natural scale, in words."""
        return in_words(value, self.unit)

    def cells(
        self, rows: pd.DataFrame, features: Sequence[Mapping[str, Any]]
    ) -> list[tuple[str, np.ndarray]]:
        """Return the feature columns and the positions of the rows that the change touches."""
        inside = np.ones(len(rows), dtype=bool)
        if self.only_focus:
            inside &= rows["in_focus"].to_numpy(dtype=bool)
        if self.pairs is not None:
            both = zip(rows["country_a"].astype(str), rows["country_b"].astype(str), strict=True)
            inside &= np.array([p in self.pairs for p in both], dtype=bool)
        found = []
        for feature in features:
            if feature["name"] not in self.columns:
                continue
            at = inside
            if self.countries is not None:
                ends = [_end(str(feature["name"]), str(feature["role"]))]
                ends = ["focal", "partner"] if ends == [None] else ends
                at = at & np.logical_or.reduce([rows[e].isin(self.countries) for e in ends])
            if at.any():
                found.append((str(feature["name"]), np.flatnonzero(at)))
        return found


def _end(name: str, role: str) -> str | None:
    """Return whose figure a feature is: the focal country's, the partner's, or the pair's."""
    if role == "pair":
        return None
    return "partner" if name.endswith("_partner") else "focal"


Scale = Callable[[np.ndarray], np.ndarray]


def scale_of(unit: str) -> tuple[Scale, Scale]:
    """Return functions from a feature's scale to its natural one (`report.units`) and back.

    >>> there, back = scale_of("log(1 + years)")
    >>> there(back(np.array([3.0])))
    array([3.])
    """
    if unit.startswith("log(1 +"):
        return np.expm1, np.log1p
    if unit == "log" or unit.startswith("log ") or unit.endswith(("log ratio", "of logs")):
        return np.exp, np.log
    if unit.startswith("inverse hyperbolic sine"):
        return np.sinh, np.arcsinh
    return _same, _same


def _same(values: np.ndarray) -> np.ndarray:
    return values


class Ends(NamedTuple):
    """What a study's pairs join: codes, and its institution as its coverage holds it, if any."""

    codes: set[str]
    institution: Mapping[str, str] | None = None


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises
    ------
    ConfigError
        One line for each slip, with the file and the key.
    """
    raw = read_raw(path, what="a scenario file")
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_line(item, str(path)) for item in error.errors())) from error


def _line(item: Any, where: str) -> str:
    kinds = {"str", "int", "float", "list[str]", "list[int]"}
    key = dotted_key(part for part in item["loc"] if part not in kinds)
    place = f"{where}, {key}" if key else where
    if item["type"] == "extra_forbidden":
        fields = (Change if len(item["loc"]) > 1 else Scenario).model_fields
        nearest = did_you_mean(str(item["loc"][-1]), fields).strip()
        hint = nearest or f"Known: {', '.join(fields)}."
        return f"{place}: unknown key. {hint}"
    if item["type"] == "missing":
        return f"{place}: missing; add it"
    message = lower_first(str(item["msg"]).removeprefix("Value error, "))
    got = "" if item["type"] == "value_error" else f" (got {item['input']!r})"
    return f"{place}: {message}{got}"


def find_moves(
    scenario: Scenario,
    features: Sequence[Mapping[str, Any]],
    rows: pd.DataFrame,
    years: Sequence[int],
    where: str,
    institution: Mapping[str, str] | None = None,
) -> list[Move]:
    """Return a scenario's changes, resolved against a study's features, pairs and years.

    Of a study of an institution, `institution` is what its coverage holds: it may go by its name.

    Raises
    ------
    ConfigError
        One line for each factor, country, pair or year that the study does not hold.
    """
    slips: list[str] = []
    known = Ends({str(c) for c in [*rows["country_a"], *rows["country_b"]]}, institution)
    present = set(zip(rows["country_a"].astype(str), rows["country_b"].astype(str), strict=True))
    moves = []
    for i, change in enumerate(scenario.changes):
        place = f"{where}, changes[{i}]"
        columns, unit = _columns(change.factor, features, f"{place}.factor", slips)
        countries = _countries(change.countries, known, f"{place}.countries", slips)
        pairs = _pairs(change.pairs, present, known, f"{place}.pairs", slips)
        wanted = [change.years] if isinstance(change.years, int) else change.years
        wrong = sorted(set(wanted or ()) - set(years))
        if wrong:
            slips.append(f"{place}.years: {wrong} not forecast; this study forecasts {list(years)}")
        way = next(w for w in WAYS if getattr(change, w) is not None)
        moves.append(
            Move(
                columns=columns,
                countries=countries,
                pairs=pairs,
                only_focus=change.pairs == "focus",
                years=None if wanted is None else frozenset(wanted),
                way=way,
                amount=float(getattr(change, way)),
                unit=unit,
            )
        )
    if slips:
        raise ConfigError("\n".join(dict.fromkeys(slips)))
    return moves


def _columns(
    name: str, features: Sequence[Mapping[str, Any]], where: str, slips: list[str]
) -> tuple[tuple[str, ...], str]:
    ends = {f"{name}_partner", f"{name}_focal"}
    found = [
        f for f in features if name in (f["name"], f["factor"]) or str(f["name"]) in ends
    ]  # fmt: skip
    one_end = [f for f in found if f["role"] == "both" and name not in (f["factor"], base_of(name))]
    if one_end:
        # Rows look both ways: the column holds now one country's figure, now the other's.
        slips.append(
            f'{where}: "{name}": this study has no focal country, hence no partner; write '
            f'"{base_of(name)}", and countries to say whose value'
        )
        return (), ""
    if not found:
        names = sorted(
            {base_of(str(f["factor"])) for f in features} | {f["factor"] for f in features}
        )
        nearest = did_you_mean(name, names, cutoff=0.4).strip()
        hint = nearest or f"There are: {', '.join(names)}."
        slips.append(f'{where}: "{name}" is no factor of this study. {hint}')
        return (), ""
    return tuple(str(f["name"]) for f in found), feature_unit(found[0])


def _countries(
    given: str | list[str] | None, known: Ends, where: str, slips: list[str]
) -> frozenset[str] | None:
    if given is None:
        return None
    found: set[str] = set()
    for name in [given] if isinstance(given, str) else given:
        if name in known.codes:
            found.add(name)
        elif group_key(name) in group_names():
            # Members that the study left out are no slip: the group was asked for, not them.
            found |= set(group_members(name)) & known.codes
        else:
            code = _code(name, known, where, slips)
            found |= {code} if code else set()
    return frozenset(found)


def _code(name: str, known: Ends, where: str, slips: list[str]) -> str | None:
    own = known.institution
    if own and goes_by(name, own):
        return own["code"]
    hint = f"; {called(own)}" if own else ""
    try:
        code = to_iso3(name, where)
    except MlcoopError as error:
        slips.append(f"{error}{hint}")
        return None
    if code not in known.codes:
        slips.append(f"{where}: {name} is not in this study{hint}")
        return None
    return code


def _pairs(
    given: str | list[str] | None,
    present: set[tuple[str, str]],
    known: Ends,
    where: str,
    slips: list[str],
) -> frozenset[tuple[str, str]] | None:
    if given is None or given in ("all", "focus"):
        return None
    found = set()
    for name in [given] if isinstance(given, str) else given:
        ends = _two_ends(name, known)
        if len(ends) != 2:
            slips.append(f'{where}: "{name}" is no pair; write it as CHN-PAK')
            continue
        codes = [e if e in known.codes else _code(e, known, where, slips) for e in ends]
        if codes[0] is None or codes[1] is None:
            continue
        pair = (min(codes[0], codes[1]), max(codes[0], codes[1]))
        if pair in present:
            found.add(pair)
        else:
            slips.append(f"{where}: the pair {name} is not in this study")
    return frozenset(found)


def _two_ends(name: str, known: Ends) -> list[str]:
    """Return the ends of a pair: parted where both are known, since names may hold dashes.

    >>> _two_ends("Aix-Marseille-Bonn", Ends({"Aix-Marseille", "Bonn"}))
    ['Aix-Marseille', 'Bonn']
    >>> _two_ends("KOR - VNM", Ends(set()))
    ['KOR', 'VNM']
    """
    parts = name.split("-")
    ways = [
        [part.strip() for part in ("-".join(parts[:i]), "-".join(parts[i:]))]
        for i in range(1, len(parts))
    ]

    def is_end(end: str) -> bool:
        return end in known.codes or bool(_code(end, known, "", []))

    return next((ends for ends in ways if all(map(is_end, ends))), ways[0] if ways else parts)
