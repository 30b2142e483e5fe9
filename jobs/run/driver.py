"""Hands out partitions until all are done, or until the run has to stop."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition, Plan, RowError
from jobs.run.messages import Event, PartitionDone, PartitionLost
from jobs.run.progress import Progress
from vaeserve.errors import JobError


class TooManyErrors(JobError):
    """More rows have an error than the run allows.

    Attributes:
        errors: some of them.
    """

    def __init__(self, message: str, errors: Sequence[RowError]) -> None:
        super().__init__(message)
        self.errors = errors


class Crew(Protocol):
    """Whoever computes partitions: processes here, or a cluster."""

    def run(self, partitions: Sequence[Partition]) -> Iterator[Event]:
        """Yields what becomes of the partitions, until all are done. Raises JobError: they cannot be."""
        ...

    def close(self) -> None:
        """Stops all work; what was begun stays undone."""
        ...


def run_partitions(
    folder: JobFolder,
    plan: Plan,
    partitions: Sequence[Partition],
    *,
    crew: Crew,
    maximum_errors: int,
    progress: Progress,
) -> None:
    """Computes partitions, and stops when too many rows have an error.

    Args:
        folder: the job's.
        plan: the job's.
        partitions: which are not done.
        crew: computes them; closed at the end.
        maximum_errors: rows that may have an error, over the whole job.
        progress: counts.

    Raises:
        TooManyErrors: more rows have an error.
        JobError: the job cannot go on.
    """
    by_key = {partition.key: partition for partition in partitions}
    try:
        _check_errors(progress, plan, maximum_errors)
        for event in crew.run(partitions):
            if isinstance(event, PartitionDone):
                progress.finish(folder.read_marker(by_key[event.key]))
            elif isinstance(event, PartitionLost):
                progress.lose(event.key)
            else:
                progress.count(event.key, event.rows, event.errors)
            _check_errors(progress, plan, maximum_errors)  # of a cluster only whole partitions are heard of
    finally:
        crew.close()
        folder.remove_partials(partitions)


def _check_errors(progress: Progress, plan: Plan, maximum_errors: int) -> None:
    if progress.errors > maximum_errors:
        raise TooManyErrors(
            f"{progress.errors:,} of {plan.rows:,} rows have an error, --max-errors allows {maximum_errors:,}",
            progress.first_errors,
        )
