"""Processor time, wall clock and memory of a server: a process and those that it started."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Clock(NamedTuple):
    """Seconds, from an arbitrary start."""

    processor: float
    """Time that the server used: user and system, all threads, and the processes that it started."""
    wall: float
    stolen: float
    """Time that the host took from this machine's cores."""


def clock(pid: int) -> Clock:
    """Reads the clocks."""
    stolen = Path("/proc/stat").read_text().split(maxsplit=9)[8]
    tick = os.sysconf("SC_CLK_TCK")
    return Clock(_ticks(pid) / tick, time.perf_counter(), int(stolen) / tick)


def _ticks(pid: int) -> int:
    """Returns the ticks of a process, of those that it has waited for, and of those that it started and that run."""
    ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread or a process that has just ended
            ticks += sum(map(_ticks, map(int, thread.read_text().split())))
    return ticks


def since(pid: int, before: Clock) -> Clock:
    """Returns the time that passed on each clock."""
    return Clock(*(now - then for now, then in zip(clock(pid), before, strict=True)))


def steal_of(spent: Clock) -> float:
    """Returns the share of all cores' time that the host took away."""
    return spent.stolen / (spent.wall * (os.cpu_count() or 1))


def resident_bytes(pid: int) -> int:
    """Returns a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
