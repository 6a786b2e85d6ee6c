"""Studies of very few focus pairs. Truth: five folds need five pairs; one reason in every place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import mlcoop
from test_cli import QUICK

import mlcoop as package
from mlcoop.config import Config
from mlcoop.config_file import check_config
from mlcoop.errors import ConfigError, DataError
from mlcoop.explain.crossfit import fold_scores
from mlcoop.family.file import make_family
from mlcoop.few_pairs import why_not_ranked
from mlcoop.plan import make_plan, plan_family
from mlcoop.results import Study
from mlcoop.simulate.world import simulate_world

REASON = (
    "Factors are not ranked, and the factor model is not scored on held-out focus pairs: that "
    "needs 5 focus pairs or more, and this study has 3."
)


def config(**sections: Any) -> Config:
    focus = {"focal": "KOR", "partners": ["JPN", "CHN", "VNM"]}
    return check_config({"name": "x", "focus": focus, **sections}, "c.yaml")


def test_the_reason_by_hand() -> None:
    assert why_not_ranked(config(), 5) is None
    assert why_not_ranked(config(), 3) == REASON
    some = why_not_ranked(config(), 3, of=8)
    assert some and some.endswith("and only 3 of 8 have counts.")
    whole = why_not_ranked(config(learner={"missing": "complete"}), 1, of=8)
    assert whole and whole.endswith("and only 1 of 8 has counts and every factor known.")
    score = why_not_ranked(config(explain={"enabled": False}), 3)
    assert score and score.startswith(
        "The factor model is not scored on held-out focus pairs: that"
    )
    # Neither was asked for.
    off: dict[str, Any] = {"explain": {"enabled": False}, "evaluation": {"enabled": False}}
    assert why_not_ranked(config(**off), 3) is None


@pytest.mark.parametrize(
    ("sections", "pairs", "given", "line"),
    [
        ({"forecast": {"enabled": False}}, 3, {}, "with forecast.enabled: false there is no"),
        ({"evaluation": {"enabled": False}}, 3, {}, "or set evaluation.enabled=true"),
        ({}, 3, {"can_forecast": False}, "its counts allow no forecast either"),
        ({}, 3, {"must_rank": True}, "focus: a family compares rankings; that needs 5 focus pairs"),
        ({"evaluation": {"folds": 8}}, 6, {}, "evaluation.folds: 8 folds need as many focus pairs"),
        ({"tuning": {"folds": 8}}, 6, {}, "set tuning.folds=6 or less"),
    ],
)
def test_what_leaves_nothing_is_refused_in_a_line(
    sections: dict[str, Any], pairs: int, given: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        why_not_ranked(config(**sections), pairs, **given)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_names_alone_tell_a_plan() -> None:
    """Truth: by hand; three partners, and pairs of four countries: 4 * 3 / 2 = 6, of three 3."""
    here = Path(".")
    few = make_plan(config(), "c.yaml", here)
    # Pairs beyond the focus are still scored, where there are some.
    assert few.not_ranked == REASON and "explain" not in few.stages and "score" in few.stages
    narrow = make_plan(config(training={"pairs": "focus"}), "c.yaml", here)
    assert "score" not in narrow.stages and "forecast" in narrow.stages
    for partners, ranked in ((["JPN", "CHN", "VNM"], False), (["JPN", "CHN", "VNM", "USA"], True)):
        plan = make_plan(config(focus={"partners": partners}), "c.yaml", here)
        assert (plan.not_ranked is None) == ranked and ("explain" in plan.stages) == ranked
    with pytest.raises(ConfigError, match="^c.yaml, focus: ranking factors needs 5 focus pairs"):
        make_plan(config(forecast={"enabled": False}), "c.yaml", here)


def test_a_family_whose_members_cannot_be_ranked_is_refused_at_once() -> None:
    focus = {"focal": "KOR", "partners": ["JPN", "CHN", "VNM"]}
    family = make_family({"name": "x", "focus": focus, "vary": {"seed": [1, 2]}}, "c.yaml")
    with pytest.raises(ConfigError) as caught:
        plan_family(family, "c.yaml", Path("."))
    assert str(caught.value).count("\n") == 0 and "[member seed-1]" in str(caught.value)


def test_settings_are_searched_on_all_pairs_where_the_focus_has_too_few() -> None:
    from explain.worlds import wide_matrix

    matrix = wide_matrix([1.0, 0.5], countries=8)
    focus = matrix.rows["country_b"].isin(["C01", "C02"]) & (matrix.rows["country_a"] == "C00")
    few = matrix.rows.assign(in_focus=focus)
    every = matrix.rows.assign(in_focus=True)
    losses = [
        list(fold_scores(matrix.__class__(rows, matrix.X, matrix.features), "ppml", 3, 0)({}))
        for rows in (few, every)
    ]
    assert len(losses[0]) == 3 and losses[0] == losses[1] and np.isfinite(losses[0]).all()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A ready panel of three pairs, run."""
    place = tmp_path_factory.mktemp("three")
    world = simulate_world("linear", seed=4, pairs=30, years=8, factors=6, drivers=3, logged=False)
    pairs = world.panel[["i", "j"]].drop_duplicates().head(3)
    world.panel.merge(pairs).to_csv(place / "three.csv", index=False)
    quick = {k: v for k, v in QUICK.items() if k != "report"}
    sections = "\n".join(f"{k}: {v}" for k, v in quick.items())
    (place / "three.yaml").write_text(
        "name: three\npanel:\n  path: three.csv\n  pair: [i, j]\n  year: year\n  target: y\n"
        f"  exposure: exposure\n  factors: [{', '.join(world.factors)}]\n{sections}\n"
    )
    return place, mlcoop("run", "three.yaml", "--workers", "1", cwd=place)


def test_the_forecast_is_made_and_one_reason_stands_everywhere(three) -> None:
    place, done = three
    assert done.returncode == 0, done.stderr
    folder = place / "experiments" / "three"
    assert len(pd.read_csv(folder / "forecast.csv")) == 3 and not (folder / "factors.csv").exists()
    assert f"warning: {REASON}" in done.stderr and REASON in done.stdout
    assert "Forecasts" in done.stdout and "explain:" not in done.stderr
    page = (folder / "report.html").read_text()
    assert f'<p class="absent">{REASON}</p>' in page and "explain is off" not in page
    card = (place / "models" / "three" / "README.md").read_text()
    assert "Not used for a ranking." in card

    planned = json.loads(mlcoop("run", "three.yaml", "--dry-run", "--json", cwd=place).stdout)
    assert planned["not_ranked"] == REASON and planned["refits"] == 0
    assert planned["stages"] == "panel, audit, backtest, forecast, report"
    listed = mlcoop("list", cwd=place).stdout
    assert "not ranked: too few pairs" in listed
    (row,) = json.loads(mlcoop("list", "--json", cwd=place).stdout)
    assert row["not_ranked"] == REASON and row["top_factor"] is None and row["skill"] is not None
    again = json.loads(mlcoop("run", "three.yaml", "--json", cwd=place).stdout)
    assert again["not_ranked"] == REASON and again["factors"] == [] and len(again["forecast"]) == 3


def test_a_comparison_and_a_notebook_say_why(three) -> None:
    place, _ = three
    refused = mlcoop("compare", "three", "three", cwd=place)
    assert refused.returncode == 2
    study = package.load(place / "experiments" / "three")
    assert isinstance(study, Study)
    assert REASON in study._repr_html_() and "For 2013" in study.outlook._repr_html_()
    with pytest.raises(DataError, match="three: Factors are not ranked"):
        study.ranking  # noqa: B018
    other = Study(**{n: getattr(study, n) for n in Study.__dataclass_fields__} | {"name": "b"})
    with pytest.raises(DataError, match="^compare: no factor ranking in three, b: too few focus"):
        package.compare([study, other])


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_panel_that_only_its_ranking_would_be_made_of_is_refused(three, dry: list[str]) -> None:
    place, _ = three
    asked = ["--set", "forecast.enabled=false", "--set", "name=other", *dry]
    done = mlcoop("run", "three.yaml", *asked, cwd=place)
    assert done.returncode == 2 and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("panel: source data")]
    assert len(lines) == 1 and "panel: ranking factors needs 5 focus pairs or more" in lines[0]
    assert not (place / "experiments" / "other").exists()


def test_own_counts_of_three_countries_are_told_before_any_service_is_asked(tmp_path: Path) -> None:
    rows = [(y, a, b, 9) for y in range(2008, 2020) for a, b in ("KJ", "JV", "KV")]
    code = {"K": "KOR", "J": "JPN", "V": "VNM"}
    text = "\n".join(f"{y},{code[a]},{code[b]},{n}" for y, a, b, n in rows)
    (tmp_path / "c.csv").write_text(f"year,country_a,country_b,works\n{text}\n")
    (tmp_path / "c.yaml").write_text(
        "name: c\ntarget: {source: csv, path: c.csv}\nyears: {start: 2008}\n"
    )
    planned = mlcoop("run", "c.yaml", "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(planned.stdout)["not_ranked"] == REASON
    refused = mlcoop("run", "c.yaml", "--set", "forecast.enabled=false", cwd=tmp_path)
    assert refused.returncode == 2 and "focus: ranking factors needs 5" in refused.stderr
    assert not (tmp_path / "experiments").exists()
