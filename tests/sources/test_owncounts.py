"""A user's own counts. Truth: files written in plain sight."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.sources.own import own_counts
from mlcoop.sources.own.own_counts import read, unknown_pairs

HEADING = "year,country_a,country_b,works\n"


def write(tmp_path: Path, text: str, name: str = "counts.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_any_order_of_columns_ends_and_spelling_is_one_table(tmp_path: Path) -> None:
    text = "works,country_b,year,country_a\n7,CN,2019,NA\n0,Viet Nam,2019,China\n12,CHN,2020,US\n"
    counts = read(write(tmp_path, text))
    assert list(counts.table.itertuples(index=False, name=None)) == [
        ("CHN", "NAM", 2019, 7.0),
        ("CHN", "USA", 2020, 12.0),
        ("CHN", "VNM", 2019, 0.0),
    ]


def test_what_the_file_does_not_list_is_zero_or_missing_as_told(tmp_path: Path) -> None:
    path = write(tmp_path, HEADING + "2019,CN,DE,7\n2020,CN,US,3\n2020,DE,US,9\n")
    covered = set(read(path).covered.itertuples(index=False, name=None))
    assert covered == {(c, y) for c in ("CHN", "DEU", "USA") for y in (2019, 2020)}
    assert read(path, absent="missing").covered.empty


def test_a_file_of_one_countrys_pairs_says_nothing_of_others(tmp_path: Path) -> None:
    """CHN-USA in 2019 is zero; DEU-USA, of which no row could tell, is in no covered row."""
    counts = read(write(tmp_path, HEADING + "2019,CN,DE,7\n2020,US,CN,3\n"))
    covered = list(counts.covered.itertuples(index=False, name=None))
    assert covered == [("CHN", 2019), ("CHN", 2020)]
    assert unknown_pairs(counts, "f")[0].startswith("f: every row names China; pairs")


def rows_between(some: list[str], others: list[str]) -> str:
    return "".join(f"2019,{a},{b},5\n" for a in some for b in others)


def test_nor_does_a_file_of_two_countries_or_between_two_sets(tmp_path: Path) -> None:
    """Six others: by hand, no row is without CHN or KOR, and none could tell of two others."""
    others = ["DE", "FR", "IT", "ES", "PT", "NL"]
    of_two = HEADING + "2019,CN,KR,5\n" + rows_between(["CN", "KR"], others)
    counts = read(write(tmp_path, of_two))
    assert set(counts.covered["iso3"]) == {"CHN", "KOR"}
    assert unknown_pairs(counts, "f") == [
        "f: every row names one of China, South Korea; pairs of two others count as missing"
    ]
    # A pair of two others: now rows without either of the two are in the file's reach.
    more = "".join(f"2019,{a},{b},5\n" for a, b in zip(others, others[1:], strict=False))
    counts = read(write(tmp_path, of_two + more))
    assert counts.covered["iso3"].nunique() == 8 and unknown_pairs(counts, "f") == []
    between = read(write(tmp_path, HEADING + rows_between(["CN", "KR"], others)))
    assert between.covered.empty and "between two sets" in unknown_pairs(between, "f")[0]


def test_rows_are_named_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    """By hand: heading, blank, 2019, a row of empty cells, and the slip in row 5."""
    text = HEADING + "\n2019,CN,DE,7\n,,,\n2020,CN,DE,many\n"
    with pytest.raises(DataError, match=r"'many' \(row 5\)"):
        read(write(tmp_path, text))
    assert len(read(write(tmp_path, text.replace("many", "8"))).table) == 2


def test_lines_may_end_as_on_any_machine(tmp_path: Path) -> None:
    text = HEADING + "2019,CN,DE,7\n2020,CN,DE,8\n"
    path = tmp_path / "counts.csv"
    tables = []
    for ending in ("\n", "\r\n", "\r"):
        path.write_bytes(text.replace("\n", ending).encode())
        tables.append(read(path).table)
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2]) and len(tables[0]) == 2


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_byte_order_mark(tmp_path: Path, separator: str) -> None:
    text = "\ufeff" + (HEADING + "2019,CN,NA,7\n").replace(",", separator)
    assert read(write(tmp_path, text)).table["works"].tolist() == [7.0]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_first_line_for_excel_names_the_separator_and_is_no_row(
    tmp_path: Path, separator: str
) -> None:
    """By hand: Excel shows the heading as row 1, so the slip stands in row 3."""
    rows = (HEADING + "2019,CN,DE,7\n2020,CN,DE,many\n").replace(",", separator)
    text = f"\ufeffsep={separator}\n{rows}".replace("\n", "\r\n")
    path = tmp_path / "counts.csv"
    path.write_bytes(text.encode())
    with pytest.raises(DataError, match=r"'many' \(row 3\)"):
        read(path)
    path.write_bytes(text.replace("many", "8").encode())
    assert read(path).table["works"].tolist() == [7.0, 8.0]
    path.write_bytes(f"sep={separator}\n".encode())
    with pytest.raises(DataError, match="is empty"):
        read(path)


def test_parquet(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"year": [2019, 2019], "country_a": ["CN", "NA"], "country_b": ["DE", "DE"]}
    ).assign(works=[3, 4])
    path = tmp_path / "counts.parquet"
    table.to_parquet(path)
    assert read(path).table["works"].tolist() == [3.0, 4.0]
    lost = tmp_path / "lost.parquet"
    table.assign(country_a=["CN", None]).to_parquet(lost)
    with pytest.raises(DataError, match="country_a: empty in row 3"):
        read(lost)


def test_a_matrix_for_each_year(tmp_path: Path) -> None:
    text = (
        "year,country,CN,Germany,NA\n"
        "2019,CN,99,40,3\n"
        "2019,DE,40,50,\n"
        "2019,NA,,0,8\n"
        "2020,CN,,41,\n"
        "2020,DE,41,,1\n"
    )
    counts = read(write(tmp_path, text))
    assert list(counts.table.itertuples(index=False, name=None)) == [
        ("CHN", "DEU", 2019, 40.0),
        ("CHN", "DEU", 2020, 41.0),
        ("CHN", "NAM", 2019, 3.0),
        ("DEU", "NAM", 2019, 0.0),
        ("DEU", "NAM", 2020, 1.0),
    ]
    with pytest.raises(DataError, match="two sides of the matrix differ for CHN-DEU 2019"):
        read(write(tmp_path, text.replace("2019,DE,40", "2019,DE,44")))
    for slip in ("forty", "-4", "4.5", "1e99"):
        with pytest.raises(DataError, match=f"works: .*'{slip}' under Germany .row 2"):
            read(
                write(
                    tmp_path,
                    text.replace("2019,CN,99,40", f"2019,CN,99,{slip}").replace(
                        "2019,DE,40", f"2019,DE,{slip}"
                    ),
                )
            )
    with pytest.raises(DataError, match="year: .*'20' .row 5"):
        read(write(tmp_path, text.replace("2020,CN", "20,CN")))


def test_a_heading_above_an_empty_column_is_not_passed_over(tmp_path: Path) -> None:
    text = "year,country,CN,Germny,Total\n2019,CN,,,\n2019,US,4,,\n"
    with pytest.raises(DataError, match='heading: .*"Germny" .did you mean "Germany".*"Total"'):
        read(write(tmp_path, text))


def test_empty_columns_beside_the_table_are_none(tmp_path: Path) -> None:
    """As Excel writes them; one with a cell but no heading is named as what it is."""
    beside = "year;country_a;country_b;works;;\n2019;CN;DE;7;;\n"
    assert read(write(tmp_path, beside)).table["works"].tolist() == [7]
    matrix = "year;country;DE;FR; \n2019;DE;;5;\n"
    assert read(write(tmp_path, matrix)).table["works"].tolist() == [5]
    for filled in (beside.replace("7;;", "7;x;"), "," + HEADING + "0,2019,CN,DE,7\n"):
        with pytest.raises(DataError, match=r"unknown \(no heading\); they must be"):
            read(write(tmp_path, filled))


def test_names_that_are_not_understood_are_listed_for_both_columns(tmp_path: Path) -> None:
    rows = "2019,Chna,Frnce,5\n"
    with pytest.raises(DataError, match='country_a: .*"Chna".*; country_b: .*"Frnce"'):
        read(write(tmp_path, HEADING + rows))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("2019,CN,DE,-1\n", "works: .*'-1' .row 2"),
        ("2019,CN,DE,5\n2019,CN,US,1.5\n", "works: .*'1.5' .row 3"),
        ("2019,CN,DE,many\n", "works: .*'many'"),
        ("2019,CN,DE,\n", "works: .*'' .row 2"),
        ("19,CN,DE,5\n", "year: .*1800 to 2200: '19' .row 2"),
        ("2019.5,CN,DE,5\n", "year: .*'2019.5'"),
        ("2019,CN,DE,5\n2019,CN,DE,5\n", "a pair named twice: CHN-DEU 2019 .row 2 and row 3"),
        ("2019,CN,DE,5\n2019,DE,CN,5\n", "twice, in both orders: CHN-DEU 2019 .row 2 and row 3"),
        ("2019,CN,China,5\n", "paired with itself: CHN .row 2"),
        ("2019,Chna,DE,5\n", 'country_a: unknown country "Chna" .did you mean "China"'),
        ("2019,CN,,5\n", "country_b: empty in row 2"),
        ("", "no rows"),
    ],
)
def test_each_mistake_is_one_line_with_file_column_and_row(
    rows: str, words: str, tmp_path: Path
) -> None:
    path = write(tmp_path, HEADING + rows)
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_columns_must_be_those_and_no_others(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing works; unknown papers"):
        read(write(tmp_path, "year,country_a,country_b,papers\n2019,CN,DE,5\n"))
    with pytest.raises(DataError, match="works stands there twice"):
        read(write(tmp_path, "year,country_a,country_b,works,works\n2019,CN,DE,5,5\n"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be opened"),
        (b"\xff\xfe\x00y", "UTF-8"),
        (b"", "is empty"),
        (b"\n ,\n", "is empty"),
        (b'year,works\n2019,5\n2020,"7\n2021,9\n', "quote is not closed.*row 3"),
    ],
)
def test_a_file_that_is_none(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read(path)


def test_provenance_of_a_file_is_its_checksum(tmp_path: Path) -> None:
    # sha256("abc") is FIPS 180-2's first example.
    path = write(tmp_path, "abc")
    entry = own_counts.describe(path)
    assert entry["sha256"].startswith("ba7816bf8f01cfea") and str(tmp_path) not in str(entry)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADING + "2019,CN,DE,1.000\n", "works: .*'1.000' .row 2"),
        (HEADING + "2019,CN,DE,5\n2019,CN,US\n", "3 cells .row 3"),
        (HEADING + "x,2019,CN,DE,5\n", "5 cells .row 2"),
        ("year;country;CN;DE\n2019;DE;1.000;\n", "works: .*'1.000' under CN .row 2"),
        ("year,country,CN,China\n2019,DE,4,4\n", "one and the same country: CN, China"),
        ("year,country,DE\n2019,CN,4\n2019,China,4\n", "CHN 2019 .row 2., CHN 2019 .row 3"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read(write(tmp_path, text))


def test_true_and_false_are_no_counts(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    rows = {"year": [2019], "country_a": ["CN"], "country_b": ["DE"], "works": [True]}
    pd.DataFrame(rows).to_parquet(path)
    with pytest.raises(DataError, match="works: .*True"):
        read(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((HEADING + "2019,CN,DE,7\n").encode("utf-16"), "is not UTF-8 text; save it as"),
        ((HEADING + "2019,CN,DE,7\n").encode("utf-16-le"), "is not UTF-8 text; save it as"),
        (("My counts,,,\n" + HEADING).encode(), "3 of 4 columns have no heading, only My counts;"),
        ((HEADING + "2019,CN,DE,0\n").encode(), "works: no count above zero"),
        ((HEADING + '2019,CN,DE,"7,0"\n').encode(), "'7,0' .row 2.; write decimals with a point"),
        ((HEADING + "2019,CN,DE,1.000\n").encode(), "'1.000' .row 2.; .* thousands without"),
        (b'year,country,CN,DE\n2019,CN,,"1,5"\n', "'1,5' under DE .row 2.; write decimals with"),
    ],
)
def test_what_spreadsheets_make_of_a_table_is_answered_with_what_to_do(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "counts.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
