"""The numbers and sentences of a report, before any markup.

`summary.summarise` takes an `Experiment` to a `Summary`. Pages, figures and the terminal show
what stands here and compute nothing of their own, so a number is the same wherever it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcoop.report.numbers.content_defence import Defence
from mlcoop.report.numbers.content_forecast import Calibration, Expected, Held, SetErrors
from mlcoop.report.numbers.outlook import Outlook


@dataclass(frozen=True)
class Ranked:
    """One row of a ranking: a factor, or a group (whose `group` is itself).

    `share` is the part of the total importance (0 to 1). `effect` is the relative change of
    collaboration from a low to a high value of the factor (0.05 is 5 % more), with its interval
    where there is one. `above_null` says whether it is distinguishable from chance.
    """

    key: str
    label: str
    group: str
    role: str
    rank: int
    rank_low: int
    rank_high: int
    tier: int
    share: float
    share_low: float
    share_high: float
    above_null: bool
    direction: str = ""
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None


@dataclass(frozen=True)
class Curve:
    """What a factor does: relative change of collaboration over the values of a factor.

    `density` is how thick the rows lie about each value, 1 at the thickest; `unit` that of `value`.
    """

    key: str
    label: str
    group: str
    value: tuple[float, ...]
    effect: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    density: tuple[float, ...]
    unit: str = ""


@dataclass(frozen=True)
class Together:
    """Two factors that depend on one another: relative change beyond what either does alone."""

    label: str
    other: str
    strength: float
    low: float
    high: float
    share: float
    told: bool


@dataclass(frozen=True)
class Beyond:
    """Works of a pair in its last years (first and last; none of a cross-section), and expected.

    `told` is "more", "less", or "" where the ratio is not distinguishable from one.
    """

    label: str
    years: tuple[int, ...]
    works: float
    expected: float
    ratio: float
    low: float
    high: float
    told: str


@dataclass(frozen=True)
class FactorData:
    """Where the figures of a factor come from and how much of them there is (0 to 1)."""

    key: str
    label: str
    group: str
    role: str
    source: str
    lag: str
    coverage: float | None


@dataclass(frozen=True)
class Neighbours:
    """A factor's place in the tree of rank correlations, and its closest neighbour.

    `cluster` numbers the group that the tree suggests; `told` is None where there is no ranking.
    """

    key: str
    label: str
    group: str
    cluster: int
    neighbour: str
    spearman: float | None
    close: bool
    told: bool | None


@dataclass(frozen=True)
class Collinear:
    """Which factors move together: rows in the order of the tree, correlations by two keys."""

    rows: tuple[Neighbours, ...]
    correlations: Mapping[tuple[str, str], float]

    @property
    def drawn(self) -> tuple[Neighbours, ...]:
        """The factors that move at all over the focus rows."""
        return tuple(row for row in self.rows if row.spearman is not None)

    @property
    def clusters(self) -> dict[int, tuple[Neighbours, ...]]:
        """Suggested groups of more than one factor, in the order of the tree."""
        found: dict[int, list[Neighbours]] = {}
        for row in self.rows:
            found.setdefault(row.cluster, []).append(row)
        return {number: tuple(rows) for number, rows in found.items() if len(rows) > 1}


@dataclass(frozen=True)
class Gaps:
    """How a factor with gaps ranks under each treatment of them (None: nothing ranked).

    `known` is the share of explained rows with the figure, `works` the mean works of the rows
    without it over those of the rows with it.
    """

    key: str
    label: str
    known: float
    works: float | None
    shares: Mapping[str, float | None]
    ranks: Mapping[str, int | None]


@dataclass(frozen=True)
class Missing:
    """What is missing, how the study treats it, and what other treatments would have ranked.

    `between` holds, for two treatments, Kendall's tau, how many of the first five are the same, and
    the factor that moves most with its ranks. `by_year` and `by_country` hold the share of rows
    with the figure.
    """

    treatment: str
    rows: tuple[Gaps, ...]
    explained: Mapping[str, tuple[int, int]]
    between: Mapping[tuple[str, str], Mapping[str, Any]]
    by_year: tuple[tuple[str, Mapping[int, float]], ...]
    by_country: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Left:
    """Something left out of the study, and why."""

    kind: str
    what: str
    reason: str
    count: str


@dataclass(frozen=True)
class Planted:
    """A factor's place in the planted order beside the recovered one."""

    key: str
    label: str
    rank: int
    importance: float | None
    recovered: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Reference:
    """A published study beside ours: counts by domain and year, and its claims."""

    title: str
    source: str
    rows: tuple[tuple[str, int, float | None, float | None], ...]
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Tuning:
    """How far the hyperparameters of one model were searched, and what that gained."""

    model: str
    trials: int
    best: float | None
    first: float | None


@dataclass(frozen=True)
class Source:
    """A provider of figures, with licence and how it is to be cited."""

    name: str
    licence: str
    version: str
    citation: str
    note: str


@dataclass(frozen=True)
class Summary:
    """A whole study in plain values; an empty part has its reason in `absent`."""

    name: str
    title: str
    simulated: bool
    focal: str | None
    home: str | None  # where it lies on the map: an institution's country
    asked: str
    answer: tuple[str, ...]
    trust: tuple[str, ...]
    rank_level: float
    resamples: int
    factors: tuple[Ranked, ...]
    groups: tuple[Ranked, ...]
    dimensions: tuple[Ranked, ...]
    curves: tuple[Curve, ...]
    errors: tuple[SetErrors, ...]
    calibration: tuple[Calibration, ...]
    forecasts: tuple[Expected, ...]
    outlook: Outlook
    past: Mapping[tuple[str, str], tuple[Held, ...]]
    factor_model: Mapping[str, Mapping[str, float]]
    countries: tuple[str, ...]
    ends: tuple[str, str]  # what an end of a pair is called, and several of them
    factor_data: tuple[FactorData, ...]
    together: tuple[Together, ...] | None
    beyond: tuple[Beyond, ...]
    neighbours: Mapping[str, float] | None  # how alike the gaps of neighbouring partners are
    collinear: Collinear | None
    missing: Missing | None
    left_out: tuple[Left, ...]
    facts: tuple[tuple[str, str], ...]
    planted: tuple[Planted, ...]
    planted_tau: float | None
    reference: Reference | None
    tuning: tuple[Tuning, ...]
    sources: tuple[Source, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]
    config: Mapping[str, Any]
    citation: str
    absent: Mapping[str, str]
    defence: Defence | None = None
