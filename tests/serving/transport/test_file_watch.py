"""Files that are read again when they change."""

import logging
from pathlib import Path

import pytest

from serving.transport.file_watch import FileWatch
from vaeserve.errors import StartupError


def _watch(path: Path, look_seconds: float = 0.0) -> FileWatch[str]:
    def read() -> str:
        if not path.exists() or not path.read_text():
            raise StartupError("it is empty")
        return path.read_text()

    return FileWatch("words", [path], read, look_seconds)


def test_what_changed_is_read_again_and_what_did_not_is_not(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_text("one")
    watched = _watch(path)
    first = watched.current()
    assert watched.current() is first
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").replace(path)
    assert watched.current() == "two"
    path.write_text("three")
    assert watched.current() == "three"


def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "link"
    link.symlink_to("a")
    watched = _watch(link)
    (tmp_path / "next").symlink_to("b")
    (tmp_path / "next").replace(link)
    assert watched.current() == "b"


@pytest.mark.parametrize("gone", [True, False])
def test_what_cannot_be_read_again_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, gone: bool
) -> None:
    path = tmp_path / "words"
    path.write_text("one")
    watched = _watch(path)
    if gone:
        path.unlink()
    else:
        path.write_text("")
    assert [watched.current() for _ in range(3)] == ["one"] * 3
    assert [record.getMessage() for record in caplog.records] == ["kept the old words: it is empty"]
    path.write_text("two")
    with caplog.at_level(logging.INFO):
        assert watched.current() == "two"
    assert caplog.records[-1].getMessage() == "read the words again"


def test_what_fails_as_nobody_expected_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    watched = FileWatch("numbers", [path], lambda: int(path.read_text()))
    path.write_text("one")
    assert [watched.current() for _ in range(3)] == [1] * 3
    [line] = caplog.records
    assert line.getMessage() == "kept the old numbers: reading them failed. This is a bug."
    path.write_text("22")
    assert watched.current() == 22


def test_it_is_not_looked_at_more_often_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_text("one")
    watched = _watch(path, look_seconds=3600)
    path.write_text("two")
    assert watched.current() == "one"


def test_the_first_time_it_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="it is empty"):
        _watch(tmp_path / "none")
