"""A plan: points, one after another, each of which is a load on the server. Standard library only."""

import random
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

RpcName = Literal["sample", "encode", "decode", "reconstruct"]
RPCS: tuple[RpcName, ...] = ("sample", "encode", "decode", "reconstruct")

Arrivals = Literal["poisson", "constant"]
ARRIVALS: tuple[Arrivals, ...] = ("poisson", "constant")


class ClosedLoop(NamedTuple):
    """Callers, each of which sends its next call when the last one is answered."""

    callers: int

    def share(self, process: int, processes: int) -> "ClosedLoop":
        """Returns the callers that belong to one of several processes."""
        return ClosedLoop(len(range(process, self.callers, processes)))


class OpenLoop(NamedTuple):
    """Calls sent at times that do not depend on the answers."""

    rate: float
    """Calls per second, over all processes."""
    arrivals: Arrivals
    outstanding: int
    """Maximum number of calls in flight; beyond it the next calls leave late."""
    seed: int
    process: int = 0
    processes: int = 1

    def share(self, process: int, processes: int) -> "OpenLoop":
        """Returns one process's load: every n-th arrival of the same schedule, and its part of the calls in flight."""
        outstanding = max(1, len(range(process, self.outstanding, processes)))
        return self._replace(outstanding=outstanding, process=process, processes=processes)

    def times(self, start: float, end: float) -> Iterator[float]:
        """Yields when this process's calls are due, in seconds, in [start, end)."""
        return islice(self._schedule(start, end), self.process, None, self.processes)

    def _schedule(self, start: float, end: float) -> Iterator[float]:
        generator = random.Random(self.seed)
        at = start
        while at < end:
            yield at
            at += generator.expovariate(self.rate) if self.arrivals == "poisson" else 1 / self.rate


class LoadPoint(NamedTuple):
    """One number of rows under one load: one line of the table."""

    rows: int
    """Rows in each call."""
    load: ClosedLoop | OpenLoop


class BenchPlan(NamedTuple):
    """Everything that one `vae bench` does."""

    rpc: RpcName
    points: tuple[LoadPoint, ...]
    warmup_seconds: float
    """Load before each point's measurement."""
    duration_seconds: float
    """Of each point's measurement."""
    deadline_seconds: float
    """Of each call, from when it was due."""
    processes: int

    @property
    def seconds(self) -> float:
        """How long the run takes, without the wait for each point's last answers."""
        return len(self.points) * self.point_seconds

    @property
    def point_seconds(self) -> float:
        """For how long one point sends calls."""
        return self.warmup_seconds + self.duration_seconds
