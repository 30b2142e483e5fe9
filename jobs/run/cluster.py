"""Hands partitions to a Ray cluster: one task a partition, with Ray's own retries and placement.

Every node must have this vaeserve installed, with the same versions of the libraries that have a part in the bytes, and
reach the job's folder, its source and its package at the same paths.
"""

import logging
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from typing import Any

from jobs.plan.plan import Partition
from jobs.run.cluster_check import check_listening, one_line
from jobs.run.messages import Begin, Event, PartitionDone
from jobs.run.partition import Job, run_partition
from jobs.run.worker import open_job, versions
from vaeserve.errors import JobError, VaeError

_RETRIES = 5  # of a task whose node or worker is gone
_CANCEL_SECONDS = 5.0
_AHEAD = 4  # tasks for each processor that the cluster has, running and waiting


class RayCluster:
    """Computes partitions on a cluster that is running.

    Args:
        address: of the cluster: `auto`, HOST:PORT or ray://HOST:PORT. Not used if this process is connected to a
            cluster already.
        begin: the job, and who computes.
        threads: processors that a partition takes.
        gpus: GPUs that a partition takes.

    Raises:
        JobError: no cluster answers at the address.
    """

    def __init__(self, address: str, begin: Begin, threads: int, gpus: float) -> None:
        import ray

        self._ray: Any = ray
        self._begin = begin
        self._is_mine = not ray.is_initialized()
        self._tasks: list[Any] = []  # not known to have ended
        if self._is_mine:
            check_listening(address)
            _connect(ray, address)
        self._task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_task())

    def run(self, partitions: Sequence[Partition]) -> Iterator[Event]:
        """Yields what becomes of the partitions, until all are done.

        Raises:
            JobError: one cannot be computed.
        """
        # Ray shows the arguments of tasks, but not what a reference refers to, and the job may hold a token.
        begin = self._ray.put(self._begin.model_dump_json())
        libraries = versions()
        keys = iter([partition.key for partition in partitions])
        # Nodes may come while the job runs, so tasks wait for them, but not all that there are.
        window = _AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._tasks = [self._task.remote(begin, key, libraries) for key in islice(keys, window)]
        while self._tasks:
            done, self._tasks = self._ray.wait(self._tasks)
            self._tasks += [self._task.remote(begin, key, libraries) for key in islice(keys, len(done))]
            for key, problem in self._get(done):
                if problem:
                    raise JobError(problem)
                yield PartitionDone(key=key)

    def close(self) -> None:
        """Cancels the tasks that have not ended, and leaves the cluster if the job was what joined it."""
        for task in self._tasks:
            self._ray.cancel(task)  # by force it may abort this process, when the task ends in that moment
        if self._tasks:  # their partial files are removed next
            self._ray.wait(self._tasks, num_returns=len(self._tasks), timeout=_CANCEL_SECONDS)
        self._tasks = []
        if self._is_mine:
            self._ray.shutdown()

    def _get(self, done: list[Any]) -> list[tuple[str, str]]:
        try:
            results: list[tuple[str, str]] = self._ray.get(done)
        except self._ray.exceptions.RayError as exc:
            raise JobError(f"Ray gave up on a partition: {one_line(exc)}") from exc
        return results


def _connect(ray: Any, address: str) -> None:  # noqa: ANN401, Ray loads where it is needed
    try:
        with _signals_unchanged():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as exc:
        raise JobError(f"--ray: no cluster answers at {address}: {one_line(exc)}") from exc


@contextmanager
def _signals_unchanged() -> Iterator[None]:
    """Restores the handler of SIGTERM, in whose place Ray puts its own."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _task() -> Any:  # noqa: ANN401, a function of Ray's kind
    """Returns what a task does. It travels by value, because a function of this module needs vaeserve to arrive."""

    def run(begin: str, key: str, libraries: dict[str, str]) -> tuple[str, str]:
        import socket

        try:
            from jobs.run.cluster import compute
        except ImportError as exc:
            return key, f"node {socket.gethostname()} has not installed what the job needs: {exc}"
        return compute(begin, key, libraries)

    return run


def compute(begin: str, key: str, libraries: dict[str, str]) -> tuple[str, str]:
    """Computes a partition in one of Ray's processes.

    Args:
        begin: the job, as JSON.
        key: of the partition.
        libraries: versions that the job began with.

    Returns:
        The key, and what is wrong; empty: nothing is.
    """
    try:
        check_versions(versions(), libraries)
        job = _open_job(begin)
        (partition,) = [each for each in job.plan.partitions if each.key == key]
        run_partition(job, partition, lambda rows, errors: None)
    except VaeError as exc:
        return key, str(exc)
    return key, ""


def check_versions(here: dict[str, str], libraries: dict[str, str]) -> None:
    """Refuses a node that may write other bytes.

    Raises:
        JobError: names the node and the first library that differs.
    """
    for name in sorted(here.keys() | libraries.keys(), key=lambda name: (name != "vaeserve", name)):
        ours, theirs = (found.get(name, "none") for found in (libraries, here))
        if ours != theirs:
            raise JobError(
                f"node {socket.gethostname()} has {name} {theirs}, the job began with {ours}: "
                "install the same on every node"
            )


@lru_cache(maxsize=1)
def _open_job(begin: str) -> Job:
    """Opens a job once for each process, because opening a package takes a second; another job replaces it."""
    return open_job(Begin.model_validate_json(begin))
