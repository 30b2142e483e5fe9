from pathlib import Path
from threading import Barrier, Event, Lock, current_thread

import pytest

from vaeserve.machine.cpus import available_cpus
from vaeserve.sources.ahead import read_ahead

FILES = [Path(str(number)) for number in range(40)]


def test_answers_come_in_order_while_two_threads_read() -> None:
    second = Event()

    def read(file: Path) -> str:
        if file.name == "0":
            assert second.wait(10)  # until another thread has read the next
        if file.name == "1":
            second.set()
        return file.name

    assert [(file, answer()) for file, answer in read_ahead(FILES, read, 2)] == [(file, file.name) for file in FILES]


def test_only_some_files_are_read_ahead_and_none_after_an_error() -> None:
    begun, lock = list[str](), Lock()

    def read(file: Path) -> str:
        with lock:
            begun.append(file.name)
        if file.name == "3":
            raise ValueError("3 is bad")
        return file.name

    with pytest.raises(ValueError, match=r"^3 is bad$"):
        _ = [answer() for _, answer in read_ahead(iter(FILES), read, 2)]
    assert len(begun) <= 3 + 2 * 4 + 2


def test_no_files() -> None:
    assert list(read_ahead([], str)) == []


def test_as_many_threads_read_as_the_quota_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("300000 100000")
    monkeypatch.setattr("vaeserve.sources.ahead.available_cpus", lambda: available_cpus(tmp_path, range(6)))
    together = Barrier(3)

    def read(_file: Path) -> str:
        together.wait(10)
        return current_thread().name

    assert len({thread() for _, thread in read_ahead(FILES[:39], read)}) == 3
