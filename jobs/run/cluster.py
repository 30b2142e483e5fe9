"""Hands partitions to a Ray cluster: one task a partition, with Ray's own retries and placement.

Every node must reach the job's folder, its source and its package at the same paths.
"""

import logging
import socket
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import Any

from jobs.plan.plan import Partition
from jobs.run.messages import Begin, Event, PartitionDone
from jobs.run.partition import Job, run_partition
from jobs.run.worker import open_job
from vaeserve.errors import JobError, VaeError, how_to_install

_RETRIES = 5  # of a task whose node or worker is gone
_AHEAD = 4  # tasks for each processor that the cluster has, running and waiting
_LOOK_SECONDS = 5.0  # Ray itself looks for a cluster for two minutes


class RayCluster:
    """Computes partitions on a cluster that is running.

    Args:
        address: of the cluster: `auto`, HOST:PORT or ray://HOST:PORT.
        begin: the job, and who computes.
        threads: processors that a partition takes.
        gpus: GPUs that a partition takes.

    Raises:
        JobError: Ray is not installed, or no cluster answers at the address.
    """

    def __init__(self, address: str, begin: Begin, threads: int, gpus: float) -> None:
        check_cluster(address)
        import ray

        self._ray, self._begin = ray, begin
        try:
            ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, TimeoutError, ValueError) as exc:
            raise JobError(f"--ray: no cluster answers at {address}: {str(exc).splitlines()[0]}") from exc
        self._task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_compute)

    def run(self, partitions: Sequence[Partition]) -> Iterator[Event]:
        """Yields what becomes of the partitions, until all are done.

        Raises:
            JobError: one cannot be computed.
        """
        begin = self._begin.model_dump_json()
        keys = iter([partition.key for partition in partitions])
        # Nodes may come while the job runs, so tasks wait for them, but not all that there are.
        window = _AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        waiting = [self._task.remote(begin, key) for key in islice(keys, window)]
        while waiting:
            done, waiting = self._ray.wait(waiting)
            waiting += [self._task.remote(begin, key) for key in islice(keys, len(done))]
            for key, problem in self._get(done):
                if problem:
                    raise JobError(problem)
                yield PartitionDone(key=key)

    def close(self) -> None:
        """Leaves the cluster; tasks that have not ended are cancelled with it."""
        self._ray.shutdown()

    def _get(self, done: list[Any]) -> list[tuple[str, str]]:
        try:
            results: list[tuple[str, str]] = self._ray.get(done)
        except self._ray.exceptions.RayError as exc:
            raise JobError(f"Ray gave up on a partition: {str(exc).splitlines()[0]}") from exc
        return results


def check_cluster(address: str) -> None:
    """Makes sure that Ray is installed and that something listens where a cluster is said to be.

    Args:
        address: `auto`, HOST:PORT or ray://HOST:PORT.

    Raises:
        JobError: Ray is not installed, or nothing listens.
    """
    if find_spec("ray") is None:
        raise JobError(f"--ray needs Ray: {how_to_install('ray')}")
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise JobError(f"--ray: is {address!r}, must be auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LOOK_SECONDS).close()
    except (OSError, OverflowError) as exc:
        problem = getattr(exc, "strerror", None) or str(exc)
        raise JobError(f"--ray: no cluster answers at {address}: {problem}") from exc


def _compute(begin: str, key: str) -> tuple[str, str]:
    """Computes a partition in one of Ray's processes. Returns its key, and what is wrong."""
    try:
        job = _open_job(begin)
        (partition,) = [each for each in job.plan.partitions if each.key == key]
        run_partition(job, partition, lambda rows, errors: None)
    except VaeError as exc:
        return key, str(exc)
    return key, ""


@cache
def _open_job(begin: str) -> Job:
    """Opens a job once for each process, because opening a package takes a second."""
    return open_job(Begin.model_validate_json(begin))
