"""Distances and ties. Truth: the published file itself, and facts of geography."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sources_tools import CEPII_OLD as OLD
from sources_tools import archive
from sources_tools import cepii_table as table

from mlcoop.errors import SourceError
from mlcoop.schema import TIE_VARIABLES
from mlcoop.sources import cepii
from mlcoop.sources.cepii import NAMES, fetch, tidy
from mlcoop.sources.corrections import SUPPLEMENTS


@pytest.fixture(autouse=True)
def no_supplement(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "shared_data" not in request.fixturenames:
        empty = pd.DataFrame(columns=["country_a", "country_b", *TIE_VARIABLES])
        monkeypatch.setattr(cepii, "_supplement", lambda _: empty)


def test_old_codes_become_isos_and_both_directions_one_pair() -> None:
    raw = table()
    raw.loc[(raw["iso_o"] == "CHN") & (raw["iso_d"] == "ROM"), "contig"] = 1
    ties, warnings = tidy(archive(raw))
    countries = set(ties["country_a"]) | set(ties["country_b"])
    assert set(OLD) <= countries and not set(OLD.values()) & countries and "ANT" not in countries
    assert len(ties) == len(countries) * (len(countries) - 1) / 2
    assert (ties["country_a"] < ties["country_b"]).all()
    # One direction only says that they touch: taken as true, and said.
    assert ties.set_index(["country_a", "country_b"]).at[("CHN", "ROU"), "contiguous"] == 1
    assert any("CHN-ROU" in line for line in warnings)


def test_a_repaired_source_fails_loudly() -> None:
    raw = table()
    renamed = raw.replace({"iso_o": {"ROM": "ROU"}, "iso_d": {"ROM": "ROU"}})
    with pytest.raises(SourceError, match="ROM.*corrections"):
        tidy(archive(renamed))


def test_a_border_that_the_source_has_taken_away_itself_fails_loudly() -> None:
    raw = table()
    pair = {"KEN", "SDN"}
    raw.loc[raw["iso_o"].isin(pair) & raw["iso_d"].isin(pair), "contig"] = 0
    with pytest.raises(SourceError, match="KEN-SDN.*corrections"):
        tidy(archive(raw))


def test_directions_that_differ_beyond_rounding_are_refused() -> None:
    raw = table()
    row = (raw["iso_o"] == "CHN") & (raw["iso_d"] == "DEU")
    raw.loc[row, "distw"] += 0.01
    tidy(archive(raw))
    raw.loc[row, "distw"] += 50
    with pytest.raises(SourceError, match="distw_km of CHN-DEU differs by 50"):
        tidy(archive(raw))


def test_what_is_no_such_file_is_refused() -> None:
    raw = table()
    bad = {
        "no zip": b"<html>",
        "cut": archive(raw)[:-2000],
        "other name": archive(raw, "readme.txt"),
        "rows missing": archive(raw.iloc[:-1]),
        "column missing": archive(raw.drop(columns="dist")),
        "negative": archive(raw.assign(dist=-1.0)),
        "beyond the Earth": archive(raw.assign(dist=30_000.0)),
        "no flag": archive(raw.assign(contig=7)),
    }
    for content in bad.values():
        with pytest.raises(ValueError):
            cepii.read(content)


def test_cepiis_own_stata_file_comes_first_and_an_archive_of_a_mirror_second(
    serve: Any, quick_client: Any, tmp_path: Path
) -> None:
    raw = table()
    stata = io.BytesIO()
    raw.to_stata(stata, write_index=False)
    whole = {"/distance/dist_cepii.dta": stata.getvalue()}
    mirror = {"/distance/dist_cepii.zip": archive(raw)}
    tables = []
    for files in (whole, mirror):
        service = serve(
            lambda path, _, f=files: (200, {}, f[path]) if path in f else (404, {}, b"")
        )
        place = tmp_path / str(len(tables))
        client = quick_client({"MLCOOP_CEPII_URL": service.base}, cache_dir=place)
        tables.append(tidy(fetch(client).content)[0])
        fetch(client)
        assert len(service.paths) == 1 + (files is mirror), "nothing is asked for twice"
    pd.testing.assert_frame_equal(*tables)


def test_ties_are_the_published_ones(standin: Any, quick_client: Any, shared_data: Path) -> None:
    ties, warnings = tidy(fetch(quick_client(standin.environ())).content)
    with zipfile.ZipFile(shared_data / "dist_cepii.zip") as zipped:
        raw = pd.read_csv(zipped.open("dist_cepii.csv"), keep_default_na=False)
    raw = raw.set_index(["iso_o", "iso_d"])
    mine = ties.set_index(["country_a", "country_b"])
    for a, b in [("CHN", "DEU"), ("CHN", "NAM"), ("CHN", "HKG"), ("FRA", "GBR"), ("IND", "PAK")]:
        for theirs, ours in NAMES.items():
            published = max(float(raw.at[(a, b), theirs]), float(raw.at[(b, a), theirs]))
            assert mine.at[(a, b), ours] == published
    assert mine.at[("CHN", "ROU"), "dist_km"] == float(raw.at[("CHN", "ROM"), "dist"])
    assert mine.at[("CHN", "SRB"), "dist_km"] == float(raw.at[("CHN", "YUG"), "dist"])
    assert mine.at[("CHN", "COD"), "dist_km"] == float(raw.at[("CHN", "ZAR"), "dist"])
    # distw is not published for Hong Kong and others: missing, not 0.
    blank = (raw["distw"] == "") | (raw["distw"] == ".")
    assert blank.any() and mine["distw_km"].min() > 0
    assert sum("same_country" in line for line in warnings) == 1


def test_countries_that_cepii_lacks_have_distances_and_borders_but_no_invented_ties(
    shared_data: Path,
) -> None:
    ties, _ = tidy((shared_data / "dist_cepii.zip").read_bytes())
    mine = ties.set_index(["country_a", "country_b"])
    # Great circle Beijing to Podgorica, from their coordinates 39.90 N 116.41 E and 42.44 N
    # 19.26 E: about 7,700 km. Montenegro's neighbours: Croatia, Bosnia, Serbia, Kosovo, Albania.
    assert mine.at[("CHN", "MNE"), "distcap_km"] == pytest.approx(7700, rel=0.02)
    touching = mine[mine["contiguous"] == 1].index
    assert {(a, b) for a, b in touching if "MNE" in (a, b)} == {
        ("ALB", "MNE"),
        ("BIH", "MNE"),
        ("HRV", "MNE"),
        ("MNE", "SRB"),
        ("MNE", "XKX"),
    }
    assert np.isnan(mine.at[("CHN", "SSD"), "colony"])
    # Independent of Sudan since 9 July 2011; parts of Yugoslavia until 1992, and of Serbia and
    # Montenegro until 2006 and 2008.
    for pair in [("SDN", "SSD"), ("MNE", "SRB"), ("SRB", "XKX"), ("HRV", "MNE"), ("MNE", "XKX")]:
        assert mine.at[pair, "same_country"] == 1
    assert np.isnan(mine.at[("ALB", "XKX"), "same_country"])
    countries = set(ties["country_a"]) | set(ties["country_b"])
    assert set(SUPPLEMENTS) <= countries


@pytest.mark.parametrize(
    ("country", "neighbours"),
    [
        # CIA World Factbook, land boundaries: border countries.
        ("SDN", {"CAF", "EGY", "ERI", "ETH", "LBY", "SSD", "TCD"}),
        ("SSD", {"CAF", "COD", "ETH", "KEN", "SDN", "UGA"}),
        ("SRB", {"BGR", "BIH", "HRV", "HUN", "MKD", "MNE", "ROU", "XKX"}),
        ("XKX", {"ALB", "MKD", "MNE", "SRB"}),
        ("ALB", {"GRC", "MKD", "MNE", "XKX"}),
    ],
)
def test_borders_are_not_counted_for_a_state_and_its_successor_both(
    shared_data: Path, country: str, neighbours: set[str]
) -> None:
    ties, warnings = tidy((shared_data / "dist_cepii.zip").read_bytes())
    touching = ties[ties["contiguous"] == 1]
    a, b = touching["country_a"], touching["country_b"]
    assert {*b[a == country], *a[b == country]} == neighbours
    assert any("Kenya borders South Sudan" in line for line in warnings)
