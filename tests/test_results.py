"""Studies in a notebook: tables as in the folder, displays with their numbers, a light import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest
from test_cli import ROOT

import mlcoop
from mlcoop.errors import ConfigError, DataError, MlcoopError
from mlcoop.results import Study

FOUNDING = ROOT / "experiments" / "china-bri"


def test_the_import_alone_is_light() -> None:
    """Truth: what Python has loaded; help and version must answer at once."""
    code = "import mlcoop, sys; print([m for m in ('numpy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        mlcoop.laod  # noqa: B018


def test_tables_are_the_folders() -> None:
    """Truth: the files, read here with pandas."""
    study = mlcoop.load(FOUNDING)
    assert isinstance(study, Study) and study.name == "china-bri"
    pd.testing.assert_frame_equal(study.factors, pd.read_csv(FOUNDING / "factors.csv"))
    metrics = json.loads((FOUNDING / "metrics.json").read_text())
    assert study.metrics == metrics
    assert study.ranking.factors is study.factors


def test_displays_hold_the_numbers() -> None:
    """Truth: factors.csv, rounded here; and the summary's sentences."""
    study = mlcoop.load(FOUNDING)
    assert isinstance(study, Study)
    card = study._repr_html_().replace("\u00a0", " ")
    assert all(sentence in card for sentence in study.summary.answer[:1])
    ranking = study.ranking._repr_html_()
    first = study.factors.sort_values("rank").iloc[0]
    assert f"{100 * first['share']:.0f}\u00a0%" in ranking
    labels = {f["factor"]: f["label"] for f in study.coverage["factors"]}
    assert labels[first["factor"]] in ranking
    shown = study.factors.sort_values("rank").head(ranking.count("<tr>") - 1)
    grey = "<td>not distinguishable from chance</td>"
    assert ranking.count(grey) == (~shown["above_null"]).sum() > 0
    assert ranking.count("<tr>") == 13 and "<svg" in ranking
    assert study.factors["factor"].iloc[0] in repr(study.ranking)


def test_names_are_never_markup() -> None:
    study = mlcoop.load(FOUNDING)
    assert isinstance(study, Study)
    first = {"factor": study.factors["factor"].iloc[0], "label": "<script>alert(1)</script>"}
    changed = Study(**{**fields_of(study), "coverage": {"factors": [first]}})
    page = changed._repr_html_() + changed.ranking._repr_html_()
    assert "<script" not in page and "&lt;script&gt;" in page


def fields_of(study: Study) -> dict[str, Any]:
    return {name: getattr(study, name) for name in type(study).__dataclass_fields__}


def test_a_stage_that_was_off_says_so() -> None:
    study = mlcoop.load(FOUNDING)
    assert isinstance(study, Study)
    bare = Study(**{**fields_of(study), "forecast": None, "factors": None})
    with pytest.raises(DataError, match="forecast is off, or forecast.csv is missing"):
        bare.outlook  # noqa: B018
    with pytest.raises(DataError, match="No ranking of factors was computed"):
        bare.ranking  # noqa: B018
    with pytest.raises(ConfigError, match=r'"forcast" is no table of a study. Did you mean'):
        study.table("forcast")


def test_comparing_takes_folders_names_and_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Truth: an invariant; a study agrees perfectly with itself under another name."""
    monkeypatch.chdir(ROOT)
    study = mlcoop.load("china-bri")
    assert isinstance(study, Study)
    other = Study(**{**fields_of(study), "name": "again"})
    both = mlcoop.compare(["experiments/china-bri", other])
    tau = both.agreement.query("kind == 'factor' and measure == 'tau_b'")["value"]
    assert float(tau.iloc[0]) == pytest.approx(1)
    assert (both.changes["change"] == 0).all()
    assert "Rankings of 2 studies compared" in both._repr_html_()
    with pytest.raises(MlcoopError, match='did you mean "china-bri"'):
        mlcoop.load("china-bro")
