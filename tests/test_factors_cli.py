"""Truth: the catalogue itself, and an experiment folder made by hand beside it."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
from commands import mlcoop

from mlcoop.features.catalogue import FACTORS
from mlcoop.forecast.network import POSITIONS


def factors(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return mlcoop("factors", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one experiment: China with two partners, four years, distance and GDP."""
    place = tmp_path_factory.mktemp("factors")
    folder = place / "experiments" / "two"
    folder.mkdir(parents=True)
    config = "name: two\nfocus: {focal: CHN, partners: [KAZ, THA]}\n"
    (folder / "config.yaml").write_text(config)
    (place / "two.yaml").write_text(config)
    rows = [("CHN", b, y) for b in ("KAZ", "THA") for y in range(2001, 2005)]
    panel = pd.DataFrame(rows, columns=["country_a", "country_b", "year"])
    km = {"KAZ": 1000.0, "THA": 3000.0}
    panel = panel.assign(works=1.0, dist_km=panel["country_b"].map(km))
    panel.assign(gdp_usd2015_a=1e12, gdp_usd2015_b=1e11).to_parquet(folder / "panel.parquet")
    known = [
        {"factor": "distance", "role": "pair", "coverage": 1.0},
        {"factor": "gdp_partner", "role": "partner", "coverage": 0.75},
        {"factor": "gdp_focal", "role": "focal", "coverage": 1.0},
    ]
    coverage = {"countries": ["CHN", "KAZ", "THA"], "factors": known}
    (folder / "coverage.json").write_text(json.dumps(coverage))
    return place


def test_the_list_shows_what_each_factor_is_and_how_much_of_it_is_there(place: Path) -> None:
    plain = factors(cwd=place)
    assert plain.returncode == 0 and f"{len(FACTORS)} factors" in plain.stdout
    assert "data available" not in plain.stdout
    for how in (("--experiment", "two"), ("--config", "two.yaml")):
        done = factors(*how, "--json", cwd=place)
        rows = {row["name"]: row for row in json.loads(done.stdout)}
        network = {p.name for p in POSITIONS}
        assert set(rows) == {*FACTORS, *network}
        assert {n for n, row in rows.items() if row.get("forecast_only")} == network
        assert rows["gdp"]["coverage"] == {"gdp_partner": 0.75, "gdp_focal": 1.0}
        assert rows["distance"]["coverage"] == {"distance": 1.0}
        assert rows["patents"]["coverage"] == {}
    listed = factors("--experiment", "two", cwd=place).stdout
    assert "75 % / 100 %" in listed and "not in this study" in listed


def test_an_input_of_the_forecast_model_alone_is_shown_as_such(tmp_path: Path) -> None:
    shown = factors("partners_in_common", cwd=tmp_path)
    assert shown.returncode == 0 and "forecast model only" in shown.stdout
    (row,) = json.loads(factors("partners_in_common", "--json", cwd=tmp_path).stdout)
    assert row["group"] == "network_position" and row["forecast_only"]
    listed = json.loads(factors("network_position", "--json", cwd=tmp_path).stdout)
    assert [row["name"] for row in listed] == [p.name for p in POSITIONS]
    slip = factors("partners_in_comon", cwd=tmp_path)
    assert slip.returncode == 2 and '"partners_in_common"' in slip.stderr


def test_no_distribution_is_promised_of_what_only_the_forecast_reads(place: Path) -> None:
    shown = factors("partners_in_common", "--experiment", "two", cwd=place)
    assert shown.returncode == 0 and "keeps no distribution" in shown.stderr


def test_one_factor_with_its_distribution_and_picture(place: Path) -> None:
    done = factors("distance", "--experiment", "two", "--picture", "d.svg", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["definition"] == FACTORS["distance"].definition
    # ln 1000 and ln 3000 in target years 2002 to 2004.
    bars = row["distribution"][0]["bars"]
    assert [round(b["low"], 4) for b in bars] == [6.9078, 8.0064]
    assert [b["rows"] for b in bars] == [3, 3]
    assert ET.parse(place / "d.svg").getroot().tag.endswith("svg")
    shown = factors("gdp", "--experiment", "two", cwd=place).stdout
    assert "expected sign: +" in shown and "focal country (log USD of 2015)" in shown
    assert shown.count("█") >= 80 and "data available: 75 % / 100 %" in shown


BAD = {
    "an unknown factor": (
        ["distnce"],
        'unknown factor or group "distnce". Did you mean "distance"?',
    ),
    "a picture of the whole list": (["--picture", "x.png"], "--picture: needs the name of one"),
    "a picture of another kind": (["gdp", "--picture", "x.pdf"], ".png or .svg"),
    "two studies": (["--experiment", "two", "--config", "two.yaml"], "give one of them"),
    "no such study": (["--experiment", "tow"], 'did you mean "two"?'),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_exit_2_and_nothing_written(case: str, place: Path) -> None:
    arguments, expected = BAD[case]
    done = factors(*arguments, cwd=place)
    assert done.returncode == 2 and done.stdout == ""
    assert expected in done.stderr and len(done.stderr.splitlines()) == 1
    assert not done.stderr.startswith("factors[") and not list(place.glob("x.*"))


def test_a_factor_that_the_study_lacks_is_still_defined(place: Path) -> None:
    done = factors("bilateral_trade", "--experiment", "two", cwd=place)
    assert done.returncode == 0 and "mlcoop data import" in done.stderr
    assert FACTORS["bilateral_trade"].definition in done.stdout


def test_a_factor_whose_file_was_not_imported_is_refused_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    (tmp_path / "x.yaml").write_text(
        "name: x\nfocus: {focal: CHN, partners: asean}\nfactors: [distance, bilateral_trade]\n"
    )
    # No service is asked: this one would refuse the connection.
    down = {"MLCOOP_OPENALEX_URL": "http://127.0.0.1:9"}
    done = mlcoop("run", "x.yaml", cwd=tmp_path, **down)
    assert done.returncode == 2 and not (tmp_path / "experiments").exists()
    assert "bilateral_trade" in done.stderr and "mlcoop data import baci or gravity" in done.stderr
    (tmp_path / "BACI_Y2015.csv").write_text("t,i,j,k,v,q\n2015,156,764,010101,10.5,1\n")
    imported = mlcoop("data", "import", "baci", "BACI_Y2015.csv", cwd=tmp_path, **down)
    assert imported.returncode == 0 and "BACI_Y2015.csv: 1 pairs and years" in imported.stdout
    # Now the run gets as far as the service that is not there.
    again = mlcoop("run", "x.yaml", cwd=tmp_path, **down)
    assert again.returncode == 1 and "OpenAlex" in again.stderr
