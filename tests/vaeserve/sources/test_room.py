from pathlib import Path

import numpy as np
import pytest

from vaeserve.errors import InvalidInput
from vaeserve.sources import room
from vaeserve.sources.room import refuse_too_large, room_for


def test_what_is_small_is_kept_in_memory() -> None:
    rows = room_for((2, 3), "uint8", "x")
    assert (rows.shape, rows.base) == ((2, 3), None)


def test_what_is_large_lies_in_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "IN_MEMORY_BYTES", 10)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(room, "gettempdir", lambda: str(tmp_path))
    rows = room_for((5, 3), "float32", "x")
    assert isinstance(rows.base, np.memmap)
    assert type(rows) is np.ndarray
    rows[:] = 7
    assert rows[4].tolist() == [7, 7, 7]
    assert list(tmp_path.iterdir()) == []


def test_large_files_do_not_go_where_memory_may_be_unless_they_are_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "IN_MEMORY_BYTES", 0)
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(room, "_ON_DISK", tmp_path)
    monkeypatch.setattr(room, "gettempdir", lambda: "/nonexistent")
    assert room_for((2,), "uint8", "x").shape == (2,)
    monkeypatch.setattr(room, "_ON_DISK", tmp_path / "none")
    with pytest.raises(InvalidInput, match=r"^x: needs 0\.0 GiB of disk in /nonexistent \(No such file or directory\)"):
        room_for((2,), "uint8", "x")


def test_no_more_disk_is_asked_for_than_there_is() -> None:
    with pytest.raises(InvalidInput, match=r"^x\\n: needs 1073741824\.0 GiB of disk in \S+ \(.+\); TMPDIR names anot"):
        room_for((2**60,), "uint8", "x\n")
    with pytest.raises(InvalidInput, match=r"^x: needs \S+ GiB of disk in \S+ \(more than any file holds\)"):
        room_for((10**6, 10**6, 10**9), "uint8", "x")


def test_no_more_memory_is_asked_for_than_the_machine_has() -> None:
    with pytest.raises(InvalidInput, match=r"^x\\n: needs 1073741824\.0 GiB of memory, this machine has [0-9.]+ GiB$"):
        refuse_too_large(2**60, "x\n")
