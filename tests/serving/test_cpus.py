"""Quotas from folders that look like a cgroup's."""

import os
from pathlib import Path

import pytest

from serving.cpus import available_cpus


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


def test_without_a_cgroup_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == len(os.sched_getaffinity(0))
