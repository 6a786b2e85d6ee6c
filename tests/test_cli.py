"""Truth: the contract of the command line in the README: streams, exit codes, nothing half-done."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from commands import mlcoop, mlcoop_process

from mlcoop.errors import DataError
from mlcoop.results import load
from mlcoop.simulate.world import simulate_world

ROOT = Path(__file__).parent.parent
QUICK = {
    "tuning": "{enabled: false}",
    "explain": "{resamples: 20}",
    "evaluation": "{folds: 2}",
    "report": "{enabled: false}",
}


@pytest.fixture(scope="module")
def panel_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    """A small planted world, written by `simulate`-like means and run as a ready panel.

    Distance is in kilometres, the catalogue's factor of that name in logs of them.
    """
    place = tmp_path_factory.mktemp("world")
    world = simulate_world("linear", seed=4, pairs=30, years=8, factors=6, drivers=3, logged=False)
    world.panel.to_csv(place / "world.csv", index=False)
    sections = "\n".join(f"{k}: {v}" for k, v in QUICK.items())
    (place / "world.yaml").write_text(
        "name: world\npanel:\n  path: world.csv\n  pair: [i, j]\n  year: year\n  target: y\n"
        f"  exposure: exposure\n  factors: [{', '.join(world.factors)}]\n{sections}\n"
    )
    return place, mlcoop_process("run", "world.yaml", "--json", cwd=place)


def test_a_ready_panel_runs_and_prints_one_json_document(panel_run) -> None:
    place, done = panel_run
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    table = pd.DataFrame(document["factors"])
    assert len(table) == 6 and sorted(table["rank"]) == [1, 2, 3, 4, 5, 6]
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_high"]).all()
    in_file = pd.read_csv(place / "experiments" / "world" / "factors.csv")
    assert in_file["factor"].tolist() == table["factor"].tolist()
    assert "Traceback" not in done.stderr and "Warning: " not in done.stderr


def test_every_artefact_says_what_it_was_made_from(panel_run) -> None:
    place, _ = panel_run
    folder = place / "experiments" / "world"
    made = json.loads((folder / "provenance.json").read_text())
    assert made["inputs"][0]["sha256"] and made["seed"] == 0 and made["packages"]["xgboost-cpu"]
    assert {"manifest.json", "config.yaml", "run.log"} <= {p.name for p in folder.iterdir()}
    assert not list(folder.glob("**/.*.tmp"))


def test_a_folder_of_studies_that_is_not_there_is_not_empty(tmp_path: Path) -> None:
    lost = mlcoop("list", "--experiments", "lost", cwd=tmp_path)
    assert lost.returncode == 2 and lost.stderr.startswith("--experiments lost: no such folder")
    fresh = mlcoop("list", cwd=tmp_path)  # a project without a study yet
    assert fresh.returncode == 0 and not fresh.stderr


def test_a_path_that_the_machine_refuses_is_one_line(tmp_path: Path) -> None:
    far = "x" * 300
    for command in (("run", f"{far}.yaml"), ("list", "--experiments", far), ("report", far)):
        refused = mlcoop(*command, cwd=tmp_path)
        assert refused.returncode == 2 and far in refused.stderr, refused.stderr
        assert "File name too long" in refused.stderr and len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_of_another_encoding_stops_nothing(panel_run, encoding: str) -> None:
    place, _ = panel_run
    shown = mlcoop("run", "world.yaml", cwd=place, PYTHONIOENCODING=encoding)
    assert shown.returncode == 0 and "Report" in shown.stdout, shown.stderr
    # Words may lose a sign, names in a document may not.
    factors = mlcoop("factors", "--json", cwd=place, PYTHONIOENCODING=encoding)
    assert json.loads(factors.stdout) == json.loads(mlcoop("factors", "--json", cwd=place).stdout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_killed_command_ends_as_an_interrupted_one(number: signal.Signals) -> None:
    code = (
        "import signal, sys, time, mlcoop.cli\n"
        f"signal.signal({int(number)}, signal.SIG_DFL)\n"  # under nohup it comes ignored
        "cli = sys.modules['mlcoop.cli.app']\n"
        "cli.app = lambda **_: (print('up', flush=True), time.sleep(60))\ncli.main()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=pipe, stderr=pipe) as run:
        assert run.stdout is not None and run.stdout.readline() == b"up\n"
        run.send_signal(number)
        _, said = run.communicate(timeout=30)
    assert run.returncode == 1 and said.startswith(b"interrupted; the same command resumes")


def test_a_damaged_study_does_not_hide_the_others(panel_run, tmp_path: Path) -> None:
    place, _ = panel_run
    for name in ("a", "b", "cut", "whole"):
        shutil.copytree(place / "experiments" / "world", tmp_path / "experiments" / name)
    (tmp_path / "experiments" / "a" / "metrics.json").write_text('{"rank')
    (tmp_path / "experiments" / "b" / "coverage.json").write_text("[]")
    manifest = tmp_path / "experiments" / "cut" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "finished": False}))
    listed = mlcoop("list", "--json", cwd=tmp_path)
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    # A run cut off over an earlier one is not finished, whatever the earlier one was.
    assert rows["whole"]["finished"] and rows["cut"]["finished"] is None and len(rows) == 2
    a, b = listed.stderr.splitlines()
    assert listed.returncode == 2 and "experiments/a: a file" in a and "(coverage.json" in b


def test_a_forecast_is_shown_summed_moved_and_scored(panel_run) -> None:
    place, _ = panel_run
    shown = mlcoop("forecast", "world", "--json", cwd=place)
    table = pd.DataFrame(json.loads(shown.stdout))
    assert len(table) == 30 and (table["year"] == table["last_year"] + 1).all()
    assert mlcoop("forecast", "show", "world", "--json", cwd=place).stdout == shown.stdout
    totals = pd.DataFrame(
        json.loads(mlcoop("forecast", "world", "--totals", "--json", cwd=place).stdout)
    )
    total = totals.set_index("total").loc["all"]
    assert total["predicted"] == pytest.approx(table["predicted"].sum())
    assert total["lower"] < total["predicted"] < total["upper"]
    surprises = json.loads(mlcoop("forecast", "world", "--surprises", "--json", cwd=place).stdout)
    assert all(not r["lower"] <= r["observed"] <= r["upper"] for r in surprises)

    factor = pd.read_csv(place / "experiments/world/factors.csv")["factor"].iloc[0]
    (place / "s.yaml").write_text(f"changes: [{{factor: {factor}, pairs: all, add: 0.1}}]")
    moved = mlcoop("forecast", "world", "--scenario", "s.yaml", "--json", cwd=place)
    document = json.loads(moved.stdout)
    assert "not effect" in document["note"] and len(document["pairs"]) == 30
    plain = mlcoop("forecast", "world", "--scenario", "s.yaml", cwd=place)
    assert "Association, not effect" in plain.stdout
    (place / "s.yaml").write_text("changes: [{factor: nothing, pairs: all, add: 0.1}]")
    wrong = mlcoop("forecast", "world", "--scenario", "s.yaml", cwd=place)
    assert wrong.returncode == 2 and len(wrong.stderr.splitlines()) == 1 and wrong.stdout == ""
    assert mlcoop("forecast", "world", "--horizon", "3", cwd=place).returncode == 2


def test_a_cross_section_has_no_years_and_no_next_one(tmp_path: Path) -> None:
    # By hand: a file without years says nothing of a year 0 or of the one after it.
    rows = [f"c{i},c{j},{i * j},{(i + j) % 5}" for i in range(5) for j in range(i)]
    (tmp_path / "p.csv").write_text("\n".join(["i,j,y,f", *rows, ""]))
    (tmp_path / "c.yaml").write_text(
        "name: once\npanel: {path: p.csv, pair: [i, j], target: y, factors: [f]}\n"
        "tuning: {enabled: false}\nexplain: {enabled: false}\nevaluation: {enabled: false}\n"
    )
    done = mlcoop("run", "c.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "10 pairs (10 in focus), 40% zeros" in done.stderr
    folder = tmp_path / "experiments" / "once"
    page = (folder / "report.html").read_text()
    assert "0–0" not in page and "next year bring?" not in page
    assert json.loads((folder / "coverage.json").read_text())["years"] == []
    models = tmp_path / "models" / "once"
    card = (models / "README.md").read_text()
    assert "10 country pairs; counts supplied by the user." in card
    assert "forecaster.json" not in card and not (models / "forecaster.json").exists()
    assert "once" in mlcoop("list", cwd=tmp_path).stdout
    asked = mlcoop("forecast", "once", cwd=tmp_path)
    assert asked.returncode == 2 and "has no year column" in asked.stderr
    # a ranking of the config before must not pass for that of one without
    settings = ("explain.enabled=false", "evaluation.enabled=true", "report.enabled=false")
    sets = [word for text in settings for word in ("--set", text)]
    bare = mlcoop("run", "c.yaml", "--force", "--json", *sets, cwd=tmp_path)
    assert bare.returncode == 0 and json.loads(bare.stdout)["factors"] == []
    gone = ("factors.csv", "observed_expected.csv", "report.html", "figures/ranking.svg")
    assert not any((folder / name).exists() for name in gone)


def test_a_finished_study_is_kept_and_repeats_to_the_number(panel_run) -> None:
    place, done = panel_run
    again = mlcoop("run", "world.yaml", "--json", cwd=place)
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert "already finished" in again.stderr
    folder = place / "experiments" / "world"
    before = (folder / "factors.csv").read_bytes()
    forced = mlcoop("run", "world.yaml", "--force", "--workers", "1", cwd=place)
    assert forced.returncode == 0 and (folder / "factors.csv").read_bytes() == before


def test_another_config_does_not_overwrite_it(panel_run) -> None:
    place, _ = panel_run
    refused = mlcoop("run", "world.yaml", "--set", "seed=5", cwd=place)
    assert refused.returncode == 2 and refused.stdout == ""
    assert "differs in seed" in refused.stderr and "--force" in refused.stderr


def test_a_column_that_knows_its_target_raises_the_alarm(panel_run, tmp_path: Path) -> None:
    place, done = panel_run
    assert "leak alarm" not in done.stderr
    table = pd.read_csv(place / "world.csv")
    table.assign(rank_of_works=table["y"].rank()).to_csv(tmp_path / "world.csv", index=False)
    text = (place / "world.yaml").read_text().replace("factors: [", "factors: [rank_of_works, ")
    (tmp_path / "world.yaml").write_text(text)
    alone = ("--set", "evaluation.enabled=false", "--workers", "1")
    alarmed = mlcoop("run", "world.yaml", *alone, cwd=tmp_path)
    assert alarmed.returncode == 0 and "leak alarm, rank_of_works" in alarmed.stderr
    coverage = json.loads((tmp_path / "experiments/world/coverage.json").read_text())
    assert any("rank_of_works" in text for text in coverage["warnings"])


def test_a_cut_off_run_goes_on_where_it_stopped(
    panel_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, done = panel_run
    for name in ("world.csv", "world.yaml"):
        (tmp_path / name).write_bytes((place / name).read_bytes())

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlcoop.stages.compute.forecast", stop)
        stopped = mlcoop("run", "world.yaml", "--workers", "1", cwd=tmp_path)
    assert stopped.returncode == 1 and "resumes where it stopped" in stopped.stderr
    resumed = mlcoop("run", "world.yaml", "--json", "--workers", "1", cwd=tmp_path)
    assert "explain: done (kept from an earlier run)" in resumed.stderr
    assert json.loads(resumed.stdout)["factors"] == json.loads(done.stdout)["factors"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("run c.yaml --workers 0", ("mlcoop run: ", "'--workers'", "greater than or equal to 1")),
        ("run c.yaml --workers many", ("mlcoop run: ", "'--workers'", "integer")),
        ("run", ("mlcoop run: ", "missing argument", "config", "mlcoop run --help")),
        ("run a.yaml b.yaml", ("mlcoop run: ", "b.yaml")),
        ("run c.yaml --sett a=1", ("mlcoop run: ", "--sett", "--set)")),
        ("run c.yaml --set", ("mlcoop: ", "'--set' requires an argument")),
        ("runn", ("mlcoop: ", "'runn'", "mlcoop --help")),
        ("data fetchh", ("mlcoop data: ", "'fetchh'")),
        ("forecast score world", ("mlcoop forecast score: ", "'--observed'")),
    ],
)
def test_a_command_that_cannot_be_read_is_one_line(
    command: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    done = mlcoop(*command.split(), cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(expected[0]), done.stderr
    assert all(part in done.stderr for part in expected) and "--help" in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_command_at_all_is_answered_with_the_help(tmp_path: Path) -> None:
    done = mlcoop(cwd=tmp_path)
    assert done.returncode == 2 and "compare" in done.stderr and done.stdout == ""
    assert mlcoop("--version", cwd=tmp_path).returncode == 0


def config(place: Path, text: str) -> str:
    (place / "bad.yaml").write_text(text)
    return "bad.yaml"


GOOD = "country_a,country_b,year,works\nCHN,USA,2010,5\n"
BAD_CONFIGS = {
    "an unknown key": ("name: x\nfocuss: {}\n", 'focuss: unknown key. Did you mean "focus"?'),
    "an unknown country": ("name: x\nfocus: {focal: Chyna, partners: asean}\n", "Chyna"),
    "an unknown group": ("name: x\nfocus: {focal: CHN, partners: asaen}\n", '"asean"'),
    "an unknown factor": (
        "name: x\nfocus: {focal: CHN, partners: asean}\nfactors: [gdp_gap]\n",
        'factors[0]: unknown factor or group "gdp_gap". Did you mean "gdp"?',
    ),
    "an unknown learner": (
        "name: x\nfocus: {focal: CHN, partners: asean}\nlearner: poisson_boost\n",
        'Did you mean "poisson_boosting"?',
    ),
    "a missing file": ("name: x\ntarget: {source: csv, path: no.csv}\n", "no such file"),
    "a field of a file that holds none": (
        "name: x\ntarget: {source: csv, path: t.csv, field: life}\n",
        "target.field: t.csv is a file, whose counts are used as given",
    ),
    "fractional counts of a file": (
        "name: x\ntarget: {source: csv, path: t.csv, counting: fractional}\n",
        "target.counting: t.csv is a file",
    ),
    "a column that is not there": (
        "name: x\npanel: {path: t.csv, pair: [country_a, b], year: year, target: works, "
        "factors: [year2]}\n",
        "no column",
    ),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_bad_input_is_one_line_exit_2_and_nothing_written(case: str, tmp_path: Path) -> None:
    text, expected = BAD_CONFIGS[case]
    (tmp_path / "t.csv").write_text(GOOD)
    done = mlcoop("run", config(tmp_path, text), cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("panel:")]
    assert len(lines) == 1 and expected in lines[0], done.stderr
    assert not (tmp_path / "experiments").exists() and not (tmp_path / "models").exists()


BAD_COUNTS = {
    "a negative count": "country_a,country_b,year,works\nCHN,USA,2010,-5\n",
    "a fractional count": "country_a,country_b,year,works\nCHN,USA,2010,2.5\n",
    "a row twice": GOOD + "CHN,USA,2010,5\n",
    "a pair in both orders": GOOD + "USA,CHN,2010,5\n",
    "a country with itself": "country_a,country_b,year,works\nCHN,China,2010,5\n",
}


@pytest.mark.parametrize("case", BAD_COUNTS)
def test_bad_counts_name_file_and_row(case: str, tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(BAD_COUNTS[case])
    text = "name: x\ntarget: {source: csv, path: counts.csv}\nyears: {start: 2005}\n"
    # No service is asked before the file is understood.
    done = mlcoop(
        "run", config(tmp_path, text), cwd=tmp_path, MLCOOP_WORLDBANK_URL="http://127.0.0.1:9"
    )
    assert done.returncode == 2, done.stderr
    assert "counts.csv" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "experiments").exists()


def test_an_unreachable_service_is_one_line_and_exit_1(tmp_path: Path) -> None:
    text = "name: x\nfocus: {focal: CHN, partners: asean}\nyears: {start: 2005, end: 2015}\n"
    done = mlcoop(
        "run", config(tmp_path, text), cwd=tmp_path, MLCOOP_OPENALEX_URL="http://127.0.0.1:9"
    )
    assert done.returncode == 1 and "OpenAlex" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "experiments").exists()


def test_a_folder_that_cannot_be_written_is_one_line(panel_run, tmp_path: Path) -> None:
    place, _ = panel_run
    (tmp_path / "file").write_text("in the way")
    there, file = ["--experiments", str(tmp_path / "e")], ["--models", str(tmp_path / "file")]
    for folders in (["--experiments", *file[1:]], [*there, *file]):
        done = mlcoop("run", "world.yaml", *folders, cwd=place)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert "file/world: cannot be written (Not a directory); choose folders" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_journal_that_cannot_be_written_is_one_line(panel_run, tmp_path: Path) -> None:
    place, _ = panel_run
    journal = tmp_path / "journal" / "tuning" / "factor.journal"
    journal.mkdir(parents=True)
    given = ("--set", "name=journal", "--set", "tuning.enabled=true")
    folder = ("--experiments", str(tmp_path), "--models", str(tmp_path / "models"))
    done = mlcoop("run", "world.yaml", *given, *folder, cwd=place)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "journal/tuning" in done.stderr.splitlines()[-1]
    assert "cannot be written (Is a directory)" in done.stderr


@pytest.mark.parametrize(
    "command",
    ["simulate linear --out", "data status --html"],
)
def test_a_file_that_cannot_be_written_is_one_line(panel_run, command: str, tmp_path: Path) -> None:
    place, _ = panel_run
    (tmp_path / "file").write_text("in the way")
    done = mlcoop(*command.split(), str(tmp_path / "file" / "out.html"), cwd=place)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "cannot be written (Not a directory)" in done.stderr


def test_a_cache_of_imported_files_alone_is_not_called_empty(tmp_path: Path) -> None:
    """Truth: the status names the file and asks for no fetch; an empty cache is called that."""
    kept = {"MLCOOP_CACHE_DIR": str(tmp_path / "cache")}
    empty = "The cache holds no data yet; run mlcoop data fetch CONFIG."
    assert mlcoop("data", "status", cwd=tmp_path, **kept).stdout.strip() == empty
    (tmp_path / "other.csv").write_text("t,i\n2015,156\n")
    done = mlcoop("data", "import", "baci", "other.csv", cwd=tmp_path, **kept)
    assert done.returncode == 2 and done.stderr.startswith("other.csv: not a table of CEPII BACI")
    (tmp_path / "baci.csv").write_text("t,i,j,k,v,q\n2015,156,764,010101,10.5,1\n")
    done = mlcoop("data", "import", "baci", "baci.csv", cwd=tmp_path, **kept)
    assert done.returncode == 0 and done.stderr == "import: 1 file\n"
    status = mlcoop("data", "status", cwd=tmp_path, **kept).stdout
    assert "CEPII BACI" in status and empty not in status


def test_a_notebook_may_ask_for_a_backend_of_its_own(panel_run) -> None:
    """Truth: the name that IPython's kernel sets, of a module that our tests do not install."""
    place, _ = panel_run
    inline = "module://matplotlib_inline.backend_inline"
    done = mlcoop_process("run", "world.yaml", "--json", cwd=place, MPLBACKEND=inline)
    assert done.returncode == 0, done.stderr


def test_a_page_replaces_no_file_of_another_kind(panel_run, tmp_path: Path) -> None:
    place, _ = panel_run
    (tmp_path / "README.md").write_text("mine")
    done = mlcoop("data", "status", "--html", str(tmp_path / "README.md"), cwd=place)
    assert done.returncode == 2 and "give a file that ends in .html" in done.stderr
    assert done.stderr.count("\n") == 1 and (tmp_path / "README.md").read_text() == "mine"


def test_a_page_is_not_written_again_without_its_tables(panel_run, tmp_path: Path) -> None:
    place, _ = panel_run
    shutil.copytree(place / "experiments", tmp_path / "experiments")
    folder = tmp_path / "experiments" / "world"
    (folder / "backtest.csv").unlink()
    (folder / "report.html").write_text("the page of the run")
    done = mlcoop("report", "world", cwd=tmp_path)
    assert done.returncode == 2 and "backtest.csv" in done.stderr and "--force" in done.stderr
    assert (folder / "report.html").read_text() == "the page of the run"


def test_a_page_is_not_written_again_of_a_run_that_was_cut_off(panel_run, tmp_path: Path) -> None:
    place, _ = panel_run
    shutil.copytree(place / "experiments", tmp_path / "experiments")
    folder = tmp_path / "experiments" / "world"
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "finished": False}))
    done = mlcoop("report", "world", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "not finished" in done.stderr and not (folder / "report.html").exists()
    # Nor is it loaded in a notebook, as one whose stages were off.
    with pytest.raises(DataError, match="run is not finished"):
        load(folder)
    # Its tables may be an earlier run's, beside the config of the one that was cut off.
    for command in (
        ("compare", "world", str(ROOT / "experiments" / "china-bri")),
        ("forecast", "world"),
        ("factors", "distance", "--experiment", "world"),
    ):
        done = mlcoop(*command, cwd=tmp_path)
        assert done.returncode == 2 and "run is not finished" in done.stderr, command
        assert done.stdout == ""


def test_a_family_s_planted_members_ask_the_services_nothing(tmp_path: Path) -> None:
    (tmp_path / "family.yaml").write_text(
        "name: family\nfocus: {focal: CHN, partners: [KOR, PAK, VNM, USA, JPN]}\n"
        "years: {end: 2020}\n"
        "training: {countries: [CHN, KOR, PAK, VNM, USA, JPN]}\n"
        "vary:\n  members:\n    counted: {seed: 1}\n"
        "    planted: {target.source: simulated, simulated.drivers: {distance: -0.5}}\n"
    )
    done = mlcoop("data", "fetch", "family.yaml", "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert "planted" not in document and document["needed"] > 0


def test_dry_run_writes_and_fetches_nothing(tmp_path: Path) -> None:
    done = mlcoop(
        "run", str(ROOT / "configs" / "china-bri.yaml"), "--dry-run", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["requests"]["needed"] > 1000 and document["requests"]["cached"] == 0
    # The study's own ranking: national factors count for either end.
    ranking = pd.read_csv(ROOT / "experiments" / "china-bri" / "factors.csv")
    assert document["factors"] == len(ranking)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("horizon", "end", "ahead"), [(5, "2018", 4), (4, "2018", 4), (5, "latest", 5)]
)
def test_dry_run_tells_how_many_years_can_be_forecast(
    tmp_path: Path, horizon: int, end: str, ahead: int
) -> None:
    """Truth: five years ahead take 14 years (tests/forecast/test_backtest.py), 2008-2018 four."""
    config = ROOT / "configs" / "china-bri.yaml"
    years = ["--set", "years.start=2008", "--set", f"years.end={end}"]
    asked = ["--set", f"forecast.horizon={horizon}", "--dry-run", "--json"]
    done = mlcoop("run", str(config), *years, *asked, cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["years_ahead"] == ahead
    assert ("5 ahead needs 14 consecutive years" in document.get("warning", "")) == (
        ahead < horizon
    )


def test_without_a_backtest_there_is_no_forecast_and_a_dry_run_says_so(tmp_path: Path) -> None:
    config = ROOT / "configs" / "quickstart.yaml"
    off = ["--set", "evaluation.enabled=false"]
    done = mlcoop("run", str(config), *off, "--dry-run", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["years_ahead"] == 0 and "forecast" not in document["stages"].split(", ")
    assert document["warning"].startswith("No forecast: ")
    asked = [*off, "--set", "forecast.enabled=false", "--dry-run", "--json"]
    assert "warning" not in json.loads(mlcoop("run", str(config), *asked, cwd=tmp_path).stdout)


def test_dry_run_refuses_years_that_a_run_would_refuse(tmp_path: Path) -> None:
    text = "name: x\nfocus: {focal: CHN, partners: asean}\nyears: {start: 2005, end: 2199}\n"
    for options in (["--dry-run"], []):
        done = mlcoop("run", config(tmp_path, text), *options, cwd=tmp_path)
        (line,) = [s for s in done.stderr.splitlines() if not s.startswith("panel: source data")]
        assert done.returncode == 2 and line.startswith("years.end: 2199 is not over yet; write 2")
    (tmp_path / "counts.csv").write_text(GOOD)
    text = "name: x\ntarget: {source: csv, path: counts.csv}\nyears: {start: 2005, end: 2012}\n"
    own = mlcoop("run", config(tmp_path, text), "--dry-run", cwd=tmp_path)
    assert own.returncode == 2 and "holds no works of 2005" in own.stderr


def commands() -> list[list[str]]:
    from typer.main import get_command

    from mlcoop.cli import app

    found = []
    for name, command in get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        found += [[name, sub] for sub in inner] if inner else [[name]]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_ends_with_an_example_that_the_readme_shows(command: list[str]) -> None:
    from typer.main import get_command

    from mlcoop.cli import app

    found = get_command(app)
    for part in command:
        found = found.commands[part]
    example = re.fullmatch(r"Example: (mlcoop .+)", found.epilog or "")
    assert example, f"{command}: no example"
    assert f"$ {example[1]}" in (ROOT / "README.md").read_text()


def test_simulate_writes_a_world_with_a_config_that_runs(tmp_path: Path) -> None:
    done = mlcoop("simulate", "threshold", "--seed", "3", "--out", "w.csv", cwd=tmp_path)
    assert done.stdout.split() == ["w.csv", "w-truth.csv", "w.yaml"]
    plan = mlcoop("run", "w.yaml", "--dry-run", cwd=tmp_path)
    assert plan.returncode == 0 and "factors: 15" in plan.stdout
    again = mlcoop("simulate", "threshold", "--out", "v.csv", "--json", cwd=tmp_path)
    files = {"panel": "v.csv", "truth": "v-truth.csv", "config": "v.yaml"}
    assert json.loads(again.stdout) == files
    kinds = json.loads(mlcoop("simulate", "--kinds", "--json", cwd=tmp_path).stdout)
    assert "threshold" in kinds["kinds"] and "pairs" in kinds["settings"]


def test_simulate_does_not_write_a_config_over_its_panel(tmp_path: Path) -> None:
    refused = mlcoop("simulate", "linear", "--out", "world.yaml", cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.startswith("--out world.yaml: ")
    assert ".csv" in refused.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("--works 5", "--set mean_works=5"),
        ("--pair-noise 0", "--set pair_noise=0"),
        ("--member a", "leave it out"),
    ],
)
def test_simulate_refuses_what_it_would_pass_over(given: str, instead: str, tmp_path: Path) -> None:
    refused = mlcoop("simulate", "linear", *given.split(), cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(given) and instead in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", ["w.csv", "w-truth.csv", "w.yaml"])
def test_simulate_overwrites_nothing_without_force(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("of another world")
    command = ["simulate", "linear", "--set", "pairs=20", "--set", "years=5", "--out", "w.csv"]
    refused = mlcoop(*command, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(f"{there}: ") and "--force" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "of another world"
    forced = mlcoop(*command, "--force", cwd=tmp_path)
    assert forced.returncode == 0 and len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / there).read_text() != "of another world"


def test_simulate_takes_drivers_and_settings(tmp_path: Path) -> None:
    options = ["--drivers", "distance,population", "--set", "pairs=20", "--set", "years=5"]
    done = mlcoop("simulate", "linear", *options, "--out", "w.csv", cwd=tmp_path)
    assert done.returncode == 0
    truth = pd.read_csv(tmp_path / "w-truth.csv")
    assert truth.loc[truth["driver"], "factor"].tolist() == ["distance", "population"]
    assert len(pd.read_csv(tmp_path / "w.csv")) == 100
    bare = mlcoop("simulate", "linear", "--set", "pairs", "--out", "no.csv", cwd=tmp_path)
    assert bare.returncode == 2 and "example pairs=59\n" in bare.stderr  # a linear world has 59
    for name in ("pears", "seed"):
        bad = mlcoop("simulate", "linear", "--set", f"{name}=20", "--out", "no.csv", cwd=tmp_path)
        assert bad.returncode == 2 and f"{name}: unknown setting" in bad.stderr
    assert not list(tmp_path.glob("no*"))
