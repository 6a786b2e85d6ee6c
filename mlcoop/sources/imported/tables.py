"""Tables inside the files that users download, CEPII's Gravity and BACI, read in blocks."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pycountry

from mlcoop.countries import is_iso3
from mlcoop.errors import DataError, some
from mlcoop.schema import PAIR
from mlcoop.sources.corrections import BACI_CODES

BLOCK = 1 << 24
FIRST_YEAR = 1985  # no study's factors look back further
DAMAGED = (
    *(pa.ArrowInvalid, pa.ArrowTypeError, OSError, zipfile.BadZipFile, zlib.error, EOFError),
    UnicodeDecodeError,
)


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


def tables_in(path: Path, entry: Import) -> Iterator[tuple[str, Any]]:
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


def open_table(entry: Import, file: Any, where: str) -> arrow_csv.CSVStreamingReader:
    """Return a reader of a file's blocks; only the first has been read.

    Raises
    ------
    DataError
        Missing columns, or a file that is damaged from the start.
    """
    try:
        return arrow_csv.open_csv(
            file,
            read_options=arrow_csv.ReadOptions(block_size=BLOCK),
            convert_options=arrow_csv.ConvertOptions(
                column_types=entry.columns,
                include_columns=list(entry.columns),
                null_values=["", "NA"],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowKeyError as error:
        raise DataError(
            f"{where}: not a table of {entry.label}: {error}; it needs columns "
            f"{', '.join(entry.columns)}"
        ) from error
    except DAMAGED as error:
        raise _damaged(error, entry, where) from error


def read_pairs(
    entry: Import, reader: arrow_csv.CSVStreamingReader, where: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return a file's figures by unordered pair and year, and what was left out.

    Raises
    ------
    DataError
        Values that cannot be, a file that is damaged.
    """
    reduce = _gravity_block if entry.name == "gravity" else _baci_block
    try:
        blocks = [reduce(pa.Table.from_batches([batch]), where) for batch in reader]
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
