"""Verify finds whatever is wrong with a job."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.plan.folder import JobFolder
from tests.support.jobs import faults, run

FILE = "part-00002-of-00007.parquet"


@pytest.fixture
def done(rows_file: Path, tmp_path: Path, tiny: Path) -> Path:
    """A job that is done."""
    run("encode", rows_file, tmp_path / "out", tiny)
    return tmp_path / "out"


def _append(out: Path) -> None:
    with (out / FILE).open("ab") as file:
        file.write(b"x")


def _overlap(out: Path) -> None:
    folder = JobFolder(out)
    plan = folder.read_plan()
    first, second, *rest = plan.partitions
    folder.replace_plan(
        plan.model_copy(update={"partitions": (first, second.model_copy(update={"first_row": 100}), *rest)})
    )


def _count_fewer(out: Path) -> None:
    folder = JobFolder(out)
    partition = folder.read_plan().partitions[2]
    folder.mark(folder.read_marker(partition).model_copy(update={"rows": 149}))


def _lose_spans(out: Path) -> None:
    folder = JobFolder(out)
    folder.write_spans(folder.read_plan().partitions[2].spans, [])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_append, f"{FILE}: is not as it was written"),
        (lambda out: (out / FILE).unlink(), f"{FILE}: cannot be read: No such file or directory"),
        (
            lambda out: (out / "_job" / "done" / "00002.json").unlink(),
            f"1 of 7 partitions are not done (first: {FILE}): run",
        ),
        (lambda out: (out / "_job" / "done" / "00002.json").write_text("{"), "is not what a job wrote"),
        (lambda out: (out / "part-9.parquet").touch(), "part-9.parquet: belongs to no partition of the plan"),
        (_overlap, "part-00001-of-00007.parquet: begins at row 100, which another partition has too"),
        (_count_fewer, f"{FILE}: its marker counts 149 rows, the plan 150"),
        (_lose_spans, f"{FILE}: its spans hold 0 rows, the plan 150"),
    ],
)
def test_what_is_wrong_is_named(done: Path, spoil: Callable[[Path], object], fault: str) -> None:
    assert faults(done) == []
    spoil(done)
    (found,) = faults(done)
    assert fault in found
