"""Quotas from folders that look like a cgroup's."""

import os
from pathlib import Path

import pytest

from vaeserve.machine.cpus import available_cpus


@pytest.mark.parametrize(("quota", "cpus"), [("max 100000", None), ("100000 100000", 1), ("20000 100000", 1)])
def test_reads_version_2(tmp_path: Path, quota: str, cpus: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert available_cpus(tmp_path) == (cpus or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("quota", "cpus"), [("-1", None), ("50000", 1)])
def test_reads_version_1(tmp_path: Path, quota: str, cpus: int | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus(tmp_path) == (cpus or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("processors", "cpus"), [(2, 2), (4, 3)])
def test_a_quota_is_rounded_up_and_cut_to_the_affinity(tmp_path: Path, processors: int, cpus: int) -> None:
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert available_cpus(tmp_path, range(processors)) == cpus
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_cpus(tmp_path, range(processors)) == processors


@pytest.mark.parametrize(
    ("quotas", "cpus"),
    [
        ({"a/b": "200000", "a": "max", ".": "max"}, 2),
        ({"a/b": "max", "a": "300000"}, 3),
        ({"a/b": "500000", "a": "100000", ".": "400000"}, 1),
        ({"a/other": "100000", "a/b/below": "100000"}, 8),
        ({".": "400000"}, 4),
    ],
)
def test_the_smallest_quota_around_the_process_counts(tmp_path: Path, quotas: dict[str, str], cpus: int) -> None:
    for folder, quota in quotas.items():
        (tmp_path / "mounted" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / folder / "cpu.max").write_text(f"{quota} 100000\n")
    membership = tmp_path / "membership"
    membership.write_text("1:name=systemd:/other\n0::/a/b\n")
    assert available_cpus(tmp_path / "mounted", range(8), membership) == cpus


def test_without_a_cgroup_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == len(os.sched_getaffinity(0))


def test_without_an_affinity_all_processors_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert available_cpus(tmp_path) == 5
