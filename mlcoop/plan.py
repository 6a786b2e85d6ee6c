"""`Config` and catalogues to a frozen `Plan`: every name resolved and checked, nothing computed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlcoop.config import Config, Target
from mlcoop.countries import to_iso3
from mlcoop.errors import ConfigError, MlcoopError, did_you_mean
from mlcoop.family.file import Family
from mlcoop.features.catalogue import select_factors
from mlcoop.features.factor import Factor
from mlcoop.few_pairs import why_not_ranked
from mlcoop.model.learners import LEARNERS
from mlcoop.tables import group_key, group_members, group_names

UNTESTED = (
    "No forecast: its weights and intervals come from the backtest, which evaluation.enabled: "
    "false leaves out."
)


@dataclass(frozen=True)
class Plan:
    """What a run will do, all names resolved.

    Attributes
    ----------
    focal : str or None
        ISO3 of the focal country; None when the focus is every pair.
    partners : tuple of str
        ISO3 of the focal country's partners, or without one the countries whose pairs with one
        another are the focus; empty when the focus is every pair.
    countries : tuple of str or None
        Training countries when the config lists them; None takes the most active.
    factors : tuple of Factor
        Empty for a ready panel, which brings its own.
    stages : tuple of str
        In the order in which they run.
    path : Path or None
        The user's own file, relative to the config's folder unless absolute.
    not_ranked : str or None
        Why factors will not be ranked, where that is known before the figures are.
    """

    config: Config
    focal: str | None
    partners: tuple[str, ...]
    countries: tuple[str, ...] | None
    factors: tuple[Factor, ...]
    stages: tuple[str, ...]
    path: Path | None
    not_ranked: str | None = None

    @property
    def all_pairs(self) -> bool:
        """Whether the focus is every pair of the training set."""
        return not self.partners and self.config.focus.institution is None

    @property
    def asks_services(self) -> bool:
        """Whether figures come from the sources: not with a ready panel or a planted world."""
        return self.config.panel is None and self.config.target.source != "simulated"

    @property
    def must_have(self) -> tuple[str, ...]:
        """Countries without which the study has no focus."""
        focal = (self.focal,) if self.focal else ()
        return tuple(sorted({*focal, *self.partners, *(self.countries or ())}))

    def allow(self, focus_pairs: int, *, must_rank: bool = False) -> Plan:
        """Return the plan as it is with so many focus pairs at most: it may do without a ranking.

        Raises
        ------
        ConfigError
            See `why_not_ranked`.
        """
        reason = why_not_ranked(self.config, focus_pairs, must_rank=must_rank)
        if reason is None:
            return self
        # Pairs of the world beyond the focus can still be scored.
        beyond = self.config.panel is None and not self.all_pairs
        wide = beyond and self.config.training.pairs == "all"
        skipped = ("explain",) if wide else ("explain", "score")
        stages = tuple(s for s in self.stages if s not in skipped)
        return replace(self, not_ranked=reason, stages=stages)


def make_plan(config: Config, where: str, base: Path, *, must_rank: bool = False) -> Plan:
    """Resolve the names in a config, and report all unknown ones together.

    Parameters
    ----------
    config : Config
    where : str
        Name of the experiment file, for errors.
    base : Path
        Folder that the paths in the config are relative to.
    must_rank : bool
        Whether the study is of no use without a ranking.

    Raises
    ------
    ConfigError
        One line for each name that is not known, with the nearest one that is; or there are too
        few focus pairs for all that is asked for.
    """
    slips: list[str] = []
    focal = _country(config.focus.focal, f"{where}, focus.focal", slips)
    named = _codes(config.focus.partners, f"{where}, focus.partners", slips)
    partners = _members(named)
    countries = _members(_codes(config.training.countries, f"{where}, training.countries", slips))
    if focal in partners:
        partners = tuple(c for c in partners if c != focal)
        if not partners:
            slips.append(
                f"{where}, focus.partners: only {focal}, the focal country itself; name others"
            )
    slips += _learner_slips(config, where)
    factors: tuple[Factor, ...] = ()
    path = None
    if config.panel is not None:
        path = _file(config.panel.path, base, f"{where}, panel.path", slips)
    else:
        try:
            factors = tuple(select_factors(config.factors.include, config.factors.exclude))
        except ConfigError as error:
            slips.extend(f"{where}, {line}" for line in str(error).splitlines())
        asked = config.focus.partners or config.focus.pairs or config.focus.institution
        if not asked and config.target.source == "openalex":
            slips.append(
                f"{where}, focus: missing; give focal and partners (one country and a group), "
                "institution, or pairs: all"
            )
        if config.target.path is not None:
            path = _own_counts(config.target, config.target.path, base, where, slips)
    if slips:
        raise ConfigError("\n".join(dict.fromkeys(slips)))
    # "South Korea" and "KOR" are one study, and what reads its folder later knows codes only
    spelled = named[0] if isinstance(config.focus.partners, str) else named or None
    focus = config.focus.model_copy(update={"focal": focal, "partners": spelled})
    plan = Plan(
        config=config.model_copy(update={"focus": focus}),
        focal=focal,
        partners=partners,
        countries=countries or None,
        factors=factors,
        stages=_stages(config),
        path=path,
    )
    most = _most_focus_pairs(plan)
    try:
        return plan if most is None else plan.allow(most, must_rank=must_rank)
    except ConfigError as error:
        raise ConfigError(f"{where}, {error}") from error


def plan_family(family: Family, where: str, base: Path) -> list[Plan]:
    """Return the plans of all members; raise `ConfigError` with every unknown name at once."""
    plans: list[Plan] = []
    slips: dict[str, str] = {}
    for member in family.members:
        try:
            plans.append(make_plan(member.config, where, base, must_rank=True))
        except ConfigError as error:
            for line in str(error).splitlines():
                slips.setdefault(line, f"{line} [member {member.label}]")
    if slips:
        raise ConfigError("\n".join(slips.values()))
    return plans


def _learner_slips(config: Config, where: str) -> list[str]:
    """Return a line for an unknown learner, or for each parameter that it does not take."""
    learner = config.learner.name
    if learner not in LEARNERS:
        nearest = did_you_mean(learner, LEARNERS, cutoff=0.4).strip()
        hint = nearest or f"There are: {', '.join(LEARNERS)}."
        return [f'{where}, learner.name: unknown learner "{learner}". {hint}']
    known = LEARNERS[learner].defaults
    unknown = [
        f"{where}, learner.params.{name}: unknown parameter. Known: {', '.join(known)}."
        for name in config.learner.params
        if name not in known
    ]
    return unknown + [
        f"{where}, learner.params.{name}: {kind}, not {value!r}"
        for name, value in config.learner.params.items()
        if name in known and (kind := _asked_instead(name, value, known[name]))
    ]


def _stages(config: Config) -> tuple[str, ...]:
    """Return the stages that a config asks for, in the order in which they run."""
    asked = {
        "panel": True,
        "audit": config.audit.enabled,
        "tune": config.tuning.enabled,
        "backtest": config.evaluation.enabled,
        "score": config.evaluation.enabled,
        "explain": config.explain.enabled,
        "forecast": config.forecast.enabled and config.evaluation.enabled,
        "report": config.report.enabled,
    }
    return tuple(stage for stage, on in asked.items() if on)


def _most_focus_pairs(plan: Plan) -> int | None:
    """Return the number of focus pairs if every country named has figures; None if none is."""
    config = plan.config
    if config.panel is not None:
        return None
    if plan.focal or config.focus.institution:
        return len(plan.partners) or None
    own = config.target.source == "csv"  # the file says which countries there are
    n = len(plan.partners or plan.countries or ()) or (0 if own else config.training.most_active)
    return n * (n - 1) // 2 if n > 1 else None


def _country(name: str | None, where: str, slips: list[str]) -> str | None:
    if name is None:
        return None
    try:
        return to_iso3(name, where)
    except MlcoopError as error:
        slips.append(str(error))
        return None


def _codes(names: str | list[str] | None, where: str, slips: list[str]) -> list[str]:
    """Return groups by their own name and countries by ISO3, in the order given."""
    found: list[str] = []
    for position, name in enumerate([names] if isinstance(names, str) else names or []):
        place = where if isinstance(names, str) else f"{where}[{position}]"
        group = group_key(name)
        try:
            found.append(group if group in group_names() else to_iso3(name, place))
        except MlcoopError as error:
            near = difflib.get_close_matches(name.lower(), group_names(), n=1, cutoff=0.7)
            slips.append(
                f'{error} (or did you mean the group "{near[0]}"?)' if near else str(error)
            )
    return found


def _members(codes: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for code in codes:
        found.update(group_members(code) if code in group_names() else [code])
    return tuple(sorted(found))


def _file(
    given: str, base: Path, where: str, slips: list[str], *, folder_allowed: bool = False
) -> Path:
    path = Path(given).expanduser()
    path = path if path.is_absolute() else base / path
    if not (path.is_file() or (folder_allowed and path.is_dir())):
        slips.append(f"{where}: no such file {path}; paths are relative to the config's folder")
    return path


def _own_counts(target: Target, given: str, base: Path, where: str, slips: list[str]) -> Path:
    """Return the path of a user's counts, of which only a snapshot's folder can be chosen from."""
    path = _file(given, base, f"{where}, target.path", slips, folder_allowed=True)
    # The report would tell of fields that nobody picked, a family of fields of one file.
    if path.is_file():
        default = Target()
        slips += [
            f"{where}, target.{key}: {path} is a file, whose counts are used as given; "
            "drop it (works are selected only in an aggregated snapshot's folder)"
            for key in ("counting", "field", "types", "highly_cited")
            if getattr(target, key) != getattr(default, key)
        ]
    return path


def _asked_instead(name: str, value: Any, default: Any) -> str:
    """Return what a learner's parameter must be, or nothing where the value is that.

    >>> _asked_instead("depth", True, 2), _asked_instead("depth", 4, 2)
    ('a whole number of 1 or more', '')
    >>> _asked_instead("trees", 0, 250), _asked_instead("gamma", 1, 0.0)
    ('', '')
    """
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    whole = isinstance(default, int)
    least = 1 if whole and name != "trees" else 0  # without trees the linear part is left
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if number and least <= value < float("inf"):
        return ""
    return f"a {'whole ' * whole}number of {least} or more"
