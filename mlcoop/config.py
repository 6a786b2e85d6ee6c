"""Experiment file to a frozen `Config`: every key checked, every bad key named at once."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlcoop.errors import ConfigError
from mlcoop.sources.institution import parse_id

Share = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A section of the experiment file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Focus(Section):
    """The pairs that the study is about."""

    focal: str | None = Field(None, description="one country: code or name")
    institution: str | None = Field(
        None, description="in place of focal: an institution's number of OpenAlex or ROR"
    )
    partners: str | list[str] | None = Field(None, description="countries or groups of countries")
    pairs: Literal["all"] | None = Field(None, description="every pair of the training set")

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Focus:
        if self.pairs == "all" and (self.focal or self.partners):
            raise ValueError("give either pairs: all, or focal and partners, not both")
        if self.institution is not None:
            if self.focal or self.pairs:
                raise ValueError("institution takes the place of focal and of pairs: all")
            parse_id(self.institution)
        if self.focal and not self.partners:
            raise ValueError("focal needs partners: a group such as belt-and-road, or a list")
        return self


class Training(Section):
    """The pairs that the models learn from."""

    pairs: Literal["all", "focus"] = "all"
    most_active: int = Field(126, ge=3, le=250, description="countries with the most works")
    countries: str | list[str] | None = Field(None, description="instead of the most active")


class Years(Section):
    """First and last year observed."""

    start: int = Field(2001, ge=1950, le=2200)
    end: int | Literal["latest"] = "latest"
    max_shortfall: Share = Field(
        0.10, description="`latest` skips years whose total falls short of the year before by more"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Years:
        if isinstance(self.end, int) and self.end - self.start < 3:
            raise ValueError(f"end {self.end} leaves less than four years after start {self.start}")
        return self


class Target(Section):
    """What is counted."""

    source: Literal["openalex", "csv", "simulated"] = "openalex"
    path: str | None = Field(
        None,
        description="csv: columns year, country_a, country_b, works; or an aggregated snapshot",
    )
    counting: Literal["full", "fractional"] = Field(
        "full", description="fractional: of an aggregated snapshot only"
    )
    field: Literal["all", "physical", "life", "social", "health"] = "all"
    types: Literal["all", "article"] = "all"
    highly_cited: bool = False
    absent: Literal["zero", "missing"] = Field(
        "zero", description="csv: what a pair that the file does not list in a year means"
    )

    @model_validator(mode="after")
    def _path_goes_with_csv(self) -> Target:
        if self.source == "csv" and not self.path:
            raise ValueError("source csv needs path: the file with your counts")
        if self.counting == "fractional" and self.source != "csv":
            raise ValueError(
                "OpenAlex answers with full counts; fractional counts come from a snapshot: "
                "mlcoop data aggregate, then source: csv with its folder as path"
            )
        if self.source != "csv" and self.path:
            raise ValueError(f"path goes with source: csv, not with source: {self.source}")
        return self


class Simulated(Section):
    """The planted truth of a study with source: simulated."""

    drivers: dict[str, float] = Field(
        min_length=1, description="catalogue factor to change of log works per standard deviation"
    )
    mean_works: float = Field(20.0, gt=0, le=1e5)
    pair_noise: float = Field(0.3, ge=0, le=3)
    dispersion: float = Field(0.05, ge=0, le=10)


class Factors(Section):
    """Which factors of the catalogue take part."""

    include: list[str] = Field(default_factory=lambda: ["default"])
    exclude: list[str] = Field(default_factory=list)
    min_coverage: float = Field(
        0.5, ge=0, le=1, description="a country with a smaller share of its figures is left out"
    )


class LearnerChoice(Section):
    """The factor model."""

    name: str = "linear_boosting"
    exposure: bool = Field(False, description="model intensity: works per product of totals")
    params: dict[str, Any] = Field(default_factory=dict, description="fixed, instead of tuned")
    missing: Literal["impute", "own", "complete"] = Field(
        "impute",
        description="missing figures: filled inside the training window, left to the learner, or "
        "rows with every factor known only",
    )


class Tuning(Section):
    """Optuna search inside the training years."""

    enabled: bool = True
    trials: int = Field(30, ge=1, le=10_000)
    folds: int = Field(3, ge=2, le=20)


class Evaluation(Section):
    """Rolling-origin backtest and unseen-pair scores."""

    enabled: bool = True
    origins: int = Field(10, ge=1, le=40)
    folds: int = Field(5, ge=2, le=20)


class Explain(Section):
    """Factor ranking with uncertainty."""

    enabled: bool = True
    resamples: int = Field(100, ge=20, le=10_000)
    level: Share = 0.95
    unit: Literal["auto", "pair", "country"] = "auto"
    witnesses: bool = True


class Forecast(Section):
    """Next-year forecast."""

    enabled: bool = True
    level: Share = 0.90
    horizon: int = Field(1, ge=1, le=5)


class Switch(Section):
    """A stage without settings."""

    enabled: bool = True


class ReadyPanel(Section):
    """A panel of the user's own, with its own factor columns."""

    path: str
    pair: tuple[str, str]
    year: str | None = None
    target: str
    exposure: str | None = None
    factors: list[str] = Field(min_length=1)
    groups: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _groups_hold_factors(self) -> ReadyPanel:
        for group, members in self.groups.items():
            for member in members:
                if member not in self.factors:
                    raise ValueError(f'groups.{group}: "{member}" is not among factors')
        if len(set(self.factors)) < len(self.factors):
            raise ValueError("a factor is named twice")
        return self


class Config(Section):
    """A whole experiment, resolved and frozen."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    title: str | None = None
    focus: Focus = Focus()
    training: Training = Training()
    years: Years = Years()
    target: Target = Target()
    simulated: Simulated | None = None
    factors: Factors = Factors()
    audit: Switch = Switch()
    learner: LearnerChoice = LearnerChoice()
    tuning: Tuning = Tuning()
    evaluation: Evaluation = Evaluation()
    explain: Explain = Explain()
    forecast: Forecast = Forecast()
    report: Switch = Switch()
    panel: ReadyPanel | None = None
    seed: int = Field(0, ge=0, lt=2**31)

    @field_validator("factors", mode="before")
    @classmethod
    def _list_of_factors(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"include": [value]}
        if isinstance(value, list):
            return {"include": value}
        return value

    @field_validator("learner", mode="before")
    @classmethod
    def _name_of_learner(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _institution_learns_from_its_own_pairs(cls, raw: Any) -> Any:
        focus = raw.get("focus") if isinstance(raw, dict) else None
        if not isinstance(focus, dict) or not focus.get("institution"):
            return raw
        training = raw.get("training") or {}
        if not isinstance(training, dict):
            return raw
        return {**raw, "training": {"pairs": "focus", **training}}

    @model_validator(mode="after")
    def _institution_is_counted_by_openalex(self) -> Config:
        if self.focus.institution is None:
            return self
        if self.target.source != "openalex":
            raise ValueError("focus.institution is counted by OpenAlex: drop target.source")
        if self.training.pairs == "all" or self.training.countries is not None:
            raise ValueError(
                "focus.institution learns from the institution's own pairs: its country's pairs "
                "hold the same works, so a pair that is scored would have been learnt from; drop "
                "training.pairs and training.countries"
            )
        return self

    @model_validator(mode="after")
    def _simulated_goes_with_its_source(self) -> Config:
        if (self.target.source == "simulated") != (self.simulated is not None):
            raise ValueError("source: simulated and the section simulated go together")
        if self.simulated and (self.training.countries is None or self.years.end == "latest"):
            raise ValueError("source: simulated needs training.countries and a number as years.end")
        return self

    @model_validator(mode="after")
    def _panel_brings_its_own(self) -> Config:
        if self.panel is not None:
            given = self.model_fields_set & {
                "focus",
                "training",
                "target",
                "simulated",
                "factors",
                "years",
            }
            if given:
                raise ValueError(
                    f"panel brings its own pairs, years, target and factors: drop {sorted(given)}"
                )
        return self


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
            f"{path}, vary: makes a family of studies where one is asked for; "
            "mlcoop run runs it, and its members stand beside it"
        )
    return check_config(raw, str(path))


def read_raw(
    path: Path, overrides: Iterable[str] = (), what: str = "an experiment file"
) -> dict[str, Any]:
    """Read an experiment file and apply overrides, checking nothing but the YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give {what}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; give {what} in YAML") from error
    raw = _parse(text, str(path))
    for override in overrides:
        raw = _override(raw, override)
    return raw


def check_config(raw: dict[str, Any], where: str) -> Config:
    """Turn a parsed experiment file into a `Config`; raise `ConfigError` with every bad key."""
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = [_line(item, raw, where) for item in error.errors()]
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
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= dotted(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(f"{where}{line}: {problem}; mend the YAML") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: holds no keys; the shortest config starts with name: my-study")
    return raw


class _UniqueKeys(yaml.SafeLoader):
    """YAML quietly keeps the last of two equal keys, which would hide a slip."""


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
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


def _override(raw: dict[str, Any], override: str) -> dict[str, Any]:
    key, separator, value = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f'--set "{override}": write key=value, for example years.end=2019')
    try:
        parsed = yaml.load(value, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(f'--set "{override}": the value is not YAML') from error
    return set_key(raw, key.strip(), parsed, f'--set "{override}"')


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


def _line(item: Any, raw: dict[str, Any], where: str) -> str:
    location = list(item["loc"])
    if location[:2] == ["factors", "include"] and isinstance(raw.get("factors"), list):
        location.pop(1)
    # pydantic ends a union's location with the branch it tried.
    location = [part for part in location if not _is_branch(part)]
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    place = f"{where}, {key}" if key else where
    if item["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f'Did you mean "{near[0]}"?' if near else f"Known keys: {', '.join(known)}."
        return f"{place}: unknown key. {hint}"
    if item["type"] == "missing":
        return f"{place}: missing; add it"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return f"{place}: {message}"
    if key == "name" and item["type"] == "string_pattern_mismatch":
        message = "letters, digits, dot, dash and underscore only, starting with a letter or digit"
    return f"{place}: {message[0].lower()}{message[1:]} (got {item['input']!r})"


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and (
        part.startswith(("literal[", "list[", "function-", "constrained-"))
        or part in {"int", "str", "float", "bool"}
    )


def _known_keys(location: list[Any]) -> list[str]:
    model: Any = Config
    for part in location:
        annotation = model.model_fields[part].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return list(model.model_fields)
