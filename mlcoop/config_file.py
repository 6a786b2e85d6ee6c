"""Experiment file to a frozen `Config`: every key checked, every bad key named at once."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mlcoop.config import Config
from mlcoop.errors import ConfigError, did_you_mean, lower_first


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read an experiment file, apply `key=value` overrides, and check all of it.

    Parameters
    ----------
    path : Path
        YAML file.
    overrides : iterable of str
        Dotted keys with YAML values, for example ``years.end=2019``.

    Raises
    ------
    ConfigError
        One line for each bad key, with the file, the key, and the nearest known key.
    """
    raw = read_raw(path, overrides)
    if "vary" in raw:
        raise ConfigError(
            f"{path}, vary: makes a family of studies where one study is expected; "
            "mlcoop run runs it; here give the config of one study"
        )
    return check_config(raw, str(path))


def read_raw(
    path: Path, overrides: Iterable[str] = (), what: str = "an experiment file"
) -> dict[str, Any]:
    """Read an experiment file and apply overrides, checking nothing but the YAML."""
    try:
        if path.is_fifo():
            raise ConfigError(f"{path}: a pipe, which can be read once only; give {what} on disk")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give {what}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; give {what} in YAML") from error
    raw = _parse(text, str(path), what)
    for override in overrides:
        raw = apply_override(raw, override)
    return raw


def check_config(raw: dict[str, Any], where: str) -> Config:
    """Turn a parsed experiment file into a `Config`; raise `ConfigError` with every bad key."""
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = [_line(item, raw, where) for item in _one_a_key(error.errors())]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from error


def dump_config(config: Config) -> str:
    """Return the resolved config as YAML text that `load_config` reads back."""
    content = config.model_dump(mode="json", exclude_none=True)
    if config.panel is not None:
        for key in ("focus", "training", "target", "factors", "years"):
            content.pop(key, None)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def dotted(tree: Mapping[Any, Any], before: str = "") -> dict[str, Any]:
    """Return the values of a nested config by their dotted keys, which `set_key` takes.

    >>> dotted({"seed": 1, "years": {"start": 2001, "end": 2021}})
    {'seed': 1, 'years.start': 2001, 'years.end': 2021}

    Names of a user's own that hold a dot, as those of groups of factors may, stay together:

    >>> dotted({"panel": {"groups": {"R.D": ["trade"]}}})
    {'panel.groups': {'R.D': ['trade']}}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        whole = f"{before}{key}"
        if isinstance(value, Mapping) and value and not _own_names(whole, value):
            flat |= dotted(value, f"{whole}.")
        else:
            flat[whole] = value
    return flat


def _own_names(key: str, value: Mapping[Any, Any]) -> bool:
    """Tell whether a key's value has names of a user's own that a dotted key would tear apart."""
    return any("." in str(name) for name in value) and key in settable()


def _parse(text: str, where: str, what: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_UniqueKeys)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(f"{where}{line}: {problem}; correct the YAML") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{where}: holds no keys; give {what}, whose lines are such as key: value"
        )
    return raw


class _UniqueKeys(yaml.SafeLoader):
    """YAML quietly keeps the last of two equal keys, which would hide a slip."""


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue  # "<<": what it brings gives way to the keys that stand there
        key = loader.construct_object(key_node)
        if not isinstance(key, (str, int, float, bool)):
            raise yaml.constructor.ConstructorError(
                None, None, "a key that is not plain text", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f'key "{key}" stands twice', key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
# YAML 1.1 reads the country code NO as false; here only true and false are booleans.
_UniqueKeys.yaml_implicit_resolvers = {
    first: [
        (tag, regexp)
        for tag, regexp in resolvers
        if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def apply_override(
    raw: dict[str, Any], override: str, known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a parsed experiment file with one `key=value` of the command line set.

    Parameters
    ----------
    raw : dict
    override : str
    known : mapping of dotted key to value, or None
        What errors take their example from; None: the keys of an experiment file.

    Raises
    ------
    ConfigError
        When it is not of that form, or the value is not YAML; with an example of the key that was
        given, or of the nearest known one.
    """
    key, separator, value = override.partition("=")
    if not separator or not key.strip():
        how = _example(key.strip(), known or settable())
        raise ConfigError(f'--set "{override}": write key=value, for example {how}')
    try:
        parsed = yaml.load(value, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        how = _example(key.strip(), known or settable())
        raise ConfigError(
            f'--set "{override}": the value is not YAML; write for example {how}'
        ) from error
    return set_key(raw, key.strip(), parsed, f'--set "{override}"')


def settable(model: type[BaseModel] = Config, before: str = "") -> dict[str, Any]:
    """Return the dotted keys of an experiment file, each with a value that it may have.

    >>> {key: value for key, value in settable().items() if key.startswith("years.e")}
    {'years.end': 'latest'}
    """
    keys: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is not None:
            keys |= settable(section, f"{before}{name}.")
        elif field.examples:
            keys[f"{before}{name}"] = field.examples[0]
        else:
            keys[f"{before}{name}"] = field.get_default(call_default_factory=True)
    return keys


def _example(key: str, known: Mapping[str, Any]) -> str:
    """Return `key=value`, as a shell takes it, of a known key.

    It is the key that was given, the first of its section, or the nearest.
    """
    near = (
        [k for k in known if k == key or k.startswith(f"{key}.")]
        or [k for k in known if k.endswith(f".{key}")]
        or get_close_matches(key, known, n=1, cutoff=0)
    )
    value = yaml.safe_dump(known[near[0]], default_flow_style=True).splitlines()[0]
    return shlex.quote(f"{near[0]}={value}")


def set_key(raw: Mapping[str, Any], key: str, value: Any, where: str) -> dict[str, Any]:
    """Return a parsed experiment file with one dotted key set; `where` names it in errors."""
    changed = copy.deepcopy(dict(raw))
    node = changed
    *parents, last = key.split(".")
    for parent in parents:
        below = node.get(parent)
        if isinstance(below, str):
            # A section in its short form, such as `learner: ppml`.
            below = {"name": below} if parent == "learner" else {"include": [below]}
        elif isinstance(below, list):
            below = {"include": below}
        elif below is None:
            below = {}
        if not isinstance(below, dict):
            raise ConfigError(f"{where}: {parent} is not a section")
        node[parent] = below
        node = below
    node[last] = value
    return changed


def dotted_key(location: Iterable[str | int]) -> str:
    """Return where an error stands, as in the file.

    >>> dotted_key(["focus", "partners", 2])
    'focus.partners[2]'
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _one_a_key(items: Iterable[Any]) -> list[Any]:
    """Return pydantic's errors with those of a key that takes one of several forms as one.

    It reports every form that it tried. Where a list was given and its members are wrong, only
    they are; else the value is none of the forms.
    """
    found: dict[tuple[Any, ...], list[Any]] = {}
    for item in items:
        forms = [k for k, part in enumerate(item["loc"]) if _is_branch(part)]
        found.setdefault(tuple(item["loc"][: forms[0]] if forms else item["loc"]), []).append(item)
    out = []
    for location, tried in found.items():
        inside = [item for item in tried if len(item["loc"]) > len(location) + 1]
        if inside or len(tried) == 1:
            out += inside or tried
            continue
        words = dict.fromkeys(item["msg"].removeprefix("Input should be ") for item in tried)
        taken = " or ".join(_FORMS.get(w.split(",")[0], w) for w in words)
        out.append({**tried[0], "type": "union", "msg": f"input should be {taken}"})
    return out


_FORMS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid list": "a list",
}


def _line(item: Any, raw: dict[str, Any], where: str) -> str:
    location = list(item["loc"])
    if location[:2] == ["factors", "include"] and isinstance(raw.get("factors"), list):
        location.pop(1)
    # pydantic ends a union's location with the branch it tried.
    location = [part for part in location if not _is_branch(part)]
    key = dotted_key(location)
    place = f"{where}, {key}" if key else where
    if item["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        name = str(location[-1])
        hint = (
            did_you_mean(name, known, cutoff=0.8).strip()
            or _elsewhere(name)
            or did_you_mean(name, known).strip()
            or f"Known keys: {', '.join(known)}."
        )
        return f"{place}: unknown key. {hint}"
    if item["type"] == "missing":
        return f"{place}: missing; add it"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] in ("model_type", "model_attributes_type", "dataclass_type"):
        return (
            f"{place}: a section with keys of its own, not {item['input']!r}; write for example "
            + _example(key, settable())
        )
    if item["type"] == "value_error":
        return f"{place}: {message}"
    if key == "name" and item["type"] == "string_pattern_mismatch":
        message = (
            "letters, digits, dot, dash and underscore only, 80 at most, starting with a letter or "
            "digit"
        )
    return f"{place}: {lower_first(message)} (got {item['input']!r})"


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and (
        part.startswith(("literal[", "list[", "function-", "constrained-"))
        or part in {"int", "str", "float", "bool"}
    )


def _known_keys(location: list[Any]) -> list[str]:
    model: Any = Config
    for part in location:
        model = _section(model.model_fields[part].annotation)
    return list(model.model_fields)


def _elsewhere(name: str) -> str:
    """Return a question with the keys of other sections that end as `name` does, or nothing.

    >>> _elsewhere("pairs")
    'Did you mean "focus.pairs" or "training.pairs"?'
    """
    ends: dict[str, list[str]] = {}
    for key in settable():
        ends.setdefault(key.split(".")[-1], []).append(f'"{key}"')
    near = get_close_matches(name, ends, n=1, cutoff=0.8)
    return f"Did you mean {' or '.join(ends[near[0]])}?" if near else ""


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a key holds, or may hold; None when it holds a value."""
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
