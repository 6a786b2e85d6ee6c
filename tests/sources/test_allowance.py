"""What is left of a day's allowance. Truth: the headers as a service sends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlcoop.sources.service.allowance import Allowances
from mlcoop.sources.service.cache import Cache
from mlcoop.sources.service.registry import SOURCES

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def headers(remaining: int, reset: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": "1000",
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
    }


def allowances(folder: Path, kind: str = "keyless", hours: float = 0) -> Allowances:
    now = NOON + timedelta(hours=hours)
    return Allowances(Cache(folder), dict.fromkeys(SOURCES, kind), lambda: now)


def test_answers_that_overtake_each_other_leave_the_smallest_number(tmp_path: Path) -> None:
    said = allowances(tmp_path)
    for remaining in (9, 7, 8):
        said.note("openalex", headers(remaining, 43_200))
    assert said.left("openalex") == 7


def test_a_new_day_brings_a_new_number(tmp_path: Path) -> None:
    said = allowances(tmp_path)
    said.note("openalex", headers(0, 60))
    said.note("openalex", headers(999, 86_400))
    assert said.left("openalex") == 999


def test_another_process_knows_until_the_day_is_over_and_each_kind_by_itself(
    tmp_path: Path,
) -> None:
    said = allowances(tmp_path)
    said.note("openalex", headers(5, 3600))
    said.keep()
    assert allowances(tmp_path, hours=0.5).left("openalex") == 5
    assert allowances(tmp_path, hours=2).left("openalex") is None
    assert allowances(tmp_path, kind="keyed").left("openalex") is None
    assert allowances(tmp_path).left("worldbank") is None
