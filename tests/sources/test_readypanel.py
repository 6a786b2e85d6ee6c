"""A user's ready panel. Truth: files written in plain sight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.sources.own.ready_panel import read

PARTS = {"pair": ["i", "j"], "year": "t", "target": "y", "exposure": "e", "factors": ["f", "g"]}
HEADING = "note,i,j,t,y,e,f,g\n"


def write(tmp_path: Path, rows: str) -> Path:
    path = tmp_path / "panel.csv"
    path.write_text(HEADING + rows)
    return path


def test_the_named_columns_come_back_typed_sorted_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "x,b,a,2001,3,1.5,0.1,\nx,NA,a,2001,,2,NA,-4\nx,a,b,2000,0,1,.,1e3\n")
    table = read(path, **PARTS)
    expected = pd.DataFrame(
        {
            "i": ["NA", "a", "a"],
            "j": ["a", "b", "b"],
            "t": [2001, 2000, 2001],
            "y": [np.nan, 0.0, 3.0],
            "e": [2.0, 1.0, 1.5],
            "f": [np.nan, np.nan, 0.1],
            "g": [-4.0, 1000.0, np.nan],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_year_and_exposure_may_be_absent(tmp_path: Path) -> None:
    path = write(tmp_path, "x,a,b,2001,3,1,0.1,2\nx,a,c,2001,4,1,0.2,3\n")
    table = read(path, pair=["i", "j"], target="y", factors=["f"])
    assert list(table.columns) == ["i", "j", "y", "f"] and len(table) == 2


def test_parquet_with_numbers_as_ends(tmp_path: Path) -> None:
    table = pd.DataFrame({"i": [1, 10], "j": [2.0, 3.0], "y": [5, 6], "f": [True, False]})
    path = tmp_path / "panel.parquet"
    table.to_parquet(path)
    got = read(path, pair=["i", "j"], target="y", factors=["f"])
    assert got[["i", "j"]].to_numpy().tolist() == [["1", "2"], ["10", "3"]]
    assert got["f"].tolist() == [1.0, 0.0]


def test_text_of_true_and_false_and_a_gzipped_file(tmp_path: Path) -> None:
    """pandas writes booleans so, and compresses `panel.csv.gz` unasked."""
    path = tmp_path / "panel.csv.gz"
    table = pd.DataFrame(
        {"i": ["a", "a", "b"], "j": ["b", "c", "c"], "y": 1, "f": [True, False, None]}
    )
    table.to_csv(path, index=False)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    got = read(path, pair=["i", "j"], target="y", factors=["f"])
    np.testing.assert_array_equal(got["f"], [1.0, 0.0, np.nan])
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="cannot be read as a table"):
        read(path, pair=["i", "j"], target="y", factors=["f"])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("x,a,b,2001,-3,1,1,1\n", "y: a count below zero: '-3' .row 2"),
        ("x,a,b,2001,3,0,1,1\n", "e: an exposure that is not above zero: '0' .row 2"),
        ("x,a,b,2001,3,,1,1\n", "e: an exposure that is not above zero: '' .row 2"),
        ("x,a,b,2001,3,1,high,1\n", "f: no number: 'high' .row 2"),
        ("x,a,b,2001,3,1,'1,5',1\n".replace("'", '"'), "f: no number: '1,5' .row 2.; .* a point"),
        ("x,a,b,2001,3,1,1 500,1\n", "f: no number: '1 500' .row 2.; .*thousands without a mark"),
        ("x,a,b,2001,0,1,1,1\nx,a,c,2001,0,1,1,1\n", "y: no count above zero"),
        ("x,a,b,2001,3,1,inf,1\n", "f: infinite: 'inf' .row 2"),
        ("x,a,b,20x1,3,1,1,1\n", "t: .*'20x1' .row 2"),
        ("x,a,b,,3,1,1,1\n", "t: .*'' .row 2"),
        ("x,a,a,2001,3,1,1,1\n", "two sides are the same: a .row 2"),
        ("x,a,,2001,3,1,1,1\n", "j: an empty cell: '' .row 2"),
        ("x,a,b,2001,,1,1,1\n", "y: no value in any row"),
        ("x,a,b,2001,3,1,,1\n", "no value in any row of f"),
        ("x,a,b,2001,3,1,1,1\nx,b,a,2001,3,1,1,1\n", "in both orders: a b 2001 .row 2, row 3"),
        ("", "no rows"),
    ],
)
def test_each_mistake_is_one_line(rows: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, rows)
    with pytest.raises(DataError, match=words) as caught:
        read(path, **PARTS)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_columns_that_are_not_there_or_have_two_parts(tmp_path: Path) -> None:
    path = write(tmp_path, "x,a,b,2001,3,1,1,1\n")
    with pytest.raises(DataError, match='no column "h" .panel.factors.; the file has note, i, j'):
        read(path, **{**PARTS, "factors": ["f", "h"]})
    with pytest.raises(DataError, match="column y is given two parts"):
        read(path, **{**PARTS, "factors": ["f", "y"]})
    with pytest.raises(DataError, match="occurs twice.*name the column of years"):
        read(write(tmp_path, "x,a,b,1,3,1,1,1\nx,a,b,2,3,1,1,1\n"), **{**PARTS, "year": None})


@pytest.mark.parametrize(
    ("key", "given", "slip", "meant"),
    [
        ("pair", ["origin", "destinaton"], "destinaton", "destination"),
        ("year", "yr", "yr", "year"),
        ("target", "work", "work", "works"),
        ("exposure", "exposur", "exposur", "exposure"),
        ("factors", ["distnce", "trade"], "distnce", "distance"),
    ],
)
def test_a_mistyped_column_is_named_with_its_key_and_the_nearest_that_is_free(
    key: str, given: str | list[str], slip: str, meant: str, tmp_path: Path
) -> None:
    """Truth: one letter is left out. "yr" is as near to y, but a factor has that column."""
    path = tmp_path / "panel.csv"
    path.write_text("origin,destination,year,works,exposure,distance,trade,y\na,b,2001,3,1,5,6,7\n")
    right = {"pair": ["origin", "destination"], "year": "year", "target": "works"}
    right |= {"exposure": "exposure", "factors": ["distance", "trade", "y"]}
    assert len(read(path, **right)) == 1
    if key == "factors":
        given = [*given, "y"]
    with pytest.raises(DataError) as caught:
        read(path, **{**right, key: given})
    line = f'{path}: no column "{slip}" (panel.{key}; did you mean "{meant}"?)'
    assert str(caught.value) == line


def test_columns_that_are_not_there_are_told_of_together(tmp_path: Path) -> None:
    path = write(tmp_path, "x,a,b,2001,3,1,1,1\n")
    with pytest.raises(DataError) as caught:
        read(path, **{**PARTS, "pair": ["i", "jj"], "factors": ["zz"]})
    assert str(caught.value) == (
        f'{path}: no column "jj" (panel.pair; did you mean "j"?), "zz" (panel.factors); '
        "the file has note, i, j, t, y, e, f, g"
    )
