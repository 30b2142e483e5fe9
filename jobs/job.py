"""A job from end to end: plan, partitions, summary. The command and the Python functions both call `run_job`."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from jobs.engine.opening import EngineChoice
from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition, Plan
from jobs.plan.planning import find_plan
from jobs.plan.request import JobRequest
from jobs.refusals import Options
from jobs.report.summary import Summary, write_summary
from jobs.run.driver import Crew, run_partitions
from jobs.run.memory import workers_within_memory
from jobs.run.messages import Begin
from jobs.run.progress import Progress, Speaker
from jobs.run.workers import Workers
from vaeserve.errors import InvalidInput
from vaeserve.machine.cpus import available_cpus
from vaeserve.printable import printable


class Shard(NamedTuple):
    """One of several processes that share a job without knowing of each other."""

    number: int
    """The first is 0."""
    total: int

    def of(self, partitions: Sequence[Partition]) -> list[Partition]:
        """Returns this one's partitions."""
        return [partition for place, partition in enumerate(partitions) if place % self.total == self.number]

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads I/N.

        Raises:
            InvalidInput: it is not two whole numbers, the first below the second.
        """
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
            raise InvalidInput("--shard", f"is {text!r}, must be I/N with I from 0 to N - 1, for example 0/3")
        return cls(int(number), int(count))


class Allowance(NamedTuple):
    """How many rows of a job may have an error: so many, or a share of all."""

    rows: int | None
    share: float = 0.0

    def of(self, rows: int) -> int:
        """Returns the number for a job of so many rows; of a share at least 1."""
        return max(1, int(self.share * rows)) if self.rows is None else self.rows

    @classmethod
    def parse(cls, text: str) -> "Allowance":
        """Reads a number of rows, or a share: "20", "0.1%".

        Raises:
            InvalidInput: it is neither.
        """
        try:
            if text.endswith("%") and 0 <= float(text[:-1]) <= 100:
                return cls(None, float(text[:-1]) / 100)
            if text.isdecimal():
                return cls(int(text))
        except ValueError:
            pass
        raise InvalidInput("--max-errors", f"is {text!r}, must be a number of rows, or a share such as 0.1%")


class HowToRun(Options):
    """Who hands out the partitions, and when to stop. Nothing here changes a byte."""

    workers: int = Field(0, ge=0)
    """Processes on this machine; 0: as many as pay."""
    ray: str | None = None
    """Address of a Ray cluster, in place of processes here."""
    shard: Shard | None = None
    update: bool = False
    """Whether an earlier job is brought up to date with its source."""
    allowance: Allowance = Allowance(None, 0.001)


def run_job(
    request: JobRequest,
    engine: EngineChoice,
    out: Path,
    how: HowToRun,
    speaker: Speaker,
) -> Summary:
    """Begins a job, or goes on with it, and returns what is done at the end.

    Args:
        request: what is to be computed.
        engine: who computes.
        out: the job's folder.
        how: who hands out the partitions.
        speaker: shows progress.

    Raises:
        TooManyErrors: more rows have an error than are allowed; what is done stays done.
        VaeError: the job cannot begin or go on; one line says why.
    """
    if how.ray is not None:  # before the source is read
        from jobs.run.cluster_check import check_cluster

        check_cluster(how.ray)
    for path in (*request.addresses, out.absolute(), engine.package or ""):
        if not _is_text(str(path)):
            raise InvalidInput(printable(path), "is a path that is not UTF-8, which a plan cannot hold: rename it")
    for address in request.addresses:
        _check_whole(address)
    folder = JobFolder(out)
    plan = find_plan(folder, request, engine, trusts_source=how.shard is not None, updates=how.update)
    mine = how.shard.of(plan.partitions) if how.shard else plan.partitions
    undone = [partition for partition in mine if not folder.is_done(partition)]
    if undone:
        progress = Progress(plan.rows, folder.markers(plan), speaker.show)
        crew = _crew(Begin(out=out.absolute(), engine=engine), plan, how, undone)
        allowed = how.allowance.of(plan.rows)
        try:
            run_partitions(folder, plan, undone, crew=crew, maximum_errors=allowed, progress=progress)
        finally:
            speaker.end()
    return write_summary(folder, plan)


def _is_text(path: str) -> bool:
    """Whether a path can be written in UTF-8."""
    return path.encode("utf-8", "ignore").decode() == path


def _check_whole(address: str) -> None:
    """Refuses a source that is the folder of a job with partitions left to do: rows would be missing."""
    source = JobFolder(Path(address))
    if "://" not in address and source.has_plan:
        partitions = source.read_plan().partitions
        done = sum(map(source.is_done, partitions))
        if done < len(partitions):
            raise InvalidInput(
                printable(address),
                f"is a job of which {done:,} of {len(partitions):,} partitions are done: finish it first",
            )


def _crew(begin: Begin, plan: Plan, how: HowToRun, undone: Sequence[Partition]) -> Crew:
    threads = plan.settings.threads
    if how.ray is not None:
        from jobs.run.cluster import RayCluster

        on_gpu = begin.engine.target is None and plan.model.provider == "cuda"
        return RayCluster(how.ray, begin, threads, float(on_gpu))
    return Workers(begin, min(how.workers or _worker_count(begin, plan, undone), len(undone)))


def _worker_count(begin: Begin, plan: Plan, undone: Sequence[Partition]) -> int:
    """Returns how many workers pay: one for each processor, as far as memory allows."""
    package = begin.engine.package
    if package is None or plan.model.provider == "cuda":
        return 1
    return workers_within_memory(package, plan, undone, max(1, available_cpus() // plan.settings.threads))
