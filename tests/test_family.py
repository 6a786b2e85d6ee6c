"""Families of studies: which members a file gives, what they share, and what they end in."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from commands import mlcoop
from test_cli import ROOT

from mlcoop import run_family as runner
from mlcoop.artefacts import to_bytes
from mlcoop.comparison import compare
from mlcoop.config import Config
from mlcoop.config_file import load_config
from mlcoop.errors import ConfigError, DataError, MlcoopError
from mlcoop.experiments import read_experiment
from mlcoop.family.file import load_family, make_family
from mlcoop.family.folder import find_family, read_family, read_rankings, write_comparison
from mlcoop.plan import plan_family
from mlcoop.run import run_study
from mlcoop.schema import Experiment

BASE = {
    "name": "x",
    "focus": {"focal": "CHN", "partners": "asean"},
    "years": {"start": 2001, "end": 2021},
}
TINY = """
name: tiny
title: A tiny family
focus: {focal: CHN, partners: [USA, GBR, DEU, FRA, JPN, KOR, AUS, BRA, ZAF, IND]}
training: {countries: [CHN, USA, GBR, DEU, FRA, JPN, KOR, AUS, BRA, ZAF, IND]}
years: {start: 2010, end: 2018}
target: {source: simulated}
simulated: {drivers: {articles: 0.7, distance: -0.5}, mean_works: 40}
factors: [distance, gdp, articles]
audit: {enabled: false}
tuning: {enabled: false}
evaluation: {enabled: false}
forecast: {enabled: false}
explain: {resamples: 20}
report: {enabled: false}
seed: 3
vary:
  learner: [ppml, linear_boosting]
"""


def members(vary: Any, **other: Any) -> dict[str, dict[str, Any]]:
    family = make_family({**BASE, **other, "vary": vary}, "c.yaml")
    assert all(m.config.name == f"x-{m.label}" for m in family.members)
    return {m.label: m.sets for m in family.members}


def test_lists_give_every_combination() -> None:
    """Truth: by hand."""
    found = members({"target.field": ["physical", "life"], "seed": [1, 2]})
    assert list(found) == ["physical-seed-1", "physical-seed-2", "life-seed-1", "life-seed-2"]
    assert found["life-seed-1"] == {"target.field": "life", "seed": 1}
    assert list(members({"learner.exposure": [True, False]})) == ["exposure", "no-exposure"]


def test_members_set_their_keys_and_keep_the_rest() -> None:
    """Truth: by hand; a section in a member changes the keys that it names and no others."""
    vary = {"members": {"before": {"years": {"end": 2012}}, "after": {"years.start": 2013}}}
    family = make_family({**BASE, "vary": vary}, "c.yaml")
    spans = [(m.config.years.start, m.config.years.end) for m in family.members]
    assert spans == [(2001, 2012), (2013, 2021)]
    assert {m.config.focus.partners for m in family.members} == {"asean"}


def test_windows_end_at_the_last_year_and_step_back() -> None:
    """Truth: by hand; 2021 - 8 + 1 = 2014, then every second year down to 2001."""
    found = members({"window": {"years": 8, "step": 2}})
    assert list(found) == [f"{y}-{y + 7}" for y in (2002, 2004, 2006, 2008, 2010, 2012, 2014)]
    assert found["2002-2009"] == {"years.start": 2002, "years.end": 2009}


@pytest.mark.parametrize(
    ("vary", "line"),
    [
        ({}, "c.yaml, vary: give keys with lists of values, or members, or a window"),
        ([1], "c.yaml, vary: give keys with lists of values, or members, or a window"),
        ({"seed": 3}, "c.yaml, vary.seed: give a list of values, such as [a, b]"),
        ({"seed": [3]}, "c.yaml, vary: gives 1 member; a family has 2 to 50"),
        ({"seed": list(range(60))}, "c.yaml, vary: gives 60 members; a family has 2 to 50"),
        ({"seed": [1, 1]}, "c.yaml, vary.seed: a value stands twice"),
        ({"members": {"a" * 80: {"seed": 1}, "b": {"seed": 2}}}, "underscore only, 80 at most, "),
        (
            {"target.field": ["life", "life-x"], "title": ["x-y", "y"]},
            "c.yaml, vary: two members would be named life-x-y; use vary.members",
        ),
        ({"focus.partners": [["KOR"], "eu"]}, "gives a member no name; use vary.members"),
        ({"seed": [1, 2], "window": {"years": 8}}, "c.yaml, vary: window stands alone"),
        ({"window": {"yeers": 8}}, "c.yaml, vary.window: give years and step"),
        ({"window": {"years": 3}}, "vary.window.years: a whole number of at least 4 (got 3)"),
        ({"window": {"years": 30}}, "gives 0 members"),
        ({"members": {"a b": {}, "c": {"seed": 1}}}, 'vary.members, "a b": letters, digits'),
        ({"members": {"a": 1, "b": {"seed": 1}}}, "vary.members.a: give the keys that it sets"),
        ({"name": ["a", "b"]}, "c.yaml, name: cannot vary"),
        ({"explain.enabled": [True, False]}, "explain.enabled: a family compares rankings"),
        ({"target.feild": ["life", "social"]}, 'target.feild: unknown key. Did you mean "field"?'),
        ({"target.field": ["life", "lif"]}, "target.field: input should be"),
    ],
)
def test_a_slip_is_one_line(vary: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_family({**BASE, "vary": vary}, "c.yaml")
    assert line in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_values_without_a_name_are_not_called_equal() -> None:
    with pytest.raises(ConfigError) as caught:
        make_family({**BASE, "vary": {"focus.partners": [["KOR"], ["JPN"]]}}, "c.yaml")
    assert "use vary.members" in str(caught.value) and "twice" not in str(caught.value)


def test_windows_need_real_years() -> None:
    for other, words in (
        ({"years": {"start": 2001}}, "years.end: a window of years needs"),
        ({"target": {"source": "simulated"}}, "copies of each other"),
    ):
        with pytest.raises(ConfigError, match=words):
            members({"window": {"years": 8}}, **other)


def test_the_shipped_families_are_whole(tmp_path: Path) -> None:
    """Truth: their own comments: four fields of science, and windows of eight years."""
    fields = load_family(ROOT / "configs" / "china-bri-fields.yaml")
    windows = load_family(ROOT / "configs" / "china-bri-windows.yaml")
    assert fields and windows
    labels = [m.label for m in fields.members]
    assert labels == ["physical", "life", "social", "health"] and not fields.over_time
    assert len(windows.members) == 7 and windows.over_time
    with pytest.raises(
        ConfigError, match="vary: makes a family of studies where one study is expected"
    ):
        load_config(ROOT / "configs" / "china-bri-fields.yaml")


class Silent:
    def __init__(self) -> None:
        self.told: list[tuple[int, str, bool]] = []

    def member(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        self.told.append((number, name, seconds_left is not None))

    def start(self, stage: str, what: str) -> None: ...

    def step(self, done: int, total: int) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float, reused: bool) -> None: ...


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A family cut off before its second member, then run to its end."""
    place = tmp_path_factory.mktemp("family")
    (place / "tiny.yaml").write_text(TINY, encoding="utf-8")
    family = load_family(place / "tiny.yaml")
    assert family is not None
    plans = plan_family(family, "tiny.yaml", place)
    assembled: list[str] = []
    real, study = runner.assemble, runner.run_study

    def counted(plan: Any, *args: Any, **kwargs: Any) -> Any:
        assembled.append(plan.config.name)
        return real(plan, *args, **kwargs)

    def cut_off(plan: Any, *args: Any, **kwargs: Any) -> Any:
        if plan.config.name.endswith("linear_boosting"):
            raise KeyboardInterrupt
        return study(plan, *args, **kwargs)

    def run(listener: Silent) -> Any:
        return runner.run_family(
            family,
            plans,
            None,  # type: ignore[arg-type]
            experiments=place / "experiments",
            models=place / "models",
            listener=listener,
        )

    patch = pytest.MonkeyPatch()
    with patch.context() as p:
        p.setattr(runner, "run_study", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(Silent())
    assert not (place / "experiments" / "tiny").exists()
    first = (place / "experiments/tiny-ppml/manifest.json").stat().st_mtime_ns
    with patch.context() as p:
        p.setattr(runner, "assemble", counted)
        again = Silent()
        comparison = run(again)
        resumed = list(assembled)
        whole = Silent()
        runner.run_family(
            family,
            plans,
            None,  # type: ignore[arg-type]
            experiments=place / "other",
            models=place / "other-models",
            listener=whole,
        )
    return {
        "place": place,
        "family": family,
        "comparison": comparison,
        "told": again.told,
        "resumed": resumed,
        "shared": assembled[len(resumed) :],
        "whole": whole.told,
        "kept": first == (place / "experiments/tiny-ppml/manifest.json").stat().st_mtime_ns,
    }


def test_a_family_goes_on_where_it_was_cut_off(tiny: dict[str, Any]) -> None:
    """Truth: the finished member's folder is untouched, and only the other one is run."""
    assert tiny["kept"]
    assert tiny["told"] == [(2, "tiny-linear_boosting", False)]
    assert tiny["resumed"] == ["tiny-linear_boosting"]


def test_members_share_their_data(tiny: dict[str, Any]) -> None:
    """Truth: learners differ in nothing that the panel hangs on, so it is made once."""
    assert tiny["shared"] == ["tiny-ppml"]
    assert [told[2] for told in tiny["whole"]] == [False, True]


def test_shared_data_change_no_number(tiny: dict[str, Any]) -> None:
    """Truth: the member that assembled for itself, and the one that was given the other's."""
    mine, given = (
        (tiny["place"] / folder / "tiny-linear_boosting" / "factors.csv").read_bytes()
        for folder in ("experiments", "other")
    )
    assert mine == given


def test_it_ends_in_its_own_comparison(tiny: dict[str, Any]) -> None:
    """Truth: `compare` on the members' folders, and the planted drivers on top."""
    root = find_family("tiny", tiny["place"] / "experiments")
    assert root is not None
    record, studies = read_family(root)
    assert [s.name for s in studies] == ["ppml", "linear_boosting"]
    trained_on = sorted(yaml.safe_load(TINY)["training"]["countries"])
    assert [s.coverage["trained_on"] for s in studies] == [trained_on, trained_on]
    document = json.loads((root / "compare.json").read_text())
    assert document == json.loads(json.dumps(compare(studies).to_dict()))
    ranks = tiny["comparison"].ranks
    top = ranks[(ranks["kind"] == "factor") & (ranks["rank"] <= 2)]["name"]
    assert set(top) <= {"distance", "articles_partner", "articles_focal"}
    page = (root / "compare.html").read_text()
    assert "<h1>A tiny family" in page and "Importance over time" not in page
    write_comparison(root, title=record["title"], studies=studies, over_time=False)
    assert (root / "compare.html").read_text() == page


def test_a_change_of_rank_is_told_by_the_orders_of_the_folders_too(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    """Planted: the second study's ranks are turned round and it drew apart, but tells no order.

    Truth: only an order told in both and turned round tells a change between such studies.
    """
    for name in ("tiny-ppml", "tiny-linear_boosting"):
        shutil.copytree(tiny["place"] / "experiments" / name, tmp_path / name)
    root = tmp_path / "tiny-linear_boosting"
    names = list(pd.read_csv(root / "factors.csv")["factor"])
    turned = dict(zip(names, reversed(names), strict=True))
    for file, column in (("resamples.parquet", "name"), ("factors.csv", "factor")):
        table = (pd.read_csv if file.endswith("csv") else pd.read_parquet)(root / file)
        (root / file).write_bytes(to_bytes(table.replace({column: turned}), file))
    orders = root / "orders.csv"
    orders.write_text(orders.read_text().splitlines()[0] + "\n")
    config = root / "config.yaml"
    config.write_text(config.read_text().replace("seed: ", "seed: 1"))
    studies, _ = read_rankings(["tiny-ppml", "tiny-linear_boosting"], tmp_path)
    kept = [dataclasses.replace(s, orders=None) for s in studies]  # as before orders were kept
    of_factors = [
        c[c["kind"] == "factor"] for c in (compare(studies).changes, compare(kept).changes)
    ]
    assert [c["told"].astype(bool).any() for c in of_factors] == [False, True]


def test_a_family_among_others_goes_by_whole_names(tiny: dict[str, Any]) -> None:
    experiments = tiny["place"] / "experiments"
    studies, shown = read_rankings(["tiny"], experiments)
    assert [s.name for s in studies] == ["ppml", "linear_boosting"]
    assert shown == {"title": "A tiny family", "over_time": False}
    assert all(s.backtest is None for s in studies)
    member, shown = read_rankings(["tiny-ppml", "tiny"], experiments)
    assert [s.name for s in member] == ["tiny-ppml", "tiny-ppml", "tiny-linear_boosting"]


def test_own_names_with_dots_stay_whole() -> None:
    """Truth: by hand; a group of a ready panel may be called as its owner calls it."""
    panel = {"path": "p.csv", "pair": ["i", "j"], "target": "y", "factors": ["f", "g"]}
    groups = {"R.D": ["f"]}
    vary = {"members": {"a": {"panel": {"groups": groups}}, "b": {"seed": 1}}}
    family = make_family({"name": "x", "panel": panel, "vary": vary}, "c.yaml")
    assert [m.config.panel.groups for m in family.members if m.config.panel] == [groups, {}]


def test_a_members_file_is_looked_at_before_any_member_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(a, b) for a in "ABCD" for b in "ABCD" if a < b]
    rows = "".join(f"{a},{b},{y},3,1\n" for a, b in pairs for y in range(2010, 2020))
    (tmp_path / "p.csv").write_text("i,j,year,y,f\n" + rows)
    (tmp_path / "slip.csv").write_text("i,j,year,y,g\n" + rows)
    panel = {"path": "p.csv", "pair": ["i", "j"], "year": "year", "target": "y", "factors": ["f"]}
    vary = {"members": {"a": {}, "b": {"panel": {"path": "slip.csv"}}}}
    family = make_family({"name": "x", "panel": panel, "vary": vary}, "c.yaml")
    monkeypatch.setattr(runner, "run_study", lambda *_, **__: pytest.fail("a member ran"))
    with pytest.raises(DataError, match='slip.csv: no column "f"'):
        runner.run_family(
            family,
            plan_family(family, "c.yaml", tmp_path),
            None,  # type: ignore[arg-type]
            experiments=tmp_path / "experiments",
            models=tmp_path / "models",
            listener=Silent(),
        )
    assert not (tmp_path / "experiments").exists()


def test_another_config_does_not_overwrite_a_member(tiny: dict[str, Any]) -> None:
    changed = yaml.safe_load(TINY)
    changed["seed"] = 4
    family = make_family(changed, "tiny.yaml")
    plans = plan_family(family, "tiny.yaml", tiny["place"])
    with pytest.raises(ConfigError, match="tiny-ppml: holds a finished study of another config"):
        runner.run_family(
            family,
            plans,
            None,  # type: ignore[arg-type]
            experiments=tiny["place"] / "experiments",
            models=tiny["place"] / "models",
            listener=Silent(),
        )
    assert read_experiment(tiny["place"] / "experiments/tiny-ppml").config["seed"] == 3


def test_a_member_that_is_gone_is_named(tiny: dict[str, Any], tmp_path: Path) -> None:
    for name in ("tiny", "tiny-ppml"):
        shutil.copytree(tiny["place"] / "experiments" / name, tmp_path / name)
    for command in ("compare", "report"):
        done = mlcoop(command, "tiny", "--experiments", str(tmp_path), cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "tiny-linear_boosting not there now; run the family's config" in done.stderr


def test_a_damaged_record_is_one_line(tiny: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "family.json").write_text("{")
    with pytest.raises(MlcoopError, match="damaged .*; run the family's config again"):
        read_family(tmp_path)


def test_the_command_line_lists_and_compares_a_family(tiny: dict[str, Any]) -> None:
    place = tiny["place"]
    listed = mlcoop("run", "tiny.yaml", "--dry-run", "--json", cwd=place)
    assert listed.returncode == 0, listed.stderr
    document = json.loads(listed.stdout)
    assert list(document["members"]) == ["tiny-ppml", "tiny-linear_boosting"]
    assert document["members"]["tiny-ppml"]["sets"] == {"learner": "ppml"}
    done = mlcoop("compare", "tiny", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["experiments"] == ["ppml", "linear_boosting"]


def test_a_study_that_another_run_finished_meanwhile_is_not_overwritten(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    """As when two runs of one name are begun, and the first ends while the second fetches."""
    there = tmp_path / "experiments" / "tiny-ppml"
    plan = plan_family(tiny["family"], "tiny.yaml", tiny["place"])[0]

    def run(config: Config) -> Experiment:
        shutil.rmtree(tmp_path / "experiments", ignore_errors=True)

        def slow(*args: Any, **kwargs: Any) -> Any:
            study = runner.assemble(*args, **kwargs)
            shutil.copytree(tiny["place"] / "experiments" / "tiny-ppml", there)
            return study

        return run_study(
            dataclasses.replace(plan, config=config),
            None,  # type: ignore[arg-type]
            experiments=tmp_path / "experiments",
            models=tmp_path / "models",
            listener=Silent(),
            assemble=slow,
        )

    with pytest.raises(ConfigError, match="finished study of another config .differs in seed"):
        run(plan.config.model_copy(update={"seed": 4}))
    assert run(plan.config).config["seed"] == 3
    held = tiny["place"] / "experiments" / "tiny-ppml"
    assert all((there / p.name).read_bytes() == p.read_bytes() for p in held.glob("*.*"))
