"""Services for the tests: the stand-in beside the project where it is there, and tiny ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mlcoop.sources.service.http import Client

SHARED = Path(os.environ.get("MLCOOP_SHARED") or Path(__file__).resolve().parents[3] / "shared")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real figures beside the project."""
    folder = SHARED / "data"
    if not (folder / "collaboration.csv.gz").is_file():
        pytest.skip(f"needs the reference data in {folder}")
    return folder


class StandIn:
    """The running stand-in for the four services."""

    def __init__(self, base: str) -> None:
        self.base = base

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "MLCOOP_OPENALEX_URL": f"{self.base}/openalex",
            "MLCOOP_WORLDBANK_URL": f"{self.base}/worldbank/v2",
            "MLCOOP_CEPII_URL": f"{self.base}/cepii",
            "MLCOOP_UNVOTES_URL": f"{self.base}/dataverse",
            **more,
        }

    def control(self, **settings: object) -> None:
        body = json.dumps(settings).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{self.base}/_control", data=body), timeout=10
        ).read()

    def log(self) -> list[dict]:
        return json.load(urllib.request.urlopen(f"{self.base}/_log", timeout=10))


@pytest.fixture(scope="session")
def _running_standin() -> Iterator[StandIn]:
    program = SHARED / "standin" / "serve.py"
    if not program.is_file():
        pytest.skip(f"needs the stand-in service {program}")
    process = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield StandIn(process.stdout.readline().strip())
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def standin(_running_standin: StandIn) -> StandIn:
    """The stand-in, with an empty log and no faults."""
    _running_standin.control(reset=True)
    return _running_standin


Reply = tuple[int, dict[str, str], bytes]


class Service:
    """A local server whose answers a test scripts; it keeps the paths it was asked for."""

    def __init__(self, answer: Callable[[str, dict[str, str]], Reply | None]) -> None:
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.paths.append(self.path)
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                reply = answer(parts.path, query)
                if reply is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Start a local server: `serve(answer)`, `answer(path, query) -> (status, headers, body)`."""
    running: list[Service] = []

    def start(answer: Callable[[str, dict[str, str]], Reply | None]) -> Service:
        running.append(Service(answer))
        return running[-1]

    yield start
    for service in running:
        service.close()


@pytest.fixture
def quick_client(tmp_path: Path) -> Callable[..., Client]:
    """Make a client that does not wait between tries: `quick_client(environ)`."""

    def make(environ: dict[str, str], **options: object) -> Client:
        folder = options.pop("cache_dir", tmp_path / "cache")
        return Client(folder, environ=environ, **{"sleep": lambda _: None, **options})

    return make
