"""How much memory is left, from what the system and cgroups say, and what work takes."""

from pathlib import Path

import numpy as np
import pytest

from vaeserve.machine.memory import available_bytes, peak_bytes

MIB = 2**20


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:  9000 kB\nMemAvailable:    8000 kB\n")
    return path


def _write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_a_limit_the_system_counts(tmp_path: Path, meminfo: Path) -> None:
    _write(tmp_path / "cg", memory__max="max\n", memory__current="5\n", memory__stat="")
    assert available_bytes(tmp_path / "cg", tmp_path / "none", meminfo) == 8000 * 1024


def test_cached_files_of_a_cgroup_count_as_free(tmp_path: Path, meminfo: Path) -> None:
    _write(
        tmp_path / "cg",
        memory__max="4000000\n",
        memory__current="3000000\n",
        memory__stat="file 9\ninactive_file 500\n",
    )
    assert available_bytes(tmp_path / "cg", tmp_path / "none", meminfo) == 1_000_500


def test_version_1_is_read_too(tmp_path: Path, meminfo: Path) -> None:
    stat = "total_inactive_file 10\n"
    _write(
        tmp_path / "cg" / "memory",
        memory__limit_in_bytes="1000", memory__usage_in_bytes="2000", memory__stat=stat,
    )  # fmt: skip
    assert available_bytes(tmp_path / "cg", tmp_path / "none", meminfo) == 0


def test_what_nobody_says_is_not_known(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "cg", tmp_path / "none", tmp_path / "meminfo") is None


def test_a_peak_is_seen_though_it_has_passed() -> None:
    def work() -> None:
        np.ones(64 * MIB, np.uint8)

    peak = peak_bytes(work)
    assert peak is None or peak >= 60 * MIB


def test_a_system_that_says_nothing_still_runs_the_work(tmp_path: Path) -> None:
    ran = []
    assert peak_bytes(lambda: ran.append(1), tmp_path / "none") is None
    assert ran == [1]
