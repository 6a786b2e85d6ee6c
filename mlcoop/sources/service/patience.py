"""When a failed request is worth another try, how long to wait, and what a log may say of it."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence

import requests
import tenacity
import urllib3

ATTEMPTS = 8
# Nobody answers at that address: four tries over some two seconds, then say so.
ATTEMPTS_UNREACHABLE = 4
LONGEST_BACKOFF_S = 8.0
# A Retry-After up to this is waited for; a longer one means that the day's allowance is spent.
PATIENCE_S = 60.0
# No service means more than this.
LONGEST_WAIT_S = 7 * 86_400.0
# An answer that has begun and then stops for this long was cut off, with the connection left
# open; doubled from try to try, for a line that is slow and not broken.
STALL_S = 2.0


class Passing(Exception):
    """A failure that another try may mend."""

    def __init__(self, reason: str, *, pause: float | None = None, tries: int = ATTEMPTS) -> None:
        super().__init__(reason)
        self.reason, self.pause, self.tries = reason, pause, tries


class Redact(logging.Filter):
    """Remove API keys from what urllib3 logs at debug level."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        self.secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if any(secret in text for secret in self.secrets):
            record.msg, record.args = without(text, self.secrets), ()
        return True


def failure_of(state: tenacity.RetryCallState) -> Passing:
    """Return the failure that another try may mend."""
    assert state.outcome is not None
    failure = state.outcome.exception()
    assert isinstance(failure, Passing)
    return failure


def pause_before(failure: Passing, attempt: int) -> float:
    """Return the seconds to wait after try number `attempt`."""
    if failure.pause is not None:
        return failure.pause
    # Jitter keeps the workers from knocking again all at once.
    return min(LONGEST_BACKOFF_S, 0.25 * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25)


def expect_progress(response: requests.Response, seconds: float) -> None:
    """Shorten the wait between two pieces of an answer whose heading is there."""
    sock = getattr(getattr(response.raw, "connection", None), "sock", None)
    if sock is not None:
        sock.settimeout(seconds)


def is_unreachable(error: requests.exceptions.ConnectionError) -> bool:
    """Say whether nobody answered at all, in contrast to a connection that broke."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError) or isinstance(
        error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError
    )


def without(text: str, secrets: Sequence[str]) -> str:
    """Return text without keys.

    >>> without("/works?api_key=abc", ["abc"])
    '/works?api_key=***'
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
