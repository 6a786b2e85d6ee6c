"""Errors that mlcoop raises, all derived from `MlcoopError`.

A message is one line: what is wrong, where, and how to correct it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MlcoopError(Exception):
    """Root of all errors that mlcoop raises on purpose."""

    exit_code = 1


class ConfigError(MlcoopError):
    """An experiment file or an option that its author can correct."""

    exit_code = 2


class DataError(MlcoopError):
    """A table or a file whose owner can correct it."""

    exit_code = 2


class SourceError(MlcoopError):
    """A provider or the network failed."""

    exit_code = 1


def some(items: Iterable[object], most: int = 5) -> str:
    """Return at most `most` items as text, with the total when there are more.

    >>> some(["AAA", "BBB"])
    'AAA, BBB'
    >>> some(range(9), most=2)
    '0, 1 and 7 more (9 in all)'
    """
    shown = [str(item) for item in items]
    if len(shown) <= most:
        return ", ".join(shown)
    rest = len(shown) - most
    return f"{', '.join(shown[:most])} and {rest} more ({len(shown)} in all)"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "pair"), counted(1200, "pair")
    ('1 pair', '1,200 pairs')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def quoted(labels: Iterable[str]) -> list[str]:
    """Return labels in quotes, for a list of them: many hold commas of their own.

    >>> some(quoted(["GDP, partner", "Distance"]))
    '"GDP, partner", "Distance"'
    """
    return [f'"{label}"' for label in labels]


def lower_first(text: str) -> str:
    """Return a sentence as it stands within another: its first letter small."""
    return text[:1].lower() + text[1:]


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return a question with the nearest known name and a space after it, or nothing.

    `cutoff` is the least likeness, 0 to 1 (`difflib`), whatever the capitals.

    >>> did_you_mean("treshold", ["linear", "threshold"])
    'Did you mean "threshold"? '
    >>> did_you_mean("GDP", ["exports", "gdp"])
    'Did you mean "gdp"? '
    >>> did_you_mean("square", ["linear", "threshold"])
    ''
    """
    spelled = {word.casefold(): word for word in known}
    near = get_close_matches(name.casefold(), spelled, n=1, cutoff=cutoff)
    return f'Did you mean "{spelled[near[0]]}"? ' if near else ""
