"""Counts that came later, named as their study names pairs. Truth: tables in plain sight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlcoop.errors import DataError
from mlcoop.report.institution import named
from mlcoop.schema import PAIR, Experiment
from mlcoop.sources.own.observed import read_observed

PANEL = {"pair": ["from", "to"], "year": "t", "target": "papers"}
HOME = {
    "code": "USA:I27837315",
    "id": "I27837315",
    "name": "University of Somewhere",
    "country": "USA",
    "ror": "ror:0130frc33",
}


def study(pairs: list[tuple[str, str]], **given: Any) -> Experiment:
    forecast = pd.DataFrame(pairs, columns=PAIR).assign(year=2022, predicted=1.0)
    return Experiment("s", "experiments/s", provenance={}, forecast=forecast, **given)


def written(place: Path, text: str) -> Path:
    path = place / "seen.csv"
    path.write_text(text)
    return path


def rows(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table[[*PAIR, "year", "works"]].to_numpy()]


OWN = study([("lab 12", "lab 7"), ("lab 3", "lab 7")], config={"panel": PANEL})
EXPECTED = [("lab 12", "lab 7", 2022, 4.0), ("lab 3", "lab 7", 2022, 9.0)]


@pytest.mark.parametrize(
    "text",
    [
        # The panel a year on, with its factors and a year still to come.
        "t,from,to,papers,km\n2022,lab 7,lab 12,4,1\n2022,lab 7,lab 3,9,1\n2023,lab 7,lab 3,,1\n",
        "year,country_a,country_b,works\n2022,lab 12,lab 7,4\n2022, lab 7,lab 3,9\n",
    ],
)
def test_a_ready_panels_own_codes_and_columns(text: str, tmp_path: Path) -> None:
    assert rows(read_observed(written(tmp_path, text), OWN)) == EXPECTED


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "t,from,to,papers\n2022,lab 7,lap 12,4\n",
            'seen.csv, to: in no pair of this study: "lap 12" (did you mean "lab 12"?)',
        ),
        ("t,from,to,papers\n2022,lab 7,,4\n", "seen.csv, to: empty in row 2; write its code"),
        ("t,from,to,papers\n2022,lab 7,lab 3,4.5\n", "seen.csv, papers: not a whole number"),
        (
            "t,from,to,works\n2022,lab 7,lab 3,4\n",
            "needs the columns of the study's panel (t, from, to, papers), or year, country_a,",
        ),
        ("t,from,to,papers\n2022,lab 7,lab 3,4\n2022,lab 3,lab 7,4\n", "a pair named twice"),
    ],
)
def test_slips_of_a_panel_are_one_line(text: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_observed(written(tmp_path, text), OWN)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_panel_of_countries_takes_their_names_and_other_countries(tmp_path: Path) -> None:
    panel = study([("CHN", "VNM")], config={"panel": PANEL})
    text = "year,country_a,country_b,works\n2022,Viet Nam,China,4\n2022,Viet Nam,Laos,9\n"
    assert rows(read_observed(written(tmp_path, text), panel)) == [
        ("CHN", "VNM", 2022, 4.0),
        ("LAO", "VNM", 2022, 9.0),
    ]


def test_numbers_are_codes_as_in_the_panel(tmp_path: Path) -> None:
    panel = study([("12", "7")], config={"panel": PANEL})
    path = tmp_path / "seen.parquet"
    pd.DataFrame({"t": [2022], "from": [7], "to": [12.0], "papers": [4]}).to_parquet(path)
    assert rows(read_observed(path, panel)) == [("12", "7", 2022, 4.0)]


@pytest.mark.parametrize(
    "name",
    [
        "USA:I27837315",
        "i27837315",
        "university of somewhere",
        "https://ror.org/0130frc33",
        "https://openalex.org/I27837315",
    ],
)
def test_an_institution_by_any_of_its_names(name: str, tmp_path: Path) -> None:
    at = study([("CHN", HOME["code"])], config={}, coverage={"institution": HOME})
    text = f"year,country_a,country_b,works\n2022,{name},China,4\n2022,KR,{name},9\n"
    found = read_observed(written(tmp_path, text), at)
    code = HOME["code"]
    assert rows(found) == [("CHN", code, 2022, 4.0), ("KOR", code, 2022, 9.0)]


def test_another_institution_is_named_with_the_one_that_is_meant(tmp_path: Path) -> None:
    at = study([("CHN", HOME["code"])], config={}, coverage={"institution": HOME})
    text = "year,country_a,country_b,works\n2022,University of Elsewhere,China,4\n"
    with pytest.raises(DataError) as caught:
        read_observed(written(tmp_path, text), at)
    assert "seen.csv, country_a: unknown country" in str(caught.value)
    assert 'the institution is "University of Somewhere" or USA:I27837315' in str(caught.value)


def test_pages_name_an_institution_in_every_table() -> None:
    at = study([("CHN", HOME["code"])], config={}, coverage={"institution": HOME})
    table = pd.DataFrame([("CHN", HOME["code"])], columns=PAIR)
    totals = pd.DataFrame({"total": ["focus", HOME["code"]]})
    shown = named(Experiment(**{**vars(at), "surprises": table, "totals": totals}))
    for part in (shown.forecast, shown.surprises):
        assert part is not None and part["country_b"].tolist() == [HOME["name"]]
    assert shown.totals is not None and shown.totals["total"].tolist() == ["focus", HOME["name"]]
