"""A job's folder: what a killed process leaves is removed; what other processes need is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.plan.folder import JobFolder, RemovedFile, hold
from jobs.plan.plan import Partition, Plan
from tests.support.jobs import faults, run
from tests.support.servers import ROOT
from vaeserve.errors import InvalidInput

WRITER = """
import sys
from jobs.plan.folder import hold
with open(sys.argv[1], "wb") as file:
    hold(file)
    file.write(b"rows")
    file.flush()
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_file_that_another_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    partial = tmp_path / ".part-00000-of-00001.npy.1234abcd.partial"
    partitions = [Partition(key="00000", file="part-00000-of-00001.npy", first_row=0, rows=1)]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(partial)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    JobFolder(tmp_path).remove_partials(partitions)
    assert partial.exists()
    writer.kill()
    writer.communicate()
    JobFolder(tmp_path).remove_partials(partitions)
    assert not partial.exists()


def test_a_file_that_was_removed_before_it_was_locked_is_not_written(tmp_path: Path) -> None:
    partial = tmp_path / ".part-00000-of-00001.npy.1234abcd.partial"
    partitions = [Partition(key="00000", file="part-00000-of-00001.npy", first_row=0, rows=1)]
    with partial.open("wb") as file:
        JobFolder(tmp_path).remove_partials(partitions)
        assert not partial.exists()
        with pytest.raises(RemovedFile):
            hold(file)


@pytest.fixture
def plan(rows_file: Path, tmp_path: Path, tiny: Path) -> Plan:
    """A job's plan."""
    run("encode", rows_file, tmp_path / "planned", tiny)
    return JobFolder(tmp_path / "planned").read_plan()


def test_a_process_that_cannot_plan_does_not_take_the_folders_of_one_that_can(
    rows_file: Path, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, publish = tmp_path / "out", JobFolder.publish_plan

    def publish_while_another_gives_up(folder: JobFolder, plan: Plan) -> Plan:
        JobFolder(out).leave()
        published = publish(folder, plan)
        JobFolder(out).leave()
        return published

    monkeypatch.setattr(JobFolder, "publish_plan", publish_while_another_gives_up)
    run("encode", rows_file, out, tiny)
    assert faults(out) == []
    run("sample", (), tmp_path / "sampled", tiny, count=10, seed=1)  # without spans, the whole of `_job` is removed
    assert faults(tmp_path / "sampled") == []


def test_the_first_of_two_plans_wins_on_a_disk_without_hard_links(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    folder = JobFolder(tmp_path / "out")
    folder.prepare()
    assert folder.publish_plan(plan) == plan
    other = plan.model_copy(update={"rows": 5})
    assert folder.publish_plan(other) == plan == folder.read_plan()
    assert not [*(tmp_path / "out" / "_job").glob(".*")]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"file/_job/spans: cannot be made: Not a directory"):
        JobFolder(tmp_path / "file").prepare()
