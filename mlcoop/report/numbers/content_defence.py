"""What stands beside a ranking, in plain values: witnesses, players, steps, training, stability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """Works that go with one natural step of a factor, as a relative change."""

    key: str
    label: str
    words: str
    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Witness:
    """One factor before its witnesses.

    `loss` and `conditional` are shares of the null deviance lost when its values change places;
    `effect` is the relative change per standard deviation in PPML, `low, high, z, p` None where
    it cannot be tested; `stands_out` is by witness.
    """

    key: str
    label: str
    ranks: Mapping[str, int]
    share: float
    loss: float
    conditional: float
    effect: float
    low: float | None
    high: float | None
    z: float | None
    p: float | None
    stands_out: Mapping[str, bool]
    disagreement: str


@dataclass(frozen=True)
class Player:
    """A group as the sum of its members, as one player, and what is lost without it.

    Importances are on the log scale; losses are shares of the deviance.
    """

    key: str
    label: str
    members: float
    as_one: float
    as_one_error: float
    cancelled: float
    lost: float
    lost_ppml: float


@dataclass(frozen=True)
class Agreement:
    """How far the orders of two witnesses agree."""

    a: str
    b: str
    tau: float | None
    weighted: float | None
    rbo: float | None


@dataclass(frozen=True)
class Interaction:
    """By how much the slope of a factor inside the focus set differs from that outside."""

    key: str
    label: str
    difference: float
    z: float
    p: float
    q: float
    differs: bool


@dataclass(frozen=True)
class Orders:
    """The factors that the data put below a factor (`before`) and above it (`after`)."""

    key: str
    label: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class OrderCount:
    """How many orders of two are established, out of how many, and how many of them jointly."""

    of: int
    told: int
    at_once: int


@dataclass(frozen=True)
class Defence:
    """Everything beside a ranking; an empty part was not made.

    Of the established orders of a kind (factors, groups, dimensions) a share of at most `1 - level`
    is wrong on average (false discovery rate); those established at once are all right with
    probability `level` (family-wise), kind by kind.
    """

    steps: tuple[Step, ...]
    witnesses: tuple[Witness, ...]
    agreement: tuple[Agreement, ...]
    group_agreement: tuple[Agreement, ...]
    players: tuple[Player, ...]
    all_explained: float | None
    all_explained_ppml: float | None
    interactions: tuple[Interaction, ...]
    orders: tuple[Orders, ...]
    order_counts: Mapping[str, OrderCount]
    level: float
    wide: Mapping[str, Any] | None
    stability: Mapping[str, Mapping[str, float]]
    pair_halves: Mapping[str, float] | None
    counts: Mapping[str, Any]
