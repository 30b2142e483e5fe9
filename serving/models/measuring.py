"""Measuring: how a model's graphs are best run here: how many batches at once, on how many threads, of how many rows.

It runs the graphs at growing batch sizes, on as many executors as will run side by side. It compares processor time a
row, because that is the machine's limit, and the figure that other work disturbs least.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import NamedTuple

from vaeserve.errors import OutOfMemory

HIGHEST_BATCH_ROWS = 256
_POINT_SECONDS = 0.002  # of runs at one batch size, at least
_SERVER_SECONDS = 0.0001  # processor time that the server itself spends on one more batch, about
_AS_GOOD = 1.05  # times the minimum processor time a row: within it, numbers of threads count as equal
_BATCH_AS_GOOD = 1.02  # and batches
_LONGEST_BATCH_SECONDS = 0.025  # so that no caller waits long behind one batch

RunRows = Callable[[int], object]
"""Runs the graphs once, on so many rows."""
OpenRunner = Callable[[int], RunRows]
"""Opens the graphs for a number of threads."""


class Measurement(NamedTuple):
    """What running the graphs at one batch size cost."""

    threads: int
    executors: int
    batch_rows: int
    processor_seconds: float
    """A row, over all threads."""
    seconds: float
    """A row, on the clock, with all executors at work."""
    batch_seconds: float
    """On the clock."""


def thread_counts(cpus: int) -> list[int]:
    """Returns the numbers of threads to try: powers of two, and all processors."""
    return sorted({*takewhile(lambda count: count < cpus, (2**power for power in range(20))), cpus})


def measure(
    open_runner: OpenRunner, threads: Iterable[int], cpus: int, budget_seconds: float, rounds: int = 3
) -> list[Measurement]:
    """Measures batch sizes with each number of threads, a few times over, and keeps the least that was seen.

    Args:
        open_runner: opens the graphs for a number of threads.
        threads: numbers of threads to try, the most promising first.
        cpus: processors that may be used.
        budget_seconds: when to begin nothing more; what has begun is finished, and something always is.
        rounds: how often, where there is time.
    """
    end = time.perf_counter() + budget_seconds
    runners: dict[int, RunRows] = {}
    seen: dict[tuple[int, int], Measurement] = {}
    for count in list(threads) * rounds:
        if seen and time.perf_counter() > end:
            break
        if count not in runners:
            runners[count] = open_runner(count)
        for point in _measure_sizes(runners[count], count, max(1, cpus // count), end, is_first=not seen):
            key = point.threads, point.batch_rows
            seen[key] = _least(seen.get(key, point), point)
    return list(seen.values())


def cheapest(points: Iterable[Measurement]) -> Measurement:
    """Returns the combination that costs least processor time a row, and of equals the one that is fastest.

    Its batch is the largest that is as good as the best.
    """
    points = list(points)
    tried = {point.threads for point in points}
    best = [_largest([point for point in points if point.threads == threads]) for threads in tried]
    least = min(map(_cost, best))
    as_good = [point for point in best if _cost(point) <= _AS_GOOD * least]
    return min(as_good, key=lambda point: point.seconds)


def _largest(points: list[Measurement]) -> Measurement:
    """Returns the largest batch that is as good as the best, of those that keep nobody waiting for long."""
    short = [point for point in points if point.batch_seconds <= _LONGEST_BATCH_SECONDS] or points[:1]
    least = min(map(_cost, short))
    return [point for point in short if _cost(point) <= _BATCH_AS_GOOD * least][-1]


def _cost(point: Measurement) -> float:
    """Returns the processor time that a row takes of the graphs and of the server around them."""
    return point.processor_seconds + _SERVER_SECONDS / point.batch_rows


def _least(one: Measurement, other: Measurement) -> Measurement:
    return Measurement(*one[:3], *map(min, one[3:], other[3:]))


def _measure_sizes(run_rows: RunRows, threads: int, executors: int, end: float, *, is_first: bool) -> list[Measurement]:
    points: list[Measurement] = []
    with ThreadPoolExecutor(executors) as pool:
        rows = 1
        while rows <= HIGHEST_BATCH_ROWS and (not points or time.perf_counter() < end):
            try:
                before = _now()
                run_rows(rows)  # the first run of a size lays out its memory
                used, took = (now - then for now, then in zip(_now(), before, strict=True))
                if is_first and not points and time.perf_counter() + took > end:
                    # There is no time to run another row, so nothing is compared with this measurement.
                    return [Measurement(threads, executors, rows, used, took / executors, took)]
                points.append(_measure_point(pool, run_rows, threads, executors, rows))
            except OutOfMemory:
                if not points:
                    raise
                break
            if points[-1].batch_seconds > _LONGEST_BATCH_SECONDS:
                break
            rows *= 2
    return points


def _measure_point(pool: ThreadPoolExecutor, run_rows: RunRows, threads: int, executors: int, rows: int) -> Measurement:
    def run_for_a_while() -> int:
        end = time.perf_counter() + _POINT_SECONDS
        runs = 0
        while not runs or time.perf_counter() < end:
            run_rows(rows)
            runs += 1
        return runs

    before = _now()
    runs = [task.result() for task in [pool.submit(run_for_a_while) for _ in range(executors)]]
    used, took = (now - then for now, then in zip(_now(), before, strict=True))
    done = sum(runs) * rows
    return Measurement(threads, executors, rows, used / done, took / done, took * executors / sum(runs))


def _now() -> tuple[float, float]:
    """Returns the process's processor time and the time on the clock, in seconds from arbitrary starts."""
    return time.process_time(), time.perf_counter()
