"""What is asked of a provider, what comes back, and how asking can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mlcoop.errors import SourceError
from mlcoop.sources.service.cache import Record
from mlcoop.sources.service.registry import Source

Progress = Callable[[int, int, str], None]


class NotFound(SourceError):
    """The service answers, but does not have what was asked for."""


class BudgetSpent(SourceError):
    """The day's allowance of requests is spent.

    Attributes
    ----------
    done, left : int or None
        Requests of the plan that are answered (all of them cached), and those still to be sent.
    retry_at : datetime
        When the service says to come back, UTC.
    """

    def __init__(
        self, source: Source, retry_at: datetime, *, keyed: bool, done: int | None, left: int | None
    ) -> None:
        self.source, self.retry_at, self.keyed = source, retry_at, keyed
        self.done, self.left = done, left
        counted = "" if done is None else f"{done} requests are answered and cached, {left} left; "
        advice = ""
        if source.key_env and not keyed:
            advice = f" (a free key in {source.key_env} allows many more requests a day)"
        super().__init__(
            f"{source.label}: the day's allowance of requests is used up; {counted}run the same "
            f"command after {retry_at:%Y-%m-%d %H:%M} UTC: it resumes where it stopped{advice}"
        )

    def counted(self, done: int, left: int) -> BudgetSpent:
        """Return the same error with what is done and what is left."""
        return BudgetSpent(self.source, self.retry_at, keyed=self.keyed, done=done, left=left)


@dataclass(frozen=True)
class Request:
    """What to ask whom, and how to tell a good answer.

    Attributes
    ----------
    check : function of bytes
        Raises ValueError, with what is wrong, on an answer that must not be used or cached.
    about : dict of str to str
        What the answer will hold, for the cache's record.
    release : function of bytes, or None
        Reads from a good answer which release of the figures it is of; None: the source's own.
    """

    source: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    check: Callable[[bytes], object] = field(default=len, compare=False)
    about: Mapping[str, str] = field(default_factory=dict, compare=False)
    release: Callable[[bytes], str] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Answer:
    """Bytes of an answer and its record."""

    content: bytes
    record: Record


@dataclass(frozen=True)
class Budget:
    """What a service last said of the day's allowance; None: it did not say when it is reset."""

    remaining: int
    reset_at: datetime | None


class Asks(Protocol):
    """What a source needs of a client, so that a reader of the cache can stand in for one."""

    def get(self, request: Request) -> Answer:
        """Return the answer to a request."""
        ...

    def get_many(
        self,
        requests_: Sequence[Request],
        *,
        progress: Progress | None = None,
        what: str = "",
    ) -> list[Answer]:
        """Return the answers to many requests, in their order."""
        ...
