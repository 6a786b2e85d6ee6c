"""Files written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlcoop.errors import ConfigError

MEND = "choose another place"


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write beside the target and rename, so that no reader ever sees half a file.

    Parameters
    ----------
    path : Path
        Its folder is made where it is missing.
    data : bytes
    sync : bool
        Whether to wait for the disk. What is checked when it is read need not: thousands of small
        files would wait for minutes on a slow disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened as any new file is, so with the usual rights: asking for the umask means setting it,
    # and two threads that do so at once may leave it at zero.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: Path, mend: str = MEND) -> Iterator[None]:
    """Name in a `ConfigError` the place that someone chose and that cannot be written."""
    try:
        yield
    except OSError as error:
        # a file where a folder should be made: the system says only that something exists
        reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror
        raise ConfigError(f"{path}: cannot be written ({reason}); {mend}") from error


def refuse_unwritable(path: Path, mend: str = MEND) -> None:
    """Raise what making a folder and writing into it would, as far as rights tell; make nothing."""
    with writing(path, mend):
        there = next(p for p in (path, *path.absolute().parents) if p.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_output(path: Path, data: bytes, mend: str = MEND) -> None:
    """Write a file where someone chose to have it; raise `ConfigError` where that fails."""
    with writing(path, mend):
        write_whole(path, data)
