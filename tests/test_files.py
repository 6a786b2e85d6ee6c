"""Places that someone chose. Truth: the place is named, in one line, and its content is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlcoop.errors import ConfigError
from mlcoop.files import refuse_unwritable, write_output


def test_the_folder_is_made_and_the_bytes_are_there(tmp_path: Path) -> None:
    write_output(tmp_path / "new" / "page.html", b"page")
    assert (tmp_path / "new" / "page.html").read_bytes() == b"page"


def test_rights_are_a_new_file_s_and_the_umask_of_other_threads_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").write_bytes(b"")

    def untouched(mask: int) -> int:
        raise AssertionError("the umask belongs to the whole process")

    monkeypatch.setattr("os.umask", untouched)
    write_output(tmp_path / "page.html", b"page")
    assert (tmp_path / "page.html").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("place", ["file/page.html", "file/deep/page.html", "folder"])
def test_a_place_that_cannot_be_written_is_named_in_one_line(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError) as refused:
        write_output(tmp_path / place, b"page")
    line = str(refused.value)
    assert line.startswith(f"{tmp_path / place}: cannot be written (")
    assert line.endswith("choose another place") and "\n" not in line
    assert (tmp_path / "file").read_text() == "in the way"
    assert not list((tmp_path / "folder").iterdir())


def test_rights_are_looked_at_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the tests may have every right, so the system's answer is given here."""
    place = tmp_path / "not" / "yet"
    refuse_unwritable(place)
    asked: list[Path] = []

    def refuse(path: Path, mode: int) -> bool:
        asked.append(path)
        return False

    monkeypatch.setattr("os.access", refuse)
    with pytest.raises(ConfigError, match="not/yet: cannot be written .Permission denied.; choose"):
        refuse_unwritable(place)
    assert asked == [tmp_path] and not list(tmp_path.iterdir())
