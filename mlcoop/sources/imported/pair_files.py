"""Figures of pairs from files that a user downloaded: CEPII's Gravity and BACI.

Both are large downloads behind a form, so mlcoop reads what the user has. A file is read once, in
blocks, and what it says of pairs and years goes into the cache with its checksums; the file itself
is not needed again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlcoop.errors import ConfigError, DataError, some
from mlcoop.schema import PAIR_VARIABLES, PAIR_YEAR
from mlcoop.sources.imported.tables import IMPORTS, Import, open_table, read_pairs, tables_in
from mlcoop.sources.service.asking import Progress
from mlcoop.sources.service.cache import Cache, Record

READER = "2"  # part of a record's address: files read by another version are read again


@dataclass(frozen=True)
class Imported:
    """What an import did: rows of pairs and years by file, files kept from before, and oddities."""

    rows: dict[str, int]
    kept: list[str]
    warnings: list[str]


def import_files(
    kind: str, paths: Sequence[Path], cache: Cache, *, today: str, progress: Progress | None = None
) -> Imported:
    """Read downloaded files into the cache; a file that is there already is not read again.

    Parameters
    ----------
    kind : {"gravity", "baci"}
    paths : sequence of Path
        CSV files, plain or compressed, or the ZIP archive as downloaded. BACI's country codes are
        taken from pycountry and `corrections.BACI_CODES`; its other tables are passed over.
    today : str
        ISO date of the record.

    Raises
    ------
    ConfigError
        Unknown kind, or a file that is not there.
    DataError
        Missing columns, values that cannot be, a file that is damaged; nothing of it is kept.
    """
    if kind not in IMPORTS:
        raise ConfigError(f'data import: "{kind}" is not known; known are {", ".join(IMPORTS)}')
    entry = IMPORTS[kind]
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; give {entry.file} from {entry.page}")
    rows: dict[str, int] = {}
    kept: list[str] = []
    warnings: list[str] = []
    # Dates do not tell which of two files of a day came last.
    number = max((_number(r) for _, r in cache.records() if r is not None), default=0)
    for done, path in enumerate(paths):
        with path.open("rb") as file:
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        for name, stream in tables_in(path, entry):
            address = f"import:{READER}:{path.name}:{name}:{sha}"
            if cache.read(kind, cache.key(kind, address)) is not None:
                kept.append(name)
                continue
            where = f"{path}" if name == path.name else f"{path}:{name}"
            with stream() as file:
                reader = open_table(entry, file, where)
                if progress:
                    progress(done, len(paths), path.name)
                table, notes = read_pairs(entry, reader, where)
            number += 1
            about = {"number": str(number), "file": name, "file_sha256": sha}
            _keep(cache, entry, address, table, about, today)
            rows[name] = len(table)
            warnings += notes
    if not (rows or kept):
        raise DataError(
            f"{some(p.name for p in paths)}: no table of {entry.label} inside (a CSV with columns "
            f"{', '.join(entry.columns)}); give {entry.file} from {entry.page}"
        )
    if progress:
        progress(len(paths), len(paths), "")
    return Imported(rows, kept, warnings)


def _keep(
    cache: Cache,
    entry: Import,
    address: str,
    table: pd.DataFrame,
    about: dict[str, str],
    today: str,
) -> None:
    """Write a table of pairs into the cache; `about` says which file it is from."""
    body = io.BytesIO()
    table.to_parquet(body, index=False)
    content = body.getvalue()
    record = Record(
        source=entry.name,
        address=address,
        date=today,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        licence=entry.licence,
        version=Path(about["file"]).stem,
        about={
            "kind": "import",
            "variable": ", ".join(v for v in entry.variables if v in table),
            "years": f"{table['year'].min()}-{table['year'].max()}",
            **about,
        },
    )
    cache.write(cache.key(entry.name, address), content, record)


def imported_variables(cache: Cache) -> set[str]:
    """Return the pair variables that the cache holds."""
    return {
        variable
        for _, record in cache.records()
        if record is not None and record.source in IMPORTS
        for variable in record.about.get("variable", "").split(", ")
    }


def how_to_get(variable: str) -> str:
    """Return where a pair variable comes from and what to do with it, for an error.

    >>> how_to_get("common_religion").split(";")[1]
    ' then run: mlcoop data import gravity FILE'
    """
    entry = next(e for e in reversed(IMPORTS.values()) if variable in e.variables)
    names = " or ".join(e.name for e in IMPORTS.values() if variable in e.variables)
    return (
        f"comes from a file that you download: {entry.label} ({entry.page}); then run: "
        f"mlcoop data import {names} FILE"
    )


def pair_figures(
    cache: Cache, variables: Sequence[str], first: int, last: int
) -> tuple[pd.DataFrame, list[Record], list[str]]:
    """Return imported figures by pair and year, the records behind them, and warnings.

    Where several files hold a variable, BACI goes before Gravity, and of two files of one kind the
    one imported last.

    Returns
    -------
    table : DataFrame
        `country_a, country_b, year` and one column for each variable that any file holds.
    records : list of Record
    warnings : list of str
        Variables that no file holds.
    """
    wanted = [v for v in PAIR_VARIABLES if v in variables]
    files = [
        (list(IMPORTS).index(record.source), (record.date, _number(record)), path.stem, record)
        for path, record in cache.records()
        if record is not None and record.source in IMPORTS
    ]
    # The later of a kind first, then the kinds in their order: the first value found is taken.
    files.sort(key=lambda f: (f[1], f[2]), reverse=True)
    files.sort(key=lambda f: f[0])
    used, parts = [], []
    for _, _, key, record in files:
        held = cache.read(record.source, key)
        if held is None:
            raise DataError(
                f"cache: the import of {record.about.get('file')} is damaged; import it again"
            )
        table = pd.read_parquet(io.BytesIO(held[0]))
        columns = [v for v in wanted if v in table]
        if columns:
            table = table.loc[table["year"].between(first, last), [*PAIR_YEAR, *columns]]
            parts.append(table)
            used.append(record)
    warnings = [f"{v}: {how_to_get(v)}" for v in wanted if not any(v in table for table in parts)]
    if not parts:
        return pd.DataFrame(columns=PAIR_YEAR), [], warnings
    joined = pd.concat(parts, ignore_index=True)
    # `first` skips what is missing: a later file fills the gaps of an earlier one.
    return joined.groupby(PAIR_YEAR, as_index=False).first(), used, warnings


def _number(record: Record) -> int:
    return int(record.about.get("number", 0))
