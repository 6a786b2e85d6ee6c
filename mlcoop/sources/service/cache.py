"""Answers of the services on disk: content-addressed bodies and one record for each request.

A body lies under the SHA-256 of its bytes, a record under the SHA-256 of source and address. Both
are written beside their place and renamed, body first, so a record never points at half a body
and two processes cannot spoil each other's work. Plain files beat a database here: 2,600 answers
read back in about a second.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from mlcoop.files import write_whole


@dataclass(frozen=True)
class Record:
    """What is known about one cached answer.

    Attributes
    ----------
    address : str
        The request in full, without any key.
    date : str
        When it was answered, UTC, ISO 8601.
    sha256, size : str, int
        Checksum and length of the answer's bytes.
    about : dict of str to str
        What the answer holds (kind, country, year, variable), for `status`.
    """

    source: str
    address: str
    date: str
    sha256: str
    size: int
    licence: str
    version: str
    about: dict[str, str]


class Cache:
    """A folder of answers. Safe for threads and for several processes at a time."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def key(self, source: str, address: str) -> str:
        """Return the name of the record of a request."""
        return hashlib.sha256(f"{source} {address}".encode()).hexdigest()

    def has(self, source: str, key: str) -> bool:
        """Say whether a record is there (its body is checked when read)."""
        return self._record_path(source, key).is_file()

    def read(self, source: str, key: str) -> tuple[bytes, Record] | None:
        """Return body and record, or None when absent or when the body fails its checksum."""
        try:
            record = self._read_record(self._record_path(source, key))
            body = self._read_body(record)
        except (OSError, ValueError, TypeError, KeyError, EOFError, zlib.error):
            return None
        return body, record

    def write(self, key: str, body: bytes, record: Record) -> None:
        """Store an answer: first its body, then the record that points at it."""
        path = self._body_path(record.sha256)
        if self._broken(record):
            # mtime=0: the same bytes make the same file, whoever writes it.
            write_whole(path, gzip.compress(body, compresslevel=3, mtime=0), sync=False)
        text = json.dumps(asdict(record), indent=1, sort_keys=True) + "\n"
        write_whole(self._record_path(record.source, key), text.encode(), sync=False)

    def note(self, name: str, facts: dict[str, object]) -> None:
        """Keep a small note beside the answers, such as what is left of a day's allowance."""
        write_whole(self.folder / "notes" / f"{name}.json", json.dumps(facts).encode(), sync=False)

    def noted(self, name: str) -> dict[str, object]:
        """Return a note, or nothing where there is none."""
        try:
            facts = json.loads((self.folder / "notes" / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def lock(self, key: str) -> FileLock:
        """Return a lock that keeps two clients from sending the same request at once."""
        folder = self.folder / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        # A lock for each request would leave a file for each; 256 shards leave 256.
        return FileLock(folder / f"{key[:2]}.lock", thread_local=False)

    def records(self) -> Iterator[tuple[Path, Record | None]]:
        """Yield every record file with its record, or None where it cannot be read."""
        for path in sorted((self.folder / "records").glob("*/*/*.json")):
            try:
                yield path, self._read_record(path)
            except (OSError, ValueError, TypeError, KeyError):
                yield path, None

    def problems(self) -> list[str]:
        """Return one line for each record or body that is not what it was when written."""
        found = []
        for path, record in self.records():
            name = path.relative_to(self.folder)
            if record is None:
                found.append(f"{name}: the record cannot be read; fetch again")
                continue
            if self.key(record.source, stable(record.address)) != path.stem:
                found.append(f"{name}: the record is of another request ({record.address})")
            elif self._broken(record):
                found.append(
                    f"{name}: the answer to {record.address} does not match its checksum "
                    f"{record.sha256[:12]}; fetch again"
                )
        return found

    def _record_path(self, source: str, key: str) -> Path:
        return self.folder / "records" / source / key[:2] / f"{key}.json"

    def _body_path(self, sha256: str) -> Path:
        return self.folder / "bodies" / sha256[:2] / f"{sha256}.gz"

    def _read_record(self, path: Path) -> Record:
        return Record(**json.loads(path.read_bytes()))

    def _read_body(self, record: Record) -> bytes:
        body = gzip.decompress(self._body_path(record.sha256).read_bytes())
        if hashlib.sha256(body).hexdigest() != record.sha256:
            raise ValueError("checksum")
        return body

    def _broken(self, record: Record) -> bool:
        # zlib reports damage by an error of its own, which is no OSError.
        with suppress(Exception):
            self._read_body(record)
            return False
        return True


def stable(address: str) -> str:
    """Return an address without the port of a loopback host.

    A service on this machine is a stand-in or a mirror whose port changes from start to start;
    its answers are kept apart from the real service's, not from its own of yesterday.

    >>> stable("http://127.0.0.1:4711/openalex/works?filter=x")
    'http://127.0.0.1/openalex/works?filter=x'
    """
    scheme, sep, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    name, _, port = host.rpartition(":")
    if name in ("127.0.0.1", "localhost", "[::1]") and port.isdigit():
        host = name
    return f"{scheme}{sep}{host}{slash}{path}"


def is_loopback(address: str) -> bool:
    """Say whether an address is on this machine.

    >>> is_loopback("http://localhost:8000/x"), is_loopback("https://api.openalex.org/works")
    (True, False)
    """
    host = stable(address).partition("://")[2].partition("/")[0]
    return host in ("localhost", "[::1]") or host.startswith("127.")
