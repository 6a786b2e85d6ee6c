"""The notebook, and its studies in the explorer: by Streamlit's test client, and on loopback."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlcoop.errors import ConfigError
from mlcoop.experiments import read_experiment
from mlcoop.explore.serve import APP, SETTINGS, command, encode, need_streamlit
from mlcoop.report.names import number, span
from mlcoop.report.summary import summarise
from mlcoop.scenario.file import find_moves, read_scenario
from mlcoop.scenario.model import Outcome, play_scenario
from mlcoop.scenario.store import factors_above_null, read_scenario_model

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def notebook() -> Iterator[dict[str, Any]]:
    """Execute the cells of docs/notebook.ipynb: a small planted study with all its folders."""
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    cells = [c for c in cells if c["cell_type"] == "code"]
    space: dict[str, Any] = {}
    before = Path.cwd()
    try:
        for cell in cells:
            text = "".join(cell["source"])
            if text.startswith("!mlcoop "):
                command = f"{sys.executable} -m mlcoop {text.removeprefix('!mlcoop ')}"
                env = {**os.environ, "PYTHONPATH": str(ROOT)}
                subprocess.run(command, shell=True, check=True, env=env)
            else:
                exec(compile(text, "notebook", "exec"), space)
        folder = Path.cwd()
    finally:
        os.chdir(before)
    yield {"cells": cells, "space": space, "folder": folder}
    shutil.rmtree(folder)


def test_the_notebook_runs_again(notebook: dict[str, Any]) -> None:
    """Truth: the drivers that its planted world names; every cell, executed in order."""
    cells = notebook["cells"]
    assert all(c["execution_count"] for c in cells)
    assert not any(o["output_type"] == "error" for c in cells for o in c["outputs"])
    study = notebook["space"]["study"]
    top = study.factors.sort_values("rank").head(2)["factor"]
    assert set(top) <= {"articles_partner", "articles_focal", "distance", "gdp_partner"}
    assert "<svg" in study.outlook._repr_html_()


@pytest.fixture
def folder(notebook: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("streamlit", reason="no streamlit (pip install '.[explore]')")
    place = notebook["folder"]
    shown = {"experiments": str(place / "experiments"), "models": str(place / "models")}
    monkeypatch.setenv(SETTINGS, json.dumps({"names": ["planted-boosted"], **shown}))
    return place


def opened(view: str = "Study") -> Any:
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=120).run()
    if view != "Study":
        app.sidebar.radio[0].set_value(view).run()
    assert not app.exception
    return app


def words(parts: Any) -> str:
    return re.sub(r"\\(.)", r"\1", "\n".join(part.value for part in parts))


def test_a_study_says_what_its_report_says(folder: Path) -> None:
    """Truth: the sentences and tables of the study's folder."""
    app = opened()
    experiment = read_experiment(folder / "experiments" / "planted-boosted")
    text = words(app.markdown)
    assert all(sentence in text for sentence in summarise(experiment).answer)
    shares = app.dataframe[0].value["share"].to_numpy()
    assert experiment.factors is not None and experiment.forecast is not None
    assert shares == pytest.approx(experiment.factors.sort_values("rank")["share"].to_numpy())
    for shown, told in zip(
        app.dataframe[1:3], (experiment.groups, experiment.dimensions), strict=True
    ):
        assert told is not None
        assert sorted(shown.value["share"]) == pytest.approx(sorted(told["share"]))
    pd.testing.assert_frame_equal(app.dataframe[3].value, experiment.forecast)


def scenario(folder: Path, text: str) -> Outcome:
    """Play a scenario file as `mlcoop forecast --scenario` does."""
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    experiment = read_experiment(folder / "experiments" / "planted-boosted")
    model = read_scenario_model(experiment, folder / "models")
    assert experiment.forecast is not None
    asked, years = read_scenario(path), sorted(experiment.forecast["year"].unique())
    moves = find_moves(asked, model.features, model.rows, years, str(path))
    above = factors_above_null(experiment)
    return play_scenario(asked, model, experiment.forecast, moves, above)


def test_what_if_is_the_command_lines_scenario(folder: Path) -> None:
    """Truth: the same change in a scenario file, played as the command line plays it."""
    app = opened("What if")
    assert not app.metric and "Set a factor to another value" in words(app.info)
    app.selectbox[0].set_value(("IDN", "KOR")).run()
    app.multiselect[0].set_value(["distance"]).run()
    app.number_input[0].set_value(4000.0).run()
    assert not app.exception
    change = "changes:\n- {factor: distance, pairs: [IDN-KOR], set: 4000}\n"
    first = scenario(folder, change).table.iloc[0]
    assert [m.value for m in app.metric] == [
        number(first[column]) for column in ("predicted", "scenario", "difference")
    ]
    for stem in ("", "scenario_", "difference_"):
        assert span(first[f"{stem}lower"], first[f"{stem}upper"]) in words(app.caption)
    assert not app.warning
    assert "Association, not effect" in words(app.info)
    shown = set(app.dataframe[0].proto.column_order)
    assert {"difference", "difference_lower", "difference_upper"} <= shown


def test_an_institution_goes_by_its_name_and_its_factors_move(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truth: the same study of a country, which the institution now stands for."""
    study = tmp_path / "planted-boosted"
    shutil.copytree(folder / "experiments" / study.name, study)
    coverage = json.loads((study / "coverage.json").read_text())
    own = {"code": "KOR", "id": "I1", "name": "Seoul Tech", "country": "KOR", "ror": ""}
    (study / "coverage.json").write_text(json.dumps({**coverage, "institution": own}))
    shown = json.loads(os.environ[SETTINGS])
    monkeypatch.setenv(SETTINGS, json.dumps({**shown, "experiments": str(tmp_path)}))
    assert "Seoul Tech" in set(opened().dataframe[3].value["country_b"])
    app = opened("What if")
    app.selectbox[0].set_value(("IDN", "KOR")).run()
    app.multiselect[0].set_value(["distance"]).run()
    app.number_input[0].set_value(4000.0).run()
    assert not app.exception
    first = scenario(folder, "changes: [{factor: distance, pairs: [IDN-KOR], set: 4000}]").table
    assert app.metric[1].value == number(first["scenario"].iloc[0])


def test_a_value_outside_the_data_is_warned_of(folder: Path) -> None:
    """Truth: the planted countries lie within some 7,000 km, and no two 90,000 km apart."""
    app = opened("What if")
    app.multiselect[0].set_value(["distance"]).run()
    app.number_input[0].set_value(90_000.0).run()
    assert "lies outside the data" in words(app.warning)


def test_studies_and_families_are_compared(folder: Path) -> None:
    """Truth: compare.json of the family, which the run wrote."""
    app = opened("Compare")
    app.multiselect[0].set_value(["planted"]).run()
    assert not app.exception
    document = json.loads((folder / "experiments/planted/compare.json").read_text())
    tau = [a["value"] for a in document["agreement"] if a["kind"] == "group"]
    assert app.dataframe[1].value["value"].tolist() == pytest.approx(tau)
    assert app.dataframe[1].value["measure"].iloc[0] == "Kendall’s tau-b"  # not tau_b
    app.multiselect[0].set_value(["planted-ppml"]).run()
    assert "1 experiment given; give two" in words(app.info)


def test_studies_given_by_path_are_those_compared(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truth: the level in the path's own config; its namesake under experiments has 95 %."""
    for name in ("planted-boosted", "planted-ppml"):
        shutil.copytree(folder / "experiments" / name, tmp_path / name)
        config = tmp_path / name / "config.yaml"
        config.write_text(config.read_text().replace("level: 0.95", "level: 0.8"))
    shown = json.loads(os.environ[SETTINGS])
    given = [str(tmp_path / name) for name in ("planted-boosted", "planted-ppml")]
    monkeypatch.setenv(SETTINGS, json.dumps({**shown, "names": given}))
    app = opened("Compare")
    assert "80 % interval" in words(app.markdown) and "95 %" not in words(app.markdown)


def test_a_ranking_is_drawn_in_the_reports_colours() -> None:
    """Truth: the style sheet of the reports; a factor not above the null line lends no colour."""
    pytest.importorskip("altair")
    from mlcoop.explore.charts import ranking_chart
    from mlcoop.report.drawings.charts import group_colours

    rows = pd.DataFrame(
        {
            "factor": ["a", "b", "c"],
            "group": ["Culture and language", "Own", "Research strength"],
            "rank": [1, 2, 3],
            "tier": 1,
            "share": [0.5, 0.3, 0.2],
            "low": [0.4, 0.2, 0.1],
            "high": [0.6, 0.4, 0.3],
            "above the null line": [True, True, False],
        }
    )
    colours = group_colours(rows["group"])
    drawn = ranking_chart(rows, colours).to_dict()["layer"][0]["encoding"]["color"]
    scale = next(part["scale"] for part in (drawn, drawn["condition"]) if "scale" in part)
    css = (files("mlcoop") / "report/templates/page.css").read_text()
    light = css[: css.index("prefers-color-scheme: dark")]
    assert scale["domain"] == ["Culture and language", "Own"]
    assert scale["range"] == [
        re.search(rf"--g{colours[group]}: (#[0-9a-f]+)", light)[1] for group in scale["domain"]
    ]


def test_rank_lines_are_named_at_both_ends() -> None:
    """Truth: the ranks given; three studies, of which the first and the last carry the names."""
    pytest.importorskip("altair")
    from mlcoop.explore.charts import rank_lines

    ranks = pd.DataFrame(
        {
            "name": ["x", "y"] * 3,
            "label": ["X", "Y"] * 3,
            "group": "culture_language",
            "experiment": ["first", "first", "it's", "it's", "last", "last"],
            "rank": [1, 2, 2, 1, 1, 2],
            "rank_low": 1,
            "rank_high": 2,
        }
    )
    chart = rank_lines(ranks, ("first", "it's", "last")).to_dict()
    names = [p for p in chart["layer"] if p["mark"]["type"] == "text"]
    ends = {p["mark"]["align"]: p["transform"][0]["filter"] for p in names}
    assert ends == {"right": "(datum.place === 0)", "left": "(datum.place === 2)"}
    rows = next(iter(chart["datasets"].values()))
    assert {(r["name"], r["place"], r["rank"]) for r in rows} == {
        ("x", 0, 1), ("y", 0, 2), ("x", 1, 2), ("y", 1, 1), ("x", 2, 1), ("y", 2, 2)
    }  # fmt: skip
    axis = chart["layer"][0]["encoding"]["x"]["axis"]
    assert axis["labelExpr"] == '["first", "it\'s", "last"][datum.value]'


def test_a_study_without_forecast_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        SETTINGS,
        json.dumps({**json.loads(os.environ[SETTINGS]), "names": ["planted-ppml"]}),
    )
    assert "This folder holds no forecast" in words(opened("What if").info)


def test_it_serves_loopback_alone(folder: Path) -> None:
    """Truth: the kernel's table of sockets; 0100007F is 127.0.0.1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = encode(["planted-boosted"], folder / "experiments", folder / "models")
    server = subprocess.Popen(
        command(port, browser=False), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        address, health = f"http://127.0.0.1:{port}", b""
        for _ in range(240):
            try:
                health = urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).read()
                break
            except OSError:
                time.sleep(0.25)
        page = urllib.request.urlopen(address, timeout=20).read().decode()
        assert health == b"ok" and "<title>" in page
        table = [*Path("/proc/net/tcp").read_text().splitlines()]
        tcp6 = Path("/proc/net/tcp6")
        table += tcp6.read_text().splitlines() if tcp6.is_file() else []
        bound = [row.split()[1] for row in table if f":{port:04X} " in row and " 0A " in row]
        assert bound == [f"0100007F:{port:04X}"]
    finally:
        server.terminate()
        server.communicate(timeout=30)


def test_without_the_extra_one_line_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[explore\]'$"):
        need_streamlit()
