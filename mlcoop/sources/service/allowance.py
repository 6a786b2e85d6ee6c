"""How many more requests a service allows today, as it says in its answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from mlcoop.sources.service.asking import Budget
from mlcoop.sources.service.cache import Cache
from mlcoop.sources.service.registry import SOURCES

# More is no allowance and no time until a reset (and NaN is neither).
_LARGEST = 1e9


class Allowances:
    """What services last said of a user's allowance, kept beside the cache for other processes.

    Attributes
    ----------
    budgets : dict of str to Budget
        By source, as last said in this process.
    """

    def __init__(self, cache: Cache, kinds: Mapping[str, str], now: Callable[[], datetime]) -> None:
        # A kind tells allowances apart that are not one: with a key and without, here and there.
        self._cache, self._kinds, self._now = cache, kinds, now
        self.budgets: dict[str, Budget] = {}
        self._guard = threading.Lock()

    def note(self, source: str, headers: Mapping[str, str]) -> None:
        """Take note of what an answer's headers say."""

        def number(name: str) -> float | None:
            try:
                value = float(headers.get(name, ""))
            except ValueError:
                return None
            return value if 0 <= value < _LARGEST else None

        left, reset = (number(f"X-RateLimit-{name}") for name in ("Remaining", "Reset"))
        if left is None:
            return
        reset_at = None if reset is None else self._now() + timedelta(seconds=reset)
        told = Budget(int(left), reset_at)
        with self._guard:
            before = self.budgets.get(source)
            # Answers of one day overtake each other on their way: the smallest number counts.
            if before and _same_day(before, told) and before.remaining < told.remaining:
                return
            self.budgets[source] = told

    def left(self, source: str) -> int | None:
        """Return how many requests the service allows until its next reset, as it last said.

        None where it has said nothing, or its day is over. What another process was told with
        the same cache counts too.
        """
        budget = self.budgets.get(source)
        if budget is None:
            facts = self._cache.noted(self._name(source))
            try:
                reset_at = datetime.fromisoformat(str(facts["reset_at"]))
                budget = Budget(int(str(facts["remaining"])), reset_at)
            except (KeyError, ValueError):
                return None
        if budget.reset_at is None or budget.reset_at <= self._now():
            return None
        return budget.remaining

    def a_day(self, source: str) -> int | None:
        """Return how many requests a day the service allows, as it documents it; None: no limit."""
        keyed = self._kinds[source].startswith("keyed")
        return SOURCES[source].daily_keyed if keyed else SOURCES[source].daily_keyless

    def keep(self) -> None:
        """Write down what was said, for the next process."""
        for source, budget in self.budgets.items():
            if budget.reset_at:
                facts = {"remaining": budget.remaining, "reset_at": budget.reset_at.isoformat()}
                self._cache.note(self._name(source), facts)

    def _name(self, source: str) -> str:
        return f"allowance-{source}-{self._kinds[source]}"


def _same_day(one: Budget, other: Budget) -> bool:
    if one.reset_at is None or other.reset_at is None:
        return one.reset_at is other.reset_at
    return abs(other.reset_at - one.reset_at) < timedelta(hours=1)
