"""Figures of pairs from files that a user downloaded: CEPII's Gravity and BACI.

Both are large downloads behind a form, so mlcoop reads what the user has. A file is read once, in
blocks, and what it says of pairs and years goes into the cache with its checksums; the file itself
is not needed again.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pycountry

from mlcoop.countries import is_iso3
from mlcoop.errors import ConfigError, DataError, some
from mlcoop.schema import PAIR, PAIR_VARIABLES, PAIR_YEAR
from mlcoop.sources.cache import Cache, Record
from mlcoop.sources.corrections import BACI_CODES

READER = "2"  # part of a record's address: files read by another version are read again
BLOCK = 1 << 24
FIRST_YEAR = 1985  # no study's factors look back further
DAMAGED = (
    *(pa.ArrowInvalid, pa.ArrowTypeError, OSError, zipfile.BadZipFile, zlib.error, EOFError),
    UnicodeDecodeError,
)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Import:
    """A file that users download themselves.

    Attributes
    ----------
    variables : tuple of str
        Of `schema.PAIR_VARIABLES`.
    columns : dict of str to pyarrow type
        What is read of it; every one must be there.
    """

    name: str
    label: str
    page: str
    file: str
    licence: str
    citation: str
    variables: tuple[str, ...]
    columns: dict[str, pa.DataType]


_TEXT, _NUMBER = pa.string(), pa.float64()
IMPORTS: dict[str, Import] = {
    "baci": Import(
        name="baci",
        label="CEPII BACI",
        page="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37",
        file="BACI_HS92_V….zip, or its files BACI_HS92_Y…_V….csv",
        licence="Etalab-2.0",
        citation=(
            "Gaulier, G., Zignago, S. (2010). BACI: International trade database at the "
            "product-level. CEPII Working Paper 2010-23."
        ),
        variables=("trade_kusd",),
        columns={"t": pa.int64(), "i": pa.int64(), "j": pa.int64(), "v": _NUMBER},
    ),
    "gravity": Import(
        name="gravity",
        label="CEPII Gravity",
        page="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=8",
        file="Gravity_csv_V….zip, or Gravity_V….csv",
        licence="Etalab-2.0",
        citation=(
            "Conte, M., Cotterlaz, P., Mayer, T. (2022). The CEPII Gravity database. CEPII "
            "Working Paper 2022-05."
        ),
        variables=("trade_kusd", "common_religion", "trade_agreement_wto"),
        columns={
            "year": pa.int64(),
            "iso3_o": _TEXT,
            "iso3_d": _TEXT,
            "country_exists_o": _NUMBER,
            "country_exists_d": _NUMBER,
            "comrelig": _NUMBER,
            "fta_wto": _NUMBER,
            "tradeflow_baci": _NUMBER,
        },
    ),
}
_GRAVITY_NAMES = {"comrelig": "common_religion", "fta_wto": "trade_agreement_wto"}


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
    read = False
    # Dates do not tell which of two files of a day came last.
    number = max((_number(r) for _, r in cache.records() if r is not None), default=0)
    for done, path in enumerate(paths):
        if progress:
            progress(done, len(paths), path.name)
        sha = _sha256(path)
        for name, stream in _tables(path, entry):
            read = True
            address = f"import:{READER}:{path.name}:{name}:{sha}"
            key = cache.key(kind, address)
            if cache.read(kind, key) is not None:
                kept.append(name)
                continue
            with stream() as file:
                table, notes = _read(
                    entry, file, f"{path}" if name == path.name else f"{path}:{name}"
                )
            body = io.BytesIO()
            table.to_parquet(body, index=False)
            years = f"{table['year'].min()}-{table['year'].max()}"
            content = body.getvalue()
            number += 1
            about = {
                "kind": "import",
                "number": str(number),
                "variable": ", ".join(v for v in entry.variables if v in table),
                "years": years,
                "file": name,
                "file_sha256": sha,
            }
            record = Record(
                source=kind,
                address=address,
                date=today,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                licence=entry.licence,
                version=Path(name).stem,
                about=about,
            )
            cache.write(key, content, record)
            rows[name] = len(table)
            warnings += notes
    if not read:
        raise DataError(
            f"{some(p.name for p in paths)}: no table of {entry.label} inside (a CSV with columns "
            f"{', '.join(entry.columns)}); give {entry.file} from {entry.page}"
        )
    if progress:
        progress(len(paths), len(paths), "")
    return Imported(rows, kept, warnings)


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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _tables(path: Path, entry: Import) -> Iterator[tuple[str, Any]]:
    """Yield the tables of a file that have an import's columns, with a way to open each."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise DataError(f"{path}: an archive that is cut off; download it again")
        yield path.name, lambda: pa.input_stream(str(path))
        return
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if not name.lower().endswith(".csv"):
                continue
            try:
                with archive.open(name) as file:
                    head = file.readline().decode("utf-8-sig", "replace").strip().replace('"', "")
            except DAMAGED as error:
                raise _damaged(error, entry, f"{path.name}:{name}") from error
            if set(entry.columns) <= set(head.split(",")):
                yield name, _opener(archive, name)


def _opener(archive: zipfile.ZipFile, name: str) -> Callable[[], Any]:
    @contextmanager
    def open_() -> Iterator[IO[bytes]]:
        with archive.open(name) as file:
            yield file

    return open_


def _damaged(error: Exception, entry: Import, where: str) -> Exception:
    # pyarrow's word for a broken gzip stream is an OSError without number; a disk's has one.
    if isinstance(error, OSError) and error.errno is not None:
        return error
    detail = str(error).splitlines()[0][:160]
    return DataError(f"{where}: cannot be read as {entry.label} ({detail}); download it again")


def _read(entry: Import, file: Any, where: str) -> tuple[pd.DataFrame, list[str]]:
    try:
        reader = arrow_csv.open_csv(
            file,
            read_options=arrow_csv.ReadOptions(block_size=BLOCK),
            convert_options=arrow_csv.ConvertOptions(
                column_types=entry.columns,
                include_columns=list(entry.columns),
                null_values=["", "NA"],
                strings_can_be_null=True,
            ),
        )
        reduce = _gravity_block if entry.name == "gravity" else _baci_block
        blocks = [reduce(pa.Table.from_batches([batch]), where) for batch in reader]
    except pa.ArrowKeyError as error:
        raise DataError(
            f"{where}: not a table of {entry.label}: {error}; it needs columns "
            f"{', '.join(entry.columns)}"
        ) from error
    except DAMAGED as error:
        raise _damaged(error, entry, where) from error
    if not blocks:
        raise DataError(f"{where}: holds no row; download it again")
    rows = pd.concat(blocks, ignore_index=True)
    keys = ["year", "o", "d"]
    if entry.name == "gravity":
        # Former states' rows stand beside their successors': at most one of them has figures.
        directed = rows.groupby(keys, as_index=False).max()
    else:
        directed = rows.groupby(keys, as_index=False)["trade_kusd"].sum()
        directed["o"], directed["d"] = (_from_numeric(directed[end]) for end in "od")
    return _unordered(directed, entry, where)


def _gravity_block(block: pa.Table, where: str) -> pd.DataFrame:
    table = block.to_pandas()
    exist = (table["country_exists_o"] == 1) & (table["country_exists_d"] == 1)
    table = table[exist & (table["year"] >= FIRST_YEAR) & (table["iso3_o"] != table["iso3_d"])]
    _check_range(table, "comrelig", 0, 1, where)
    _check_range(table, "fta_wto", 0, 1, where)
    _check_range(table, "tradeflow_baci", 0, float("inf"), where)
    names = {"iso3_o": "o", "iso3_d": "d", "tradeflow_baci": "trade_kusd", **_GRAVITY_NAMES}
    return table.drop(columns=["country_exists_o", "country_exists_d"]).rename(columns=names)


def _baci_block(block: pa.Table, where: str) -> pd.DataFrame:
    sums = block.group_by(["t", "i", "j"]).aggregate([("v", "sum"), ("v", "min")]).to_pandas()
    _check_range(sums.rename(columns={"v_min": "v"}), "v", 0, float("inf"), where, "t")
    names = {"t": "year", "i": "o", "j": "d", "v_sum": "trade_kusd"}
    return sums.rename(columns=names)[["year", "o", "d", "trade_kusd"]]


def _check_range(
    table: pd.DataFrame, column: str, low: float, high: float, where: str, year: str = "year"
) -> None:
    odd = table[(table[column] < low) | (table[column] > high)]
    if len(odd):
        row = odd.iloc[0]
        raise DataError(
            f"{where}, {column}: {row[column]:g} in {int(row[year])} is out of its range {low:g} "
            f"to {high:g} ({len(odd)} such rows); download it again"
        )


def _from_numeric(codes: pd.Series) -> pd.Series:
    known: dict[int, str] = {}
    for code in codes.unique():
        found = pycountry.countries.get(numeric=f"{int(code):03}")
        name = BACI_CODES.get(int(code)) or (found.alpha_3 if found else None)
        known[code] = name or f"code {int(code)}"
    return codes.map(known)


def _unordered(directed: pd.DataFrame, entry: Import, where: str) -> tuple[pd.DataFrame, list[str]]:
    """Return a row for each unordered pair and year: trade both ways summed, ties as they stand."""
    codes = pd.unique(pd.concat([directed["o"], directed["d"]]).dropna())
    strange = sorted(c for c in codes if not is_iso3(str(c)))
    keep = ~(directed["o"].isin(strange) | directed["d"].isin(strange))
    keep &= directed["o"].notna() & directed["d"].notna() & (directed["o"] != directed["d"])
    directed = directed[keep]
    if directed.empty:
        raise DataError(
            f"{where}: no pair of countries that ISO 3166 knows, {FIRST_YEAR} or later; "
            "download it again"
        )
    first = directed["o"] < directed["d"]
    table = directed.assign(
        country_a=directed["o"].where(first, directed["d"]),
        country_b=directed["d"].where(first, directed["o"]),
    )
    grouped = table.groupby([*PAIR, "year"])
    columns = {
        v: grouped[v].sum(min_count=1) if v == "trade_kusd" else grouped[v].max()
        for v in entry.variables
    }
    out = pd.DataFrame(columns).reset_index().astype({"year": int})
    notes = (
        [f"{entry.label}: left out, no country has this code: {some(strange)}"] if strange else []
    )
    return out, notes
