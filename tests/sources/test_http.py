"""The client under faults. Truth: scripted servers, whose requests are counted."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlcoop.errors import DataError, SourceError
from mlcoop.sources.service.asking import BudgetSpent, NotFound, Request
from mlcoop.sources.service.http import WORKERS, Client
from mlcoop.sources.service.patience import ATTEMPTS

KEY = "s3cret+key/=="


def parses(content: bytes) -> None:
    json.loads(content)


def ask(name: str = "a") -> Request:
    return Request("openalex", "works", (("filter", name),), check=parses)


def scripted(replies: list[Any]) -> Callable[..., Any]:
    """Answer with each reply in turn, the last for ever."""

    def answer(path: str, query: dict[str, str]) -> Any:
        return replies.pop(0) if len(replies) > 1 else replies[0]

    return answer


GOOD = (200, {}, b'{"works": 1}')
FAULTS = {
    "500": (500, {}, b"{}"),
    "503": (503, {}, b"{}"),
    "short 429": (429, {"Retry-After": "1"}, b"{}"),
    "429 without a word": (429, {}, b"{}"),
    "403 slow down": (403, {}, b"{}"),
    "reset": None,
    "truncated": (200, {"Content-Length": "500", "Connection": "close"}, b'{"works"'),
    "garbage": (200, {}, b"<html>gateway</html>"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_passing_fault_is_tried_again_and_never_cached(
    name: str, serve: Any, quick_client: Any
) -> None:
    replies = [FAULTS[name], FAULTS[name], GOOD]
    # A cut answer leaves the connection open until the server closes it.
    service = serve(scripted(replies))
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base}, timeout=(1, 1))
    assert client.get(ask()).content == GOOD[2]
    assert len(service.paths) == client.sent == 3
    assert client.cache.problems() == []
    assert client.get(ask()).content == GOOD[2] and client.sent == 3


@pytest.mark.parametrize("name", ["500", "garbage"])
def test_a_service_that_stays_down_gives_one_line_and_leaves_no_trace(
    name: str, serve: Any, quick_client: Any
) -> None:
    service = serve(scripted([FAULTS[name]]))
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    with pytest.raises(SourceError, match="OpenAlex") as caught:
        client.get(ask())
    assert "\n" not in str(caught.value) and caught.value.exit_code == 1
    assert len(service.paths) == ATTEMPTS
    assert not client.cached(ask())


def test_an_address_where_nobody_answers_is_said_within_seconds(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    slept: list[float] = []
    client = Client(
        tmp_path,
        environ={"MLCOOP_OPENALEX_URL": f"http://127.0.0.1:{port}"},
        sleep=slept.append,
    )
    with pytest.raises(SourceError, match="nobody answers"):
        client.get(ask())
    assert sum(slept) < 10


def test_retry_after_is_waited_for_in_seconds_or_as_a_date(serve: Any, tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    date = "Thu, 01 Jan 2026 00:00:07 GMT"
    replies = [(429, {"Retry-After": "3"}, b""), (429, {"Retry-After": date}, b""), GOOD]
    slept: list[float] = []
    client = Client(
        tmp_path,
        environ={"MLCOOP_OPENALEX_URL": serve(scripted(replies)).base},
        sleep=slept.append,
        now=lambda: now,
    )
    client.get(ask())
    assert slept == [3.0, 7.0]


def test_backoff_grows(serve: Any, tmp_path: Path) -> None:
    slept: list[float] = []
    client = Client(
        tmp_path,
        environ={"MLCOOP_OPENALEX_URL": serve(scripted([(500, {}, b"")])).base},
        sleep=slept.append,
    )
    with pytest.raises(SourceError):
        client.get(ask())
    # 0.25 s doubled each time up to 8 s, within a quarter either way.
    for seconds, nominal in zip(slept, [0.25, 0.5, 1, 2, 4, 8, 8], strict=True):
        assert 0.74 * nominal < seconds < 1.26 * nominal


SPENT = (429, {"Retry-After": "54000", "X-RateLimit-Remaining": "0"}, b"{}")


@pytest.mark.parametrize(
    "spent",
    [SPENT, (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "54000"}, b"{}")],
)
@pytest.mark.parametrize("keyed", [False, True])
def test_a_spent_budget_stops_at_once_and_says_how_to_go_on(
    spent: Any, keyed: bool, serve: Any, tmp_path: Path
) -> None:
    good = (200, {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "7"}, b"{}")
    service = serve(scripted([good, good, spent]))
    environ = {"MLCOOP_OPENALEX_URL": service.base}
    if keyed:
        environ["OPENALEX_API_KEY"] = KEY
    now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    client = Client(tmp_path, environ=environ, now=lambda: now)
    requests = [ask(str(i)) for i in range(9)]
    with pytest.raises(BudgetSpent) as caught:
        client.get_many(requests, workers=1)
    error, text = caught.value, str(caught.value)
    assert (error.done, error.left) == (2, 7)
    # 54,000 s are 15 hours: 9:00 becomes midnight.
    assert error.retry_at == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    assert "2 requests are answered" in text and "7 left" in text and "2026-03-02 00:00" in text
    assert ("OPENALEX_API_KEY" in text) != keyed
    assert "\n" not in text and KEY not in text
    assert len(service.paths) == 3, "no request after the refusal"
    assert client.allowances.budgets["openalex"].remaining in (7, 0)


@pytest.mark.parametrize("after", ["nan", "inf", "-3", "soon", "1e300"])
def test_nonsense_in_headers_is_no_traceback(after: str, serve: Any, quick_client: Any) -> None:
    headers = {"Retry-After": after, "X-RateLimit-Remaining": after, "X-RateLimit-Reset": after}
    client = quick_client({"MLCOOP_OPENALEX_URL": serve(scripted([(429, headers, b"")])).base})
    with pytest.raises(SourceError):
        client.get(ask())


def test_what_was_answered_before_a_failure_is_not_asked_for_again(
    serve: Any, quick_client: Any
) -> None:
    seen: list[str] = []

    def answer(path: str, query: dict[str, str]) -> Any:
        seen.append(query["filter"])
        return SPENT if len(seen) == 6 else (200, {}, b"{}")

    client = quick_client({"MLCOOP_OPENALEX_URL": serve(answer).base})
    requests = [ask(str(i)) for i in range(12)]
    with pytest.raises(BudgetSpent):
        client.get_many(requests, workers=1)
    client.get_many(requests, workers=3)
    assert sorted(seen) == sorted([str(i) for i in range(12)] + [seen[5]])


def test_the_key_goes_into_the_request_and_nowhere_else(
    serve: Any, quick_client: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    replies = [
        (400, {}, json.dumps({"message": f"bad key {KEY}"}).encode()),
        (200, {}, f"<html>{KEY}</html>".encode()),
        None,
        GOOD,
    ]
    service = serve(scripted(replies))
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base, "OPENALEX_API_KEY": KEY})
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(SourceError) as caught:
            client.get(ask())
        answer = client.get(ask())
    error = caught.value
    assert error.__cause__ is None or KEY not in repr(error.__cause__)
    said = [str(error), repr(client), repr(answer.record), caplog.text]
    said += [p.read_text(errors="replace") for p in tmp_path.rglob("*.json")]
    for text in said:
        assert KEY not in text and "s3cret" not in text
    assert all("api_key=s3cret" in path for path in service.paths)
    plain = Client(client.cache.folder, environ={"MLCOOP_OPENALEX_URL": service.base})
    assert plain.cached(ask()), "the same request without a key is the same request"


def test_other_providers_never_get_the_key(serve: Any, quick_client: Any) -> None:
    service = serve(scripted([GOOD]))
    client = quick_client({"MLCOOP_WORLDBANK_URL": service.base, "OPENALEX_API_KEY": KEY})
    client.get(Request("worldbank", "x", check=parses))
    assert service.paths == ["/x"]


def test_a_proxy_of_the_environment_does_not_come_between_us_and_loopback(
    serve: Any, quick_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    client = quick_client({"MLCOOP_OPENALEX_URL": serve(scripted([GOOD])).base})
    assert client.get(ask()).content == GOOD[2]


def test_refusals_are_final(serve: Any, quick_client: Any) -> None:
    for status, kind, words in (
        (400, SourceError, "not a valid field"),
        (401, SourceError, "OPENALEX_API_KEY is refused"),
        (404, NotFound, "404"),
    ):
        body = json.dumps({"message": "x is not a valid field."}).encode()
        service = serve(scripted([(status, {}, body)]))
        client = quick_client({"MLCOOP_OPENALEX_URL": service.base, "OPENALEX_API_KEY": KEY})
        with pytest.raises(kind, match=words):
            client.get(ask(str(status)))
        assert len(service.paths) == 1


def test_what_needs_a_key_says_so_where_there_is_none(serve: Any, quick_client: Any) -> None:
    client = quick_client({"MLCOOP_OPENALEX_URL": serve(scripted([(401, {}, b"{}")])).base})
    with pytest.raises(SourceError, match=r"needs a key \(401\); set OPENALEX_API_KEY"):
        client.get(ask())
    # The words of OpenAlex's proxy for a parameter that only users with a key may send.
    body = json.dumps({"error": "Forbidden", "message": "You must include a valid API key"})
    service = serve(scripted([(403, {}, body.encode())] * ATTEMPTS))
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    with pytest.raises(SourceError, match="403: You must include a valid API key"):
        client.get(ask())


def test_a_damaged_answer_in_the_cache_is_fetched_again_and_named(
    serve: Any, quick_client: Any
) -> None:
    service = serve(scripted([GOOD]))
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    client.get(ask())
    next((client.cache.folder / "bodies").rglob("*.gz")).write_bytes(b"rubbish")
    assert client.get(ask()).content == GOOD[2]
    assert len(service.paths) == 2 and "checksum" in client.warnings[0]
    assert client.cache.problems() == []


def test_a_cache_that_cannot_be_written_is_the_users_to_mend(
    serve: Any, quick_client: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    client = quick_client(
        {"MLCOOP_OPENALEX_URL": serve(scripted([GOOD])).base}, cache_dir=tmp_path / "file"
    )
    with pytest.raises(DataError, match="MLCOOP_CACHE_DIR"):
        client.get(ask())


FETCH = """
import sys
from mlcoop.sources.service.asking import Request
from mlcoop.sources.service.http import Client
client = Client(sys.argv[1], environ={"MLCOOP_OPENALEX_URL": sys.argv[2]})
asked = [Request("openalex", "works", (("filter", str(i)),)) for i in range(40)]
assert [a.content for a in client.get_many(asked)] == [b"answer %d" % i for i in range(40)]
"""


def test_two_processes_at_one_cache_send_each_request_once(serve: Any, tmp_path: Path) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        time.sleep(0.02)
        return 200, {}, b"answer " + query["filter"].encode()

    service = serve(answer)
    command = [sys.executable, "-c", FETCH, str(tmp_path), service.base]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [p.wait(60) for p in both] == [0, 0]
    assert len(service.paths) == len(set(service.paths)) == 40


def test_a_killed_fetch_loses_no_answer_it_had(serve: Any, quick_client: Any) -> None:
    def answer(path: str, query: dict[str, str]) -> Any:
        time.sleep(0.05)
        return 200, {}, b"answer " + query["filter"].encode()

    service = serve(answer)
    client = quick_client({"MLCOOP_OPENALEX_URL": service.base})
    command = [sys.executable, "-c", FETCH, str(client.cache.folder), service.base]
    process = subprocess.Popen(command)
    while len(service.paths) < 12 and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None
    process.kill()
    process.wait()
    at_kill = len(service.paths)
    asked = [Request("openalex", "works", (("filter", str(i)),)) for i in range(40)]
    client.get_many(asked)
    # Each worker may have had one request under way.
    assert len(service.paths) <= 40 + WORKERS
    assert at_kill > 0
    assert client.cache.problems() == []
