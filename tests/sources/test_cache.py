"""The cache on disk. Truth: invariants of a content-addressed store."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlcoop.cli import app
from mlcoop.errors import DataError
from mlcoop.sources.service.cache import Cache, Record, stable


def record_of(body: bytes, address: str = "https://example.org/a") -> Record:
    return Record(
        source="openalex",
        address=address,
        date="2026-01-02T03:04:05Z",
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        licence="CC0-1.0",
        version="test",
        about={"kind": "row"},
    )


def put(cache: Cache, body: bytes, address: str = "https://example.org/a") -> str:
    key = cache.key("openalex", stable(address))
    cache.write(key, body, record_of(body, address))
    return key


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    key = put(cache, b"figures")
    assert cache.has("openalex", key) and not cache.has("cepii", key)
    assert cache.read("openalex", key) == (b"figures", record_of(b"figures"))
    assert cache.problems() == []
    assert not list(tmp_path.rglob(".*"))


def test_equal_answers_share_one_body(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    put(cache, b"same", "https://example.org/a")
    put(cache, b"same", "https://example.org/b")
    assert len(list((tmp_path / "bodies").rglob("*.gz"))) == 1
    assert len(list((tmp_path / "records").rglob("*.json"))) == 2


def test_damage_is_found_never_read_and_mended_by_writing_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    key = put(cache, b"figures")
    body = next((tmp_path / "bodies").rglob("*.gz"))
    for damage in (b"", b"no gzip", gzip.compress(b"other figures"), body.read_bytes()[:-4]):
        body.write_bytes(damage)
        assert cache.read("openalex", key) is None
        (line,) = cache.problems()
        assert "example.org/a" in line and "checksum" in line
        put(cache, b"figures")
        assert cache.problems() == []
    body.unlink()
    assert len(cache.problems()) == 1


def test_a_record_that_was_edited_or_moved_is_named(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    put(cache, b"figures")
    path = next((tmp_path / "records").rglob("*.json"))
    text = path.read_text()
    path.write_text(text.replace("example.org/a", "example.org/b"))
    assert "another request" in cache.problems()[0]
    path.write_text(text[:20])
    assert "cannot be read" in cache.problems()[0]


def test_a_stand_in_on_another_port_shares_its_cache_but_never_with_the_real_service() -> None:
    assert stable("http://127.0.0.1:1/x") == stable("http://127.0.0.1:2/x")
    assert stable("https://api.openalex.org/x") != stable("http://127.0.0.1:2/x")
    assert stable("https://example.org:8443/x") == "https://example.org:8443/x"


def _write_many(folder: str, start: int) -> None:
    cache = Cache(folder)
    for i in range(start, start + 10_000):
        put(cache, f"figures {i % 50}".encode(), f"https://example.org/{i % 50}")


def test_two_processes_at_a_time_and_a_kill_in_the_middle_leave_a_whole_cache(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), i)) for i in (0, 25)]
    for writer in writers:
        writer.start()
    # Killed amid their work, whatever the machine: once there are records, well before the last.
    until = time.monotonic() + 60
    while len(list(Cache(tmp_path).records())) < 10 and time.monotonic() < until:
        time.sleep(0.01)
    for writer in writers:
        assert writer.pid is not None and writer.is_alive()
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    cache = Cache(tmp_path)
    assert cache.problems() == []
    assert len(list(cache.records())) >= 10
    for path, record in cache.records():
        assert record is not None
        body = cache.read("openalex", path.stem)
        assert body is not None and body[0].decode().startswith("figures ")


def test_verify_prints_one_json_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLCOOP_CACHE_DIR", str(tmp_path))
    put(Cache(tmp_path), b"figures")
    whole = CliRunner().invoke(app, ["data", "verify", "--json"])
    found = {"whole": True, "answers": 1, "damaged": []}
    assert whole.exit_code == 0 and json.loads(whole.stdout) == found
    next((tmp_path / "bodies").rglob("*.gz")).write_bytes(b"")
    harmed = CliRunner().invoke(app, ["data", "verify", "--json"])
    document = json.loads(harmed.stdout)
    assert not document["whole"] and "example.org/a" in document["damaged"][0]
    assert isinstance(harmed.exception, DataError)
    # An empty folder is no sound cache: a mistyped one would pass for it.
    monkeypatch.setenv("MLCOOP_CACHE_DIR", str(tmp_path / "elsewhere"))
    none = CliRunner().invoke(app, ["data", "verify"])
    assert "elsewhere: 0 cached answers, nothing to check" in none.stdout
