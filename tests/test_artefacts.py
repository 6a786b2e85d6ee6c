"""Truth: what was written must read back, and a write that fails must change nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlcoop.artefacts import RunFolder, fingerprint, read_table
from mlcoop.errors import ConfigError, DataError
from mlcoop.experiments import find_experiment, read_experiment
from mlcoop.family.folder import find_family
from mlcoop.files import write_whole


def open_folder(tmp_path: Path) -> RunFolder:
    return RunFolder.open(tmp_path / "experiments", tmp_path / "models", "study")


TABLE = pd.DataFrame({"country_a": ["NA", "CHN"], "share": [0.1, None]})


def test_a_stage_counts_only_with_its_key_and_its_files_unharmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_folder(tmp_path)
    folder.write("explain", "k1", {"a.csv": TABLE, "models/m.json": {"x": 1}}, seconds=1.0)
    again = open_folder(tmp_path)
    assert again.holds("explain", "k1")
    assert not again.holds("explain", "k2") and not again.holds("backtest", "k1")
    with monkeypatch.context() as later:
        later.setattr("mlcoop.__version__", "9.9")
        assert not again.holds("explain", "k1")
    (tmp_path / "models" / "study" / "m.json").write_text("{}")
    assert not again.holds("explain", "k1")


@pytest.mark.parametrize("forced", [True, False])
def test_what_only_an_earlier_run_wrote_goes(tmp_path: Path, forced: bool) -> None:
    """By hand: a stage that writes less, one that is left out, one as before; notes of a user."""
    folder = open_folder(tmp_path)
    folder.write("explain", "k1", {"a.csv": TABLE, "wider.csv": TABLE}, seconds=1.0)
    folder.write("forecast", "k1", {"f.csv": TABLE, "models/m.json": {"x": 1}}, seconds=1.0)
    folder.write("score", "k1", {"s.csv": TABLE}, seconds=1.0)
    (folder.root / "notes.txt").write_text("mine")
    (tmp_path / "experiments" / "other.csv").write_text("another's")
    folder.manifest["earlier"] = ["../other.csv"]
    folder.begin("config")
    again = open_folder(tmp_path)
    if forced:
        again.clear()
        again = open_folder(tmp_path)  # cut off just then, and gone on with
        again.write("score", "k1", {"s.csv": TABLE}, seconds=1.0)
    assert again.holds("score", "k1")
    again.write("explain", "k2", {"a.csv": TABLE}, seconds=1.0)
    again.drop_earlier()
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"a.csv", "s.csv", "notes.txt", "other.csv", "manifest.json"}
    assert set(open_folder(tmp_path).manifest["stages"]) == {"explain", "score"}


def test_tables_read_back_with_namibia_and_gaps(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    folder.write("s", "k", {"a.csv": TABLE, "a.parquet": TABLE}, seconds=0)
    for name in ("a.csv", "a.parquet"):
        back = folder.read(name)
        assert back["country_a"].tolist() == ["NA", "CHN"]
        assert back["share"].isna().tolist() == [False, True]


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    write_whole(path, b"old")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlcoop.files.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line_and_the_stages_before_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_folder(tmp_path)
    folder.write("first", "k", {"a.csv": TABLE}, seconds=0)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("mlcoop.files.os.replace", full)
        with pytest.raises(ConfigError, match=r"b\.csv: cannot be written \(No space left"):
            folder.write("second", "k", {"b.csv": TABLE}, seconds=0)
    again = open_folder(tmp_path)
    assert again.holds("first", "k") and not again.holds("second", "k")


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """Nor is a third let in once a second was refused."""
    first, *others = (open_folder(tmp_path) for _ in range(3))
    with first.locked():
        for other in others:
            with pytest.raises(ConfigError, match="another run"), other.locked():
                pass
    with others[0].locked():
        pass


def test_a_run_that_opened_the_lock_just_before_it_was_released_keeps_others_out(
    tmp_path: Path,
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="locks of POSIX")
    first, third = open_folder(tmp_path), open_folder(tmp_path)
    with first.locked():
        second = (first.root / ".lock").open("r+")
    with second:
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(ConfigError, match="another run"), third.locked():
            pass


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        RunFolder.open(tmp_path / "file", tmp_path / "models", "study")


def test_a_wrong_name_gets_the_nearest_study(tmp_path: Path) -> None:
    (tmp_path / "china-bri").mkdir()
    (tmp_path / "china-bri" / "config.yaml").write_text("name: china-bri\n")
    with pytest.raises(ConfigError, match='did you mean "china-bri"'):
        read_experiment(tmp_path / "china-bir")
    (tmp_path / "china-bri" / "metrics.json").write_text("{broken")
    with pytest.raises(DataError, match="damaged"):
        read_experiment(tmp_path / "china-bri")


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the tests may have every right, so the system's answer is given here."""
    (tmp_path / "config.yaml").write_text("name: x\n")
    (tmp_path / "factors.csv").write_text("factor\n")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("mlcoop.experiments.read_table", refuse)
    with pytest.raises(DataError, match=r"factors.csv: may not be read \(Permission denied\)"):
        read_experiment(tmp_path)


def test_a_path_is_that_folder_and_no_other_of_its_name(tmp_path: Path) -> None:
    """A slip in a path must not answer with another study, nor write into it."""
    study = tmp_path / "experiments" / "x"
    study.mkdir(parents=True)
    (study / "config.yaml").write_text("name: x\n")
    (study / "family.json").write_text("{}")
    for find in (find_experiment, find_family):
        assert find("x", tmp_path / "experiments") == study
        assert find(str(study), tmp_path) == study
        assert find(str(tmp_path / "old" / "x"), tmp_path / "experiments") != study


def test_fingerprints_follow_content_not_index() -> None:
    assert fingerprint(TABLE) == fingerprint(TABLE.set_axis([5, 6]))
    assert fingerprint(TABLE) != fingerprint(TABLE.rename(columns={"share": "rate"}))
    assert fingerprint(TABLE) != fingerprint(TABLE.iloc[::-1])


def test_missing_cells_read_as_missing_only_when_empty(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("iso2,x\nNA,1\nNZ,\n")
    table = read_table(tmp_path / "t.csv")
    assert table["iso2"].tolist() == ["NA", "NZ"] and table["x"].isna().tolist() == [False, True]


def test_a_table_of_another_version_is_named_before_it_is_read(tmp_path):
    (tmp_path / "config.yaml").write_text("name: old\n")
    (tmp_path / "orders.csv").write_text("kind,above,below,p\nfactor,gdp,distance,0.01\n")
    with pytest.raises(DataError, match=r"orders\.csv: lacks the column at_once.*--force"):
        read_experiment(tmp_path)
    assert read_experiment(tmp_path, ("factors",)).orders is None


def test_a_family_that_was_cut_off_is_said_to_go_on(tmp_path):
    (tmp_path / "fields-life").mkdir()
    (tmp_path / "fields-life" / "config.yaml").write_text("name: fields-life\n")
    with pytest.raises(ConfigError, match="a family of that name resumes from fields-life when"):
        read_experiment(tmp_path / "fields")
    with pytest.raises(ConfigError, match='did you mean "fields-life"'):
        read_experiment(tmp_path / "fields-lif")


def test_a_family_is_told_from_a_study_and_its_members_are_named(tmp_path):
    for name, file in (("fields-life", "config.yaml"), ("fields", "family.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    with pytest.raises(
        ConfigError, match="fields: is a family of studies; name one of its members: fields"
    ):
        read_experiment(tmp_path / "fields")
