"""`mlcoop forecast`. Truth: folders and sums by hand, and the contract of the README."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import mlcoop
from typer.testing import CliRunner

from mlcoop.cli import app
from mlcoop.errors import MlcoopError
from mlcoop.scenario.model import ScenarioModel

KEYS = ["country_a", "country_b", "year"]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of China with two partners, with what a score and a table need."""
    folder = tmp_path / "experiments" / "s"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: s\nfocus: {focal: CHN, partners: [VNM, KOR]}\n")
    pairs = [("CHN", "VNM"), ("CHN", "KOR")]
    past = [
        (*p, y, w) for p, w in zip(pairs, (40.0, 100.0), strict=True) for y in range(2018, 2022)
    ]
    pd.DataFrame(past, columns=[*KEYS, "works"]).to_parquet(folder / "panel.parquet")
    table = pd.DataFrame([(*p, 2022) for p in pairs], columns=KEYS)
    table = table.assign(
        last_year=2021,
        last_observed=[40.0, 100.0],
        predicted=[45.0, 120.0],
        lower=[30.0, 90.0],
        upper=[60.0, 150.0],
        level=0.9,
        p_zero=0.0,
        in_focus=True,
        restless=1.0,
    )
    table.to_csv(folder / "forecast.csv", index=False)
    return tmp_path


def test_a_score_reads_names_in_any_usual_spelling(study: Path) -> None:
    # Errors 5 and 30 of 50 + 90 = 140: 25 %. Persistence 10 and 10 of 140: 14.3 %, and the counts
    # never moved, so the other rules say the same. 90 lies on the lower bound: inside.
    rows = "year,country_a,country_b,works\n2022,Viet Nam,PR China,50\n2022,cn,South Korea,90\n"
    (study / "seen.csv").write_text(rows)
    done = mlcoop("forecast", "score", "s", "--observed", "seen.csv", "--json", cwd=study)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["scores"]
    assert [s["set"] for s in scores] == ["focus", "all"]
    assert scores[0]["wape"] == pytest.approx(0.25)
    assert scores[0]["best_rule_wape"] == pytest.approx(20 / 140)
    assert scores[0]["coverage"] == 1.0
    said = mlcoop("forecast", "score", "s", "--observed", "seen.csv", cwd=study).stdout
    assert (
        "error (WAPE) 25.0 %" in said
        and "75.0 % more error" in said
        and "China–South Korea" in said
    )


def test_a_rule_that_was_exactly_right_has_no_error_to_undercut(study: Path) -> None:
    rows = "year,country_a,country_b,works\n2022,VNM,CHN,40\n2022,CHN,KOR,100\n"
    (study / "seen.csv").write_text(rows)
    said = mlcoop("forecast", "score", "s", "--observed", "seen.csv", cwd=study).stdout
    (study / "one.csv").write_text("".join(rows.splitlines(keepends=True)[:2]))
    one = mlcoop("forecast", "score", "s", "--observed", "one.csv", cwd=study).stdout
    assert "2022, focus pairs (1 pair): forecast error" in one
    # Both counts are those of the year before; errors 5 and 20 of 140.
    assert "(WAPE) 17.9 % of works; best baseline (chosen in hindsight), last year's" in said
    assert "2022, focus pairs (2 pairs): forecast error" in said
    assert (
        "count, had no error. Intervals covered 100 % of counts (nominal 90 %)" in said
        and "0.0 % less" not in said
    )


def test_a_score_reads_the_codes_of_a_ready_panel(study: Path) -> None:
    folder = study / "experiments" / "s"
    (folder / "config.yaml").write_text(
        "name: s\npanel: {path: p.csv, pair: [i, j], year: t, target: y, factors: [f]}\n"
    )
    for name in ("forecast.csv", "panel.parquet"):
        table = pd.read_csv(folder / name) if name[-1] == "v" else pd.read_parquet(folder / name)
        table = table.replace({"CHN": "a-1", "VNM": "b-2", "KOR": "b-3"})
        table.to_csv(folder / name) if name[-1] == "v" else table.to_parquet(folder / name)
    (study / "p.csv").write_text("i,j,t,y,f\nb-2,a-1,2022,50,1\na-1,b-3,2022,90,1\n")
    done = mlcoop("forecast", "score", "s", "--observed", "p.csv", cwd=study)
    # Errors 5 and 30 of 140, as above.
    assert (
        done.returncode == 0 and "error (WAPE) 25.0 %" in done.stdout and "a-1–b-3" in done.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("score", "s", "--observed", "none.csv"), "none.csv"),
        (("score", "s", "--observed", "odd.csv"), "Chyna"),
        (
            ("score", "s", "--observed", "early.csv"),
            "early.csv: no count for the forecast years 2022; it covers 2019",
        ),
        (("s", "--totals"), "holds no totals.csv"),
        (("s", "--scenario", "none.yaml"), "scenario.parquet"),
        (("s", "--horizon", "2"), "only 1 ahead"),
        (("s", "--totals", "--surprises"), "one of --scenario, --totals and --surprises"),
        (("t",), "no such experiment"),
    ],
)
def test_slips_are_one_line_and_exit_2(
    study: Path, arguments: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    (study / "odd.csv").write_text("year,country_a,country_b,works\n2022,Chyna,KOR,50\n")
    (study / "early.csv").write_text("year,country_a,country_b,works\n2019,CHN,KOR,50\n")
    (study / "none.yaml").write_text("changes: [{factor: gdp, pairs: all, add: 1}]\n")
    done = CliRunner().invoke(app, ["forecast", *arguments])
    # `main` prints the error and exits with its code; tests/test_cli.py holds it to that.
    assert isinstance(done.exception, MlcoopError) and done.exception.exit_code == 2
    assert done.stdout == "" and "\n" not in str(done.exception)
    assert expected in str(done.exception)


def test_a_scenario_may_name_years_that_the_horizon_leaves_out(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truth: both years are forecast, so a change of both is played in the one that is shown."""
    folder = study / "experiments" / "s"
    one = pd.read_csv(folder / "forecast.csv")
    pd.concat([one, one.assign(year=2023)]).to_csv(folder / "forecast.csv", index=False)
    rows = one[["country_a", "country_b"]].assign(focal="CHN", partner=one["country_b"])
    feature = {"name": "f", "factor": "f", "role": "pair", "label": "F", "low": 0.0, "high": 9.0}
    model = ScenarioModel((Doubling(),) * 4, 1.0, (feature,), rows.assign(in_focus=True, f=1.0))
    monkeypatch.setattr("mlcoop.scenario.store.read_scenario_model", lambda *_: model)
    monkeypatch.chdir(study)
    (study / "s.yaml").write_text("changes: [{factor: f, pairs: all, add: 1, years: [2022, 2023]}]")
    arguments = ["forecast", "s", "--scenario", "s.yaml", "--horizon", "2", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)["pairs"]
    assert {p["year"] for p in found} == {2023} and len(found) == 2
    assert found[0]["scenario"] == pytest.approx(2 * found[0]["predicted"])


class Doubling:
    """A factor model in which one more of the factor goes with twice the works."""

    def margin(self, X: pd.DataFrame) -> np.ndarray:
        return np.log(2) * X["f"].to_numpy(dtype=float)


@pytest.mark.parametrize(
    ("config", "arguments", "expected"),
    [
        ("forecast: {enabled: false}", (), "set forecast.enabled=true and run it again"),
        ("evaluation: {enabled: false}", ("--totals",), "set evaluation.enabled=true and run"),
        ("forecast: {enabled: false}", ("--surprises",), "run its config again (with --force"),
    ],
)
def test_a_study_that_was_to_make_no_forecast_is_told_what_to_set(
    study: Path,
    config: str,
    arguments: tuple[str, ...],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Truth: a run of the same config makes no forecast again; surprises are of the backtest."""
    folder = study / "experiments" / "s"
    (folder / "forecast.csv").unlink()
    with (folder / "config.yaml").open("a") as file:
        file.write(config)
    monkeypatch.chdir(study)
    done = CliRunner().invoke(app, ["forecast", "s", *arguments])
    assert isinstance(done.exception, MlcoopError) and expected in str(done.exception)


def test_help_shows_both_and_a_study_may_be_called_score(study: Path) -> None:
    shown = mlcoop("forecast", "--help", cwd=study).stdout
    assert "show" in shown and "score" in shown
    (study / "experiments" / "s").rename(study / "experiments" / "score")
    done = mlcoop("forecast", "show", "score", "--json", cwd=study)
    assert done.returncode == 0 and len(json.loads(done.stdout)) == 2
