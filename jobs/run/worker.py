"""A worker: computes the partitions whose keys come on standard input, and tells of them on standard output.

It ends when its driver does, because standard input ends then. Whatever a library prints goes to standard error.
"""

import os
import queue
import sys
import threading
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import BinaryIO

from jobs.engine.opening import open_computer
from jobs.plan.folder import JobFolder
from jobs.plan.plan import RowError
from jobs.run.messages import Begin, PartitionDone, RowsDone, RunPartition, WorkerFailed
from jobs.run.partition import Job, run_partition
from jobs.settings import rows_of_source
from jobs.sources.opening import open_planned
from vaeserve.errors import VaeError
from vaeserve.records import Record

_LIBRARIES = ("vaeserve", "onnxruntime", "onnxruntime-gpu", "numpy", "pyarrow", "Pillow")


def open_job(begin: Begin) -> Job:
    """Opens a planned job: its source, and what computes.

    Raises:
        VaeError: one of them cannot be opened, or is not what was planned.
    """
    folder = JobFolder(begin.out)
    plan = folder.read_plan()
    settings = plan.settings
    spec = rows_of_source(settings.verb, plan.model, codes=settings.codes)
    source = None if plan.source is None else open_planned(plan.source.addresses, spec, settings)
    return Job(folder, plan, source, open_computer(begin.engine, plan.model, settings), versions())


def main() -> None:
    """Serves one driver."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines = _lines_of_the_driver()
    try:
        _serve(lines, out)
    except VaeError as exc:
        _send(out, WorkerFailed(message=str(exc)))


def _serve(lines: "queue.SimpleQueue[bytes]", out: BinaryIO) -> None:
    job = open_job(Begin.model_validate_json(lines.get()))
    partitions = {partition.key: partition for partition in job.plan.partitions}

    def progress(key: str, rows: int, errors: list[RowError]) -> None:
        _send(out, RowsDone(key=key, rows=rows, errors=tuple(errors)))

    while True:
        key = RunPartition.model_validate_json(lines.get()).key
        run_partition(job, partitions[key], partial(progress, key))
        _send(out, PartitionDone(key=key))


def _lines_of_the_driver() -> "queue.SimpleQueue[bytes]":
    """Returns the lines as they come. The process ends with them, even in the middle of a partition."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        with open(0, "rb", buffering=0, closefd=False) as unbuffered:
            # A buffer would be locked by this thread, and abort a process that ends because of a fault.
            for line in unbuffered:
                lines.put(line)
        os._exit(0)

    threading.Thread(target=read, name="driver", daemon=True).start()
    return lines


def _send(out: BinaryIO, message: Record) -> None:
    try:
        out.write(message.model_dump_json().encode() + b"\n")
        out.flush()
    except BrokenPipeError:  # the driver is gone
        os._exit(0)


def versions() -> dict[str, str]:
    """Returns the versions of the libraries that have a part in the bytes."""
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


if __name__ == "__main__":
    main()
