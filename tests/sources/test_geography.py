"""Truths: published distances and borders; CEPII's own figures where the shared data are there."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.schema import TIES, check
from mlcoop.sources.geography import common_spoken_language, populations, ties

SHARED = Path(os.environ.get("MLCOOP_SHARED", Path(__file__).parents[3] / "shared"))


def row(a: str, b: str) -> pd.Series:
    return ties([a, b]).iloc[0]


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        # Great-circle distances between capitals as CEPII GeoDist publishes them (distcap).
        ("CHN", "RUS", 5795),
        ("CHN", "PAK", 3878),
        ("GBR", "USA", 5904),
        ("FRA", "DEU", 879),
    ],
)
def test_distances_between_capitals(a: str, b: str, km: float) -> None:
    # Half a percent: the city's point is not the same in both sources.
    assert row(a, b)["distcap_km"] == pytest.approx(km, rel=0.005)


def test_land_borders() -> None:
    # China's fourteen neighbours; Hong Kong and Macao are no states with a border here.
    neighbours = [
        "AFG",
        "BTN",
        "IND",
        "KAZ",
        "KGZ",
        "LAO",
        "MMR",
        "MNG",
        "NPL",
        "PAK",
        "PRK",
        "RUS",
        "TJK",
        "VNM",
    ]
    table = ties(["CHN", *neighbours, "THA", "JPN", "IRN"])
    china = table[(table["country_a"] == "CHN") | (table["country_b"] == "CHN")]
    bordering = china[china["contiguous"] == 1]
    partners = set(bordering["country_a"]) | set(bordering["country_b"])
    assert partners - {"CHN"} == set(neighbours)


def test_languages() -> None:
    # Official in both: German in Austria and Germany, Portuguese in Brazil and Portugal.
    assert row("AUT", "DEU")["common_official_language"] == 1
    assert row("BRA", "PRT")["common_official_language"] == 1
    assert row("CHN", "LAO")["common_official_language"] == 0
    # Serbian and Croatian are one spoken language, Malay and Indonesian too.
    assert common_spoken_language("HRV", "SRB") > 0.9
    assert common_spoken_language("IDN", "MYS") > 0.4
    assert common_spoken_language("DEU", "AUT") == common_spoken_language("AUT", "DEU")
    assert 0 <= common_spoken_language("CHN", "IND") < 0.1


def test_table_is_what_the_panel_expects_and_order_of_countries_is_free() -> None:
    table = ties(["KAZ", "CHN", "DEU"])
    check(table, TIES, "ties")
    pd.testing.assert_frame_equal(table, ties(["DEU", "KAZ", "CHN", "CHN"]))
    unknown = ["colony", "common_coloniser", "colony_after_1945", "same_country"]
    assert table[unknown].isna().all().all() and table["dist_km"].notna().all()


def test_population_of_the_world_is_about_eight_thousand_million() -> None:
    # United Nations, November 2022: eight thousand million; GeoNames is some years behind.
    everyone = ["CHN", "IND", "USA", "IDN", "PAK", "BRA", "NGA", "BGD", "RUS", "MEX"]
    # The ten largest hold 4.5 thousand million (UN World Population Prospects 2022).
    assert populations(everyone).sum() == pytest.approx(4.5e9, rel=0.1)


def test_unknown_code_is_named() -> None:
    with pytest.raises(DataError, match="XXX"):
        ties(["CHN", "XXX"])


def test_against_cepii() -> None:
    archive = SHARED / "data" / "dist_cepii.zip"
    if not archive.exists():
        pytest.skip("no shared data beside the project: CEPII's figures are not in it")
    with zipfile.ZipFile(archive) as files, files.open("dist_cepii.csv") as stream:
        cepii = pd.read_csv(stream)
    codes = ["CHN", "DEU", "EGY", "IND", "IRN", "KAZ", "MYS", "PAK", "POL", "RUS", "SGP", "THA"]
    table = ties(codes).merge(
        cepii, left_on=["country_a", "country_b"], right_on=["iso_o", "iso_d"], validate="1:1"
    )
    assert len(table) == 66  # twelve countries
    # Over all 24,310 pairs the median difference is 0.1 %; these codes have undisputed capitals.
    assert np.abs(np.log(table["distcap_km"] / table["distcap"])).max() < 0.02
    assert (table["contiguous"] == table["contig"]).mean() > 0.98  # Singapore's causeway
