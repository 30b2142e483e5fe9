"""Tally: what the service counts, as plain numbers, which are cheap enough for every call. `metrics` publishes them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)


class Histogram:
    """Counts values by range. Each bound ends a range; one more range lies beyond the last bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class BatchTally:
    """Counts of the calls, rows and batches of one graph, by their outcome. The numbers only grow."""

    queued_seconds: Histogram = field(default_factory=Histogram)
    """Time that each interactive call waited, until its last row began to run."""
    bulk_queued_seconds: Histogram = field(default_factory=Histogram)
    """The same of bulk calls, which wait by intention."""
    running_seconds: Histogram = field(default_factory=Histogram)
    """Time that each batch ran."""
    batch_rows: Histogram = field(default_factory=lambda: Histogram(ROWS))
    """Size of each batch."""
    refused_full: int = 0
    """Calls refused because the queue had no room."""
    refused_unreachable: int = 0
    """Calls refused because their deadline could not be met."""
    late_rows: int = 0
    """Rows dropped from the queue because their deadline had passed."""
    cancelled_rows: int = 0
    """Rows dropped from the queue because their caller had left."""
    wasted_rows: int = 0
    """Rows that ran although nobody wanted their answers by the end."""
    non_finite_rows: int = 0
    """Rows for which the graph answered NaN or infinity."""
    failed_batches: int = 0
    """Batches that failed, and their calls with them."""
    halved_batches: int = 0
    """Batches that ran out of memory, and were tried again in two halves."""


class CallTally:
    """Counts of the calls that have ended, with their durations, and of the calls that were not admitted."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        """Calls that were not admitted, by the name of the status code."""
        self.seconds: dict[tuple[str, str, str], Histogram] = {}
        """Durations by the RPC's name, `unary` or `stream`, and the name of the status code."""

    def count(self, method: str, over: Literal["unary", "stream"], code: str, seconds: float) -> None:
        """Counts a call."""
        histogram = self.seconds.get((method, over, code))
        if histogram is None:
            histogram = self.seconds[method, over, code] = Histogram()
        histogram.observe(seconds)
