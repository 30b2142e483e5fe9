from datetime import UTC, datetime
from pathlib import Path

import pytest

from training.settings.creation import creation_time
from vaeserve.command.cli import run
from vaeserve.errors import TrainingError


def test_a_package_is_as_old_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert creation_time() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert (creation_time().tzinfo, creation_time().microsecond) == (UTC, 0)


@pytest.mark.parametrize("seconds", ["soon", "", "1e9", "9" * 30])
def test_another_text_than_seconds_is_refused(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)
    with pytest.raises(TrainingError, match="is not a number of seconds since 1970"):
        creation_time()


def test_the_same_run_exported_twice_gives_the_same_bytes(
    run_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("one", "other"):
        assert run(["export", str(run_directory), "--out", str(tmp_path / name)]) == 0
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "other"))
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert b"2023-11-14T22:13:20Z" in one["manifest.json"]
