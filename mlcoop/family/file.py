"""An experiment file with a `vary:` section to the configs of a family of studies.

Three ways to say what varies, one a file::

    vary:                          # lists: every combination
      target.field: [physical, life]
      seed: [1, 2]

    vary:                          # members, each with the keys that it sets
      members:
        before: {years: {end: 2012}}
        after: {years: {start: 2013}}

    vary:                          # a rolling window of years
      window: {years: 8, step: 2}

A member is the rest of the file with its own keys set, and is named NAME-MEMBER.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcoop.config import Config, Years
from mlcoop.config_file import check_config, dotted, read_raw, set_key
from mlcoop.errors import ConfigError, counted

MOST = 50  # as many as a comparison takes
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FIRST = Years().start
FIXED = ("name", "title", "vary")


@dataclass(frozen=True)
class Member:
    """One study of a family: its label, the keys that it sets, and its whole config."""

    label: str
    sets: dict[str, Any]
    config: Config


@dataclass(frozen=True)
class Family:
    """Studies that differ in a few keys.

    Attributes
    ----------
    name, title : str
    members : tuple of Member
        Two to fifty; the first is the one that changes of rank are counted from.
    over_time : bool
        Whether the members are windows of years, in order.
    """

    name: str
    title: str
    members: tuple[Member, ...]
    over_time: bool


def load_family(path: Path, overrides: Iterable[str] = ()) -> Family | None:
    """Return the family that an experiment file describes, None when it has no `vary:` section.

    Raises
    ------
    ConfigError
        One line for each slip, in `vary:` or in the config of any member.
    """
    raw = read_raw(path, overrides)
    if "vary" not in raw:
        return None
    return make_family(raw, str(path))


def make_family(raw: Mapping[str, Any], where: str) -> Family:
    """Return the family of a parsed experiment file; see `load_family`."""
    base = {key: value for key, value in raw.items() if key != "vary"}
    name = base.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        check_config(base, where)
        raise ConfigError(f"{where}, name: missing; add it")
    vary = raw["vary"]
    if not isinstance(vary, Mapping) or not vary:
        raise ConfigError(
            f"{where}, vary: give keys with lists of values, or members, or a window of years"
        )
    special = [key for key in ("members", "window") if key in vary]
    if special and len(vary) > 1:
        others = ", ".join(str(key) for key in vary if key != special[0])
        raise ConfigError(
            f"{where}, vary: {special[0]} stands alone; write what {others} varies into members"
        )
    if special == ["members"]:
        sets = _members(vary["members"], where)
    elif special == ["window"]:
        sets = _windows(vary["window"], base, where)
    else:
        sets = _combinations(vary, where)
    if not 2 <= len(sets) <= MOST:
        raise ConfigError(
            f"{where}, vary: gives {counted(len(sets), 'member')}; a family has 2 to {MOST}"
        )
    members = _checked(base, sets, where)
    return Family(name, str(base.get("title") or name), members, special == ["window"])


def _members(given: Any, where: str) -> dict[str, dict[str, Any]]:
    place = f"{where}, vary.members"
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: give each member a name and the keys that it sets")
    slips, sets = [], {}
    for label, keys in given.items():
        if not NAME.fullmatch(str(label)):
            slips.append(
                f'{place}, "{label}": letters, digits, dot, dash and underscore only, starting '
                "with a letter or digit; the name ends the member's folder"
            )
        elif not isinstance(keys, Mapping):
            slips.append(f"{place}.{label}: give the keys that it sets, such as {{seed: 1}}")
        else:
            sets[str(label)] = dotted(keys)
    if slips:
        raise ConfigError("\n".join(slips))
    return sets


def _windows(given: Any, base: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    place = f"{where}, vary.window"
    known = ("years", "step")
    if not isinstance(given, Mapping) or set(given) - set(known) or "years" not in given:
        raise ConfigError(f"{place}: give years and step, such as {{years: 8, step: 2}}")
    if isinstance(base.get("target"), Mapping) and base["target"].get("source") == "simulated":
        raise ConfigError(
            f"{place}: a planted world restarts at years.start, so its windows would be "
            "copies of each other; give real counts"
        )
    years, step = given["years"], given.get("step", 1)
    for key, value, least in (("years", years, 4), ("step", step, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{place}.{key}: a whole number of at least {least} (got {value!r})")
    section = base.get("years")
    end = section.get("end") if isinstance(section, Mapping) else None
    start = section.get("start", FIRST) if isinstance(section, Mapping) else FIRST
    if not isinstance(end, int) or not isinstance(start, int):
        raise ConfigError(
            f"{where}, years.end: a window of years needs years.start and years.end as numbers, "
            "since they name its members"
        )
    lasts = sorted(range(end, start + years - 2, -step))
    return {
        f"{last - years + 1}-{last}": {"years.start": last - years + 1, "years.end": last}
        for last in lasts
    }


def _combinations(vary: Mapping[Any, Any], where: str) -> dict[str, dict[str, Any]]:
    slips, lists = [], []
    for key, values in vary.items():
        place = f"{where}, vary.{key}"
        if not isinstance(values, list) or not values:
            slips.append(f"{place}: give a list of values, such as [a, b]")
            continue
        words = [_word(str(key), value) for value in values]
        for value, word in zip(values, words, strict=True):
            if word is None:
                slips.append(f"{place}: {value!r} gives a member no name; use vary.members")
        named = [word for word in words if word is not None]
        if len(set(named)) < len(named):
            slips.append(f"{place}: a value stands twice")
        lists.append([(str(key), value, word) for value, word in zip(values, words, strict=True)])
    if slips:
        raise ConfigError("\n".join(slips))
    sets: dict[str, dict[str, Any]] = {}
    for chosen in itertools.product(*lists):
        label = "-".join(word or "" for _, _, word in chosen)
        if label in sets:
            raise ConfigError(
                f"{where}, vary: two members would be named {label}; use vary.members"
            )
        sets[label] = {key: value for key, value, _ in chosen}
    return sets


def _word(key: str, value: Any) -> str | None:
    """Return what a value adds to a member's name: itself, with its key where it is no word."""
    last = key.rsplit(".", 1)[-1]
    if isinstance(value, bool):
        return last if value else f"no-{last}"
    if isinstance(value, (int, float)):
        return f"{last}-{value}"
    return value if isinstance(value, str) and NAME.fullmatch(value) else None


def _checked(
    base: Mapping[str, Any], sets: Mapping[str, dict[str, Any]], where: str
) -> tuple[Member, ...]:
    """Check every member's config; an error that members share is reported once."""
    members: list[Member] = []
    slips: dict[str, str] = {}
    for label, keys in sets.items():
        raw = {**base, "name": f"{base['name']}-{label}"}
        raw["title"] = f"{base.get('title') or base['name']}: {label}"
        try:
            for key, value in keys.items():
                if key.split(".")[0] in FIXED:
                    raise ConfigError(f"{where}, {key}: cannot vary; each member sets its own")
                raw = set_key(raw, key, value, f"{where}, vary.{key}")
            config = check_config(raw, where)
            if not config.explain.enabled:
                raise ConfigError(f"{where}, explain.enabled: a family compares rankings; turn on")
            members.append(Member(label, keys, config))
        except ConfigError as error:
            for line in str(error).splitlines():
                slips.setdefault(line, f"{line} [member {label}]")
    if slips:
        raise ConfigError("\n".join(slips.values()))
    return tuple(members)
