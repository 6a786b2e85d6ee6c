"""Files that users bring. Truth: rows small enough to add up by hand, in CEPII's own columns."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcoop.errors import ConfigError, DataError, MlcoopError
from mlcoop.sources.imported.pair_files import import_files, imported_variables, pair_figures
from mlcoop.sources.service.cache import Cache
from mlcoop.sources.status import cache_status, coverage

ALL = ["trade_kusd", "common_religion", "trade_agreement_wto"]
# Gravity_V202211.csv has 87 columns; these and some that are passed over.
GRAVITY = """\
year,country_id_o,country_id_d,iso3_o,iso3_d,country_exists_o,country_exists_d,dist,comrelig,fta_wto,tradeflow_baci
2015,CHN,THA,CHN,THA,1,1,3306,0.02,1,38291.5
2015,THA,CHN,THA,CHN,1,1,3306,0.02,1,37169
2015,CHN,NAM,CHN,NAM,1,1,11700,0.01,0,
2015,NAM,CHN,NAM,CHN,1,1,11700,0.01,0,210
2015,CHN,CHN,CHN,CHN,1,1,0,NA,NA,NA
2016,CHN,THA,CHN,THA,1,1,3306,0.02,1,NA
2016,THA,CHN,THA,CHN,1,1,3306,0.02,1,NA
2015,DEU.1,CHN,DEU,CHN,0,1,7000,,,
2015,DEU.2,CHN,DEU,CHN,1,1,7000,0.3,0,90000
1961,CHN,THA,CHN,THA,1,1,3306,0.02,0,NA
2015,ANT,CHN,ANT,CHN,1,1,9000,0.1,0,5
"""
BACI = """t,i,j,k,v,q
2015,156,764,010101,10.5,1
2015,156,764,010102,20,NA
2015,764,156,010101,7,0.1
2015,156,842,010101,100,2
2015,490,156,010101,55,2
2015,711,156,010101,3,2
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def row(table: pd.DataFrame, a: str, b: str, year: int) -> pd.Series:
    return table.set_index(["country_a", "country_b", "year"]).loc[(a, b, year)]


def test_gravity_by_hand(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    path = write(tmp_path, "Gravity_V202211.csv", GRAVITY)
    done = import_files("gravity", [path], cache, today="2026-01-02")
    table, records, warnings = pair_figures(cache, ALL, 1990, 2020)
    # 38291.5 + 37169, both directions; one way known: that one; neither: missing, not zero.
    assert row(table, "CHN", "THA", 2015)["trade_kusd"] == 75460.5
    assert row(table, "CHN", "NAM", 2015)["trade_kusd"] == 210
    assert np.isnan(row(table, "CHN", "THA", 2016)["trade_kusd"])
    assert row(table, "CHN", "THA", 2016)["trade_agreement_wto"] == 1
    # East and West Germany's row (does not exist in 2015) leaves Germany's figures alone.
    assert row(table, "CHN", "DEU", 2015).tolist() == [90000, 0.3, 0]
    assert set(table["year"]) == {2015, 2016} and warnings == []
    assert done.warnings == ["CEPII Gravity: left out, no country has this code: ANT"]
    assert records[0].version == "Gravity_V202211" and records[0].licence == "Etalab-2.0"
    assert imported_variables(cache) == set(ALL)


def test_baci_by_hand_and_before_gravity(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    baci = write(tmp_path, "BACI_HS92_Y2015_V202401b.csv", BACI)
    import_files("gravity", [write(tmp_path, "g.csv", GRAVITY)], cache, today="2026-01-02")
    done = import_files("baci", [baci], cache, today="2026-01-01")
    table, records, _ = pair_figures(cache, ALL, 1990, 2020)
    # 10.5 + 20 out and 7 back; 842 is BACI's code of the United States, 490 of Taiwan.
    assert row(table, "CHN", "THA", 2015)["trade_kusd"] == 37.5
    assert row(table, "CHN", "USA", 2015)["trade_kusd"] == 100
    assert row(table, "CHN", "TWN", 2015)["trade_kusd"] == 55
    # What BACI lacks comes from Gravity.
    assert row(table, "CHN", "DEU", 2015)["trade_kusd"] == 90000
    assert row(table, "CHN", "THA", 2015)["common_religion"] == 0.02
    assert [r.source for r in records] == ["baci", "gravity"]
    assert "code 711" in done.warnings[0]


@pytest.mark.parametrize("flows", [(5, 7), (7, 5)])
def test_of_two_files_of_a_day_the_last_one_counts(flows: tuple[int, int], tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    for flow in flows:
        path = write(tmp_path, f"BACI_{flow}.csv", f"t,i,j,k,v,q\n2015,156,764,010101,{flow},1\n")
        import_files("baci", [path], cache, today="2026-01-01")
    table, _, _ = pair_figures(cache, ALL, 1990, 2020)
    assert row(table, "CHN", "THA", 2015)["trade_kusd"] == flows[1]


def test_baci_of_years_before_a_state_fell_apart(tmp_path: Path) -> None:
    # Codes of the United Nations' trade statistics: 736 Sudan until 2011, 729 Sudan and 728 South
    # Sudan since; 891 Serbia and Montenegro until 2005, 688 Serbia and 499 Montenegro since.
    old = "t,i,j,k,v,q\n2005,156,736,010101,8,1\n2005,891,156,010101,5,1\n"
    new = "t,i,j,k,v,q\n2012,156,729,010101,6,1\n2012,156,728,010101,2,1\n2012,688,156,010101,4,1\n"
    cache = Cache(tmp_path / "cache")
    paths = [write(tmp_path, "y2005.csv", old), write(tmp_path, "y2012.csv", new)]
    assert import_files("baci", paths, cache, today="2026-01-01").warnings == []
    table, _, _ = pair_figures(cache, ["trade_kusd"], 1990, 2020)
    trade = table.set_index(["country_a", "country_b", "year"])["trade_kusd"].to_dict()
    assert trade == {
        ("CHN", "SDN", 2005): 8,
        ("CHN", "SRB", 2005): 5,
        ("CHN", "SDN", 2012): 6,
        ("CHN", "SSD", 2012): 2,
        ("CHN", "SRB", 2012): 4,
    }


@pytest.mark.parametrize("how", ["zip", "gz"])
def test_compressed_as_downloaded(tmp_path: Path, how: str) -> None:
    cache = Cache(tmp_path / "cache")
    if how == "zip":
        path = tmp_path / "BACI_HS92_V202401b.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("BACI_HS92_Y2015_V202401b.csv", BACI)
            archive.writestr("BACI_HS92_Y2016_V202401b.csv", BACI.replace("2015,", "2016,"))
            archive.writestr("country_codes_V202401b.csv", "country_code,country_iso3\n4,AFG\n")
    else:
        path = tmp_path / "BACI_HS92_Y2015_V202401b.csv.gz"
        path.write_bytes(gzip.compress(BACI.encode()))
    done = import_files("baci", [path], cache, today="2026-01-01")
    assert len(done.rows) == (2 if how == "zip" else 1)
    table, _, _ = pair_figures(cache, ["trade_kusd"], 1990, 2020)
    assert set(table["year"]) == ({2015, 2016} if how == "zip" else {2015})


def test_a_second_import_reads_nothing_and_the_cache_accounts_for_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    path = write(tmp_path, "g.csv", GRAVITY)
    import_files("gravity", [path], cache, today="2026-01-02")
    again = import_files("gravity", [path], cache, today="2026-03-02")
    assert again.rows == {} and again.kept == ["g.csv"]
    status = cache_status(cache, coverage(cache))
    assert status["source"].tolist() == ["CEPII Gravity"]
    assert "common_religion" in status["what"][0] and status["years"][0] == "2015-2016"
    assert cache.problems() == []
    # A damaged body is seen, and the file is read again.
    (body,) = (tmp_path / "cache" / "bodies").glob("*/*.gz")
    body.write_bytes(b"spoilt")
    assert len(cache.problems()) == 1
    assert import_files("gravity", [path], cache, today="2026-03-02").rows == {"g.csv": 4}


BAD = {
    "no such column": ("gravity", "year,iso3_o\n2015,CHN\n", "column"),
    "another table": ("baci", GRAVITY, "column"),
    "words for numbers": ("baci", "t,i,j,k,v,q\n2015,156,764,1,much,1\n", "cannot be read"),
    "an index above one": ("gravity", GRAVITY.replace("0.02,1,38", "2.2,1,38"), "comrelig: 2.2"),
    "negative trade": ("baci", BACI.replace("100,2", "-100,2"), "v: -100 in 2015"),
    "no country": ("baci", "t,i,j,k,v,q\n2015,711,58,1,1,1\n", "no pair of countries"),
    "nothing": ("gravity", "", "cannot be read"),
    "half a download": ("gravity", "PK\x03\x04 and no end", "an archive that is cut off"),
    "years long ago": ("gravity", "\n".join(GRAVITY.splitlines()[::10]), "1985 or later"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_line_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    kind, text, expected = BAD[case]
    cache = Cache(tmp_path / "cache")
    path = write(tmp_path, "file.csv", text)
    with pytest.raises(DataError) as error:
        import_files(kind, [path], cache, today="2026-01-02")
    assert expected in str(error.value) and "\n" not in str(error.value)
    assert "file.csv" in str(error.value) and list(cache.records()) == []


@pytest.mark.parametrize("kind", ["half a gzip", "a broken gzip", "a broken archive"])
def test_a_broken_compressed_file_is_one_line_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    rows = "".join(f"2015,156,764,{n},{n * n % 997},1\n" for n in range(2000))
    name = "BACI_HS92_Y2015_V1.csv"
    if kind == "a broken archive":
        path = tmp_path / "BACI.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, f"t,i,j,k,v,q\n{rows}")
        whole = path.read_bytes()
        begin = 30 + len(name)  # where the local header ends and the stream begins
    else:
        path = tmp_path / f"{name}.gz"
        whole = gzip.compress(f"t,i,j,k,v,q\n{rows}".encode())
        begin = 10
    bad = whole[:begin] + b"\xff" * 60 + whole[begin + 60 :]
    path.write_bytes(whole[: len(whole) // 2] if kind == "half a gzip" else bad)
    cache = Cache(tmp_path / "cache")
    with pytest.raises(DataError, match="BACI.*cannot be read as CEPII BACI.*again$"):
        import_files("baci", [path], cache, today="2026-01-02")
    assert list(cache.records()) == []


def test_a_missing_file_and_an_unknown_kind_say_where_to_get_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    with pytest.raises(ConfigError, match="no such file; give BACI_HS92.*cepii.fr"):
        import_files("baci", [tmp_path / "no.zip"], cache, today="2026-01-02")
    with pytest.raises(ConfigError, match='"gravty" is not known; known are baci, gravity'):
        import_files("gravty", [], cache, today="2026-01-02")
    _, _, warnings = pair_figures(cache, ["trade_kusd"], 1990, 2020)
    assert len(warnings) == 1 and "mlcoop data import baci or gravity FILE" in warnings[0]


@given(place=st.integers(0, len(GRAVITY) - 1), put=st.sampled_from(["", ",", "x", "-", "\n", "é"]))
@settings(max_examples=40, deadline=None)
def test_mutated_files_give_a_table_or_one_line(
    place: int, put: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Invariant: never a traceback, never figures out of range, one row for a pair and year.
    folder = tmp_path_factory.mktemp("mutated")
    path = folder / "g.csv"
    path.write_text(GRAVITY[:place] + put + GRAVITY[place + 1 :], encoding="utf-8")
    cache = Cache(folder / "cache")
    try:
        import_files("gravity", [path], cache, today="2026-01-02")
    except MlcoopError as error:
        assert "\n" not in str(error)
        return
    table, _, _ = pair_figures(cache, ALL, 1900, 2100)
    assert not table.duplicated(["country_a", "country_b", "year"]).any()
    assert (table["country_a"] < table["country_b"]).all()
    assert table["common_religion"].dropna().between(0, 1).all()
    assert (table["trade_kusd"].dropna() >= 0).all()
