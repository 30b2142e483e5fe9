"""The driver stops a job when too many rows have an error, however it hears of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from jobs.job import Allowance, HowToRun
from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition
from jobs.run.driver import TooManyErrors, run_partitions
from jobs.run.messages import Event, PartitionDone
from jobs.run.progress import Progress
from tests.support.jobs import run, write_picture


class _DoneCrew:
    """Says of each partition that it is done and nothing else, as a cluster does."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.is_closed = False

    def run(self, partitions: Sequence[Partition]) -> Iterator[Event]:
        for partition in partitions:
            self.done.append(partition.key)
            yield PartitionDone(key=partition.key)

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(("allowed", "done"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_errors_count_where_only_whole_partitions_are_heard_of(
    tmp_path: Path, tiny: Path, allowed: int, done: int
) -> None:
    for number in range(3):
        write_picture(tmp_path / "source" / f"{number}.png", number)
        (tmp_path / "source" / f"{number}-bad.png").write_bytes(b"?")
    anything = HowToRun(workers=1, allowance=Allowance(6))
    run("encode", tmp_path / "source", tmp_path / "out", tiny, anything, partition_rows=2)
    folder, crew = JobFolder(tmp_path / "out"), _DoneCrew()
    plan = folder.read_plan()

    def drive() -> None:
        progress = Progress(plan.rows, [], lambda figures: None)
        run_partitions(folder, plan, plan.partitions, crew=crew, maximum_errors=allowed, progress=progress)

    if allowed < 3:
        with pytest.raises(
            TooManyErrors, match=f"{allowed + 1} of 6 rows have an error, --max-errors allows {allowed}"
        ):
            drive()
    else:
        drive()
    assert len(crew.done) == done
    assert crew.is_closed
