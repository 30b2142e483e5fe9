"""What a run does: points, one after another, each a load on the server. Standard library only."""

import random
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

Rpc = Literal["sample", "encode", "decode", "reconstruct"]
RPCS: tuple[Rpc, ...] = ("sample", "encode", "decode", "reconstruct")

Arrivals = Literal["poisson", "constant"]
ARRIVALS: tuple[Arrivals, ...] = ("poisson", "constant")


class ClosedLoop(NamedTuple):
    """Callers who each send a call when the one before is answered."""

    callers: int

    def share(self, process: int, processes: int) -> "ClosedLoop":
        """Returns the callers that one of several processes plays."""
        return ClosedLoop(len(range(process, self.callers, processes)))


class OpenLoop(NamedTuple):
    """Calls sent at times that do not depend on the answers."""

    rate: float
    """Calls a second, over all processes."""
    arrivals: Arrivals
    outstanding: int
    """Most calls in flight; past it the next ones leave late."""
    seed: int
    process: int = 0
    processes: int = 1

    def share(self, process: int, processes: int) -> "OpenLoop":
        """Returns every n-th arrival of the same schedule, and a share of the calls in flight."""
        outstanding = max(1, len(range(process, self.outstanding, processes)))
        return self._replace(outstanding=outstanding, process=process, processes=processes)

    def times(self, start: float, end: float) -> Iterator[float]:
        """Returns when this process's calls are to be sent, in seconds, in [start, end)."""
        return islice(self._schedule(start, end), self.process, None, self.processes)

    def _schedule(self, start: float, end: float) -> Iterator[float]:
        generator = random.Random(self.seed)
        at = start
        while at < end:
            yield at
            at += generator.expovariate(self.rate) if self.arrivals == "poisson" else 1 / self.rate


class Point(NamedTuple):
    """One line of the result."""

    rows: int
    """Rows in each call."""
    load: ClosedLoop | OpenLoop


class Plan(NamedTuple):
    """A run."""

    rpc: Rpc
    points: tuple[Point, ...]
    warmup_seconds: float
    """Load before each point's measurement."""
    duration_seconds: float
    """Of each point's measurement."""
    deadline_seconds: float
    """Of each call, from when it was to be sent."""
    processes: int

    @property
    def seconds(self) -> float:
        """How long the run takes, but for the last answers of each point."""
        return len(self.points) * self.point_seconds

    @property
    def point_seconds(self) -> float:
        """How long one point sends calls."""
        return self.warmup_seconds + self.duration_seconds
