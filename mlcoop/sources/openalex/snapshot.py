"""Pair counts from an OpenAlex works snapshot on a disk, file by file, in constant memory.

Each file of the snapshot becomes a small table of its own counts, written beside the others when
it is whole; the result is their sum. So a run that was cut off goes on with the files that are
left, and a newer snapshot costs only its new files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import get_ident
from types import ModuleType
from typing import TYPE_CHECKING

import pandas as pd

from mlcoop.countries import iso3_of
from mlcoop.errors import ConfigError, DataError, some
from mlcoop.files import writing
from mlcoop.sources.openalex.snapshot_files import files_of_works

if TYPE_CHECKING:
    import duckdb

MEMORY = "1GB"  # DuckDB's limit for each worker; beyond it, it spills to a folder in `out`
# Part of a part table's name: counts made by another version of the query are made again.
QUERY_VERSION = "2"
# Bytes of a line. Buffers are as large, so the larger size is taken only where a line needs it:
# some works have thousands of authors.
LONGEST_LINES = (16_777_216, 268_435_456)

# What is read of a work. DuckDB takes these fields out of each line and leaves the rest.
_COLUMNS = """{
    publication_year: 'INTEGER', type: 'VARCHAR', is_retracted: 'BOOLEAN', is_paratext: 'BOOLEAN',
    is_xpac: 'BOOLEAN', authorships: 'STRUCT(countries VARCHAR[])[]',
    primary_topic: 'STRUCT("domain" STRUCT(id VARCHAR))',
    citation_normalized_percentile: 'STRUCT(is_in_top_10_percent BOOLEAN)'
}"""
# Parquet names its own columns; files older than OpenAlex's expansion pack have no is_xpac.
_PARQUET = """(
    (SELECT NULL::BOOLEAN AS is_xpac LIMIT 0) UNION ALL BY NAME
    (SELECT * FROM read_parquet('{place}'))
)"""
# Lists and countries that are null fall out of the list of countries by themselves. The service
# leaves works of the expansion pack out, where the snapshot holds them among the others.
_WORKS = """
    CREATE OR REPLACE TEMP TABLE works AS
    SELECT publication_year AS year,
        coalesce(regexp_extract(primary_topic."domain".id, '([0-9]+)$', 1), '') AS field,
        type = 'article' AS article,
        coalesce(citation_normalized_percentile.is_in_top_10_percent, false) AS top,
        list_distinct(flatten(list_transform(authorships, lambda a: a.countries))) AS countries,
        publication_year IS NOT NULL AND authorships IS NOT NULL AS is_work,
        NOT (coalesce(is_retracted, false) OR coalesce(is_paratext, false)
            OR coalesce(is_xpac, false)) AS counts
    FROM {source}
"""
# Countries of a work each once; a country's own row (a = b) holds its works and, apart, those
# with a foreign co-author. The fractional weight of a link is 1 / (countries - 1).
_PART = """
    SELECT year, field, coalesce(article, false) AS article, top, a, b,
        count(*) AS works,
        sum(CASE WHEN n > 1 THEN 1.0 / (n - 1) ELSE 0 END) AS fractional,
        count(*) FILTER (WHERE n > 1) AS international
    FROM (
        SELECT year, field, article, top, n, a, unnest(countries) AS b
        FROM (
            SELECT year, field, article, top, len(countries) AS n, countries,
                unnest(countries) AS a
            FROM works WHERE is_work AND counts
        )
    )
    WHERE a <= b
    GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Aggregated:
    """What a run over a snapshot did.

    Attributes
    ----------
    folder : Path
        Holds `parts/` (a table for each file) and `pairs.parquet`, their sum.
    files, read : int
        Files of the snapshot, and those that this run had to read.
    links : int
        Works summed over pairs: a work of three countries makes three.
    warnings : list of str
    """

    folder: Path
    files: int
    read: int
    links: int
    warnings: list[str]


def aggregate(
    snapshot: str | Path,
    out: str | Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Aggregated:
    """Count the works of each pair of countries in an OpenAlex works snapshot.

    Parameters
    ----------
    snapshot : path
        Folder of the snapshot's works (`data/jsonl/works`, `data/parquet/works` or, before 2026,
        `data/works`; partitions `updated_date=…`), as JSON lines (`.gz`, `.json`, `.jsonl`) or
        Parquet. Where its `manifest.json` is there, only files that it lists are read.
    out : path
        Folder for the counts; a run that was cut off goes on here.
    workers : int
        Threads, each with a file at a time; a file's gzip cannot be read by two.
    progress : function of (done, total, what) or None

    Notes
    -----
    Full counting: a work counts 1 for each pair of its countries. Fractional counting: it counts
    `1 / (k - 1)` for each pair of its k countries, so that it counts 1 for each of them in all
    (Perianes-Rodriguez, Waltman and van Eck 2016, doi:10.1016/j.joi.2016.10.006). Retracted works,
    paratext and OpenAlex's expansion pack are left out, as the service does. A work stands in one
    partition of a snapshot only.

    Raises
    ------
    ConfigError
        DuckDB is not installed, there is no file to read, a part is there in two formats, or `out`
        cannot be written.
    DataError
        A file cannot be read as works; the files before it stay counted.
    """
    folder, root = Path(out), Path(snapshot)
    files, warnings = files_of_works(root, folder)
    parts = folder / "parts"
    _duckdb()
    made = [path for path in (folder, parts) if not path.exists()]
    with writing(folder):
        parts.mkdir(parents=True, exist_ok=True)
    try:
        done = _aggregate(root, files, folder, parts, workers, progress)
    except BaseException:
        # What is counted stays for the next run; a folder with nothing in it is of no use.
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        raise
    return replace(done, warnings=warnings + done.warnings)


def _aggregate(
    root: Path,
    files: list[Path],
    folder: Path,
    parts: Path,
    workers: int,
    progress: Callable[[int, int, str], None] | None,
) -> Aggregated:
    wanted = {part_name(root, file): file for file in files}
    missing = {name: file for name, file in wanted.items() if not (parts / name).is_file()}
    jobs = [(file, parts / name) for name, file in missing.items()]
    for i, _ in enumerate(_count_all(jobs, folder, workers)):
        if progress:
            progress(len(files) - len(missing) + i + 1, len(files), "files")
    with _connect(folder) as connection:
        links, warnings = _sum(connection, [parts / name for name in wanted], folder)
    return Aggregated(folder, len(files), len(missing), links, warnings)


def part_name(root: Path, file: Path) -> str:
    """Return the name of a file's table: another place, size or time of change is another file."""
    facts = file.stat()
    text = f"{QUERY_VERSION} {file.relative_to(root)} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:32] + ".parquet"


def _count_all(jobs: list[tuple[Path, Path]], folder: Path, workers: int) -> Iterator[None]:
    if workers <= 1 or len(jobs) <= 1:
        with _connect(folder) as connection:
            for file, part in jobs:
                _count_file(connection, file, part)
                yield
        return
    # Threads, each with a database of its own: DuckDB works outside Python's lock, and processes
    # would load everything again.
    running: list[duckdb.DuckDBPyConnection] = []

    def one(file: Path, part: Path) -> None:
        with _connect(folder) as connection:
            running.append(connection)
            try:
                _count_file(connection, file, part)
            finally:
                running.remove(connection)

    pool = ThreadPoolExecutor(min(workers, len(jobs)))
    try:
        for future in as_completed([pool.submit(one, file, part) for file, part in jobs]):
            future.result()
            yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for connection in list(running):
            connection.interrupt()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _duckdb() -> ModuleType:
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError(
            "counting a snapshot needs DuckDB, which is not installed; pip install -e '.[snapshot]'"
        ) from error
    return duckdb


def _connect(folder: Path) -> duckdb.DuckDBPyConnection:
    return _duckdb().connect(
        config={
            "memory_limit": MEMORY,
            "threads": 1,
            "temp_directory": str(folder / "spill" / f"{os.getpid()}-{get_ident()}"),
            "preserve_insertion_order": False,
        }
    )


def _count_file(connection: duckdb.DuckDBPyConnection, file: Path, part: Path) -> None:
    import duckdb

    place = str(file).replace("'", "''")
    if file.name.endswith(".parquet"):
        source = _PARQUET.format(place=place)
    else:
        source = (
            f"read_json('{place}', format = 'newline_delimited', columns = {_COLUMNS}, "
            "maximum_object_size = {longest})"
        )
    beside = part.with_suffix(f".{os.getpid()}.part")
    try:
        _read_works(connection, source)
        seen = connection.execute("SELECT count(*), count_if(is_work) FROM works").fetchone()
        if seen and seen[0] and not seen[1]:
            raise DataError(
                f"{file}: none of its {seen[0]:,} lines is a work with year and authorships; give "
                "the snapshot's folder data/works"
            )
        target = str(beside).replace("'", "''")
        connection.execute(f"COPY ({_PART}) TO '{target}' (FORMAT parquet)")
        os.replace(beside, part)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"{file}: cannot be read as works of OpenAlex ({reason}); fetch this file again "
            "(the files counted so far stay counted)"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _read_works(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Read a file's works into the table `works`."""
    import duckdb

    for longest in LONGEST_LINES:
        try:
            connection.execute(_WORKS.format(source=source.replace("{longest}", str(longest))))
            return
        except duckdb.Error as error:
            if longest == LONGEST_LINES[-1] or "maximum_object_size" not in str(error):
                raise


def _sum(
    connection: duckdb.DuckDBPyConnection, parts: list[Path], folder: Path
) -> tuple[int, list[str]]:
    """Write the sum of the parts under ISO3 codes, and name codes of no country."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE summed AS SELECT year, field, article, top, a, b, "
        "sum(works)::BIGINT AS works, sum(fractional) AS fractional, "
        "sum(international)::BIGINT AS international "
        "FROM read_parquet($1) GROUP BY year, field, article, top, a, b",
        [[str(part) for part in parts]],
    )
    rows = connection.execute("SELECT DISTINCT a FROM summed ORDER BY a").fetchall()
    codes = pd.DataFrame({"code": [row[0] for row in rows]}, dtype=object)
    codes["iso3"] = [iso3_of(str(code)) for code in codes["code"]]
    connection.register("codes", codes)
    beside = folder / f"pairs.{os.getpid()}.part"
    target = str(beside).replace("'", "''")
    connection.execute(
        f"""COPY (
            SELECT year, field, article, top,
                least(x.iso3, y.iso3) AS country_a, greatest(x.iso3, y.iso3) AS country_b,
                works, fractional, international
            FROM summed JOIN codes x ON a = x.code JOIN codes y ON b = y.code
            WHERE x.iso3 IS NOT NULL AND y.iso3 IS NOT NULL
            ORDER BY ALL
        ) TO '{target}' (FORMAT parquet)"""
    )
    os.replace(beside, folder / "pairs.parquet")
    unknown = connection.execute(
        "SELECT a, sum(works) FROM summed JOIN codes ON a = code "
        "WHERE a = b AND iso3 IS NULL GROUP BY a ORDER BY 2 DESC"
    ).fetchall()
    warnings = []
    if unknown:
        named = some(f"{code} ({works:,} works)" for code, works in unknown)
        warnings.append(f"snapshot: left out, since no country has this code: {named}")
    counted = connection.execute("SELECT sum(works) FROM summed WHERE a < b").fetchone()
    return int(counted[0] or 0) if counted else 0, warnings
