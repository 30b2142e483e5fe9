"""Jobs that tests run, and what became of them."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from jobs.engine.opening import EngineChoice
from jobs.job import HowToRun, run_job
from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition
from jobs.plan.request import JobRequest
from jobs.python import engine_of
from jobs.report.summary import Summary
from jobs.report.verify import problems
from jobs.run.messages import Begin, Event, PartitionDone
from jobs.run.partition import run_partition
from jobs.run.progress import Speaker
from jobs.run.worker import open_job

PARTITION_ROWS = 150


def run(
    verb: str, source: Path | tuple[Path, ...], out: Path, package: Path, how: HowToRun | None = None, **asked: object
) -> Summary:
    """Runs a job in partitions of 150 rows, with batches of 64, one worker."""
    addresses = source if isinstance(source, tuple) else (source,)
    asked = {"partition_rows": PARTITION_ROWS, "batch_rows": 64} | asked
    request = JobRequest.parse(verb=verb, addresses=tuple(map(str, addresses)), **asked)
    return run_job(request, engine(package), out, how or HowToRun(workers=1), Speaker("quiet"))


class InProcess:
    """Computes partitions in the process of the test, in place of `Workers`."""

    def __init__(self, begin: Begin, count: int) -> None:
        self._begin = begin

    def run(self, partitions: Sequence[Partition]) -> Iterator[Event]:
        """See Crew."""
        job = open_job(self._begin)
        with closing(job.computer), closing(job.source) if job.source else nullcontext():
            for partition in partitions:
                run_partition(job, partition, lambda rows, errors: None)
                yield PartitionDone(key=partition.key)

    def close(self) -> None:
        """Nothing runs."""


def write_picture(path: Path, shade: int) -> None:
    """Writes a grey picture of 4 x 4 pixels, as the tiny package takes them, of its own for each shade."""
    levels = np.random.default_rng(shade).integers(0, 256, (4, 4))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.astype(np.uint8)).save(path)


def engine(package: Path) -> EngineChoice:
    """Returns who computes: a package, on the CPU."""
    return engine_of({"package": package, "provider": "cpu"})


def hashes(out: Path) -> dict[str, str]:
    """Returns the hash of every data file of a job."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("part-*"))}


def table_of(out: Path) -> pa.Table:
    """Returns all rows of a job that wrote Parquet, in the order of their addresses."""
    parts = [pyarrow.parquet.read_table(path) for path in sorted(out.glob("part-*.parquet"))]
    return pa.concat_tables(parts).sort_by("row")


def faults(out: Path) -> list[str]:
    """Returns what `vae job verify` finds."""
    folder = JobFolder(out)
    return [*problems(folder, folder.read_plan())]
