"""How much memory this process may still take, and how much a piece of work takes at its peak."""

import ctypes
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vaeserve.machine.cgroups import CGROUP, MEMBERSHIP, own_groups

_PROCESS = Path("/proc/self")
_MEMINFO = Path("/proc/meminfo")


def available_bytes(cgroup: Path = CGROUP, membership: Path = MEMBERSHIP, meminfo: Path = _MEMINFO) -> int | None:
    """Returns how much more memory there is: the system's, or what a cgroup leaves if that is less; None: unknown.

    Args:
        cgroup: where the cgroups are mounted.
        membership: file that names the process's own cgroup.
        meminfo: what the system says of its memory.
    """
    left = [one for folder in own_groups(cgroup, membership) if (one := _left(folder)) is not None]
    with suppress(OSError):
        if match := re.search(r"^MemAvailable: +(\d+) kB", meminfo.read_text(), re.MULTILINE):
            left.append(int(match[1]) * 1024)
    return min(left, default=None)


def peak_bytes(work: Callable[[], object], process: Path = _PROCESS) -> int | None:
    """Runs some work, and returns by how much this process's memory grew meanwhile; None: the system does not say.

    What other threads take in that time is counted too.

    Args:
        work: what to run.
        process: the process's folder in /proc.
    """
    try:
        (process / "clear_refs").write_text("5")  # the peak is from now on
    except OSError:
        work()
        return None
    before = _resident(process, "VmRSS")
    work()
    after = _resident(process, "VmHWM")
    return None if before is None or after is None else max(0, after - before)


def give_back() -> None:
    """Gives the system back what was freed and is still held. Only glibc can be told to."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _left(cgroup: Path) -> int | None:
    """Returns what a cgroup leaves, from version 2 or 1 of the interface; None if it has no limit.

    Files that are cached count as free.
    """
    for limit, used, cached in (
        ("memory.max", "memory.current", r"^inactive_file (\d+)"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", r"^total_inactive_file (\d+)"),
    ):
        with suppress(OSError, ValueError):  # ValueError: "max", no limit
            limit_bytes, used_bytes = int((cgroup / limit).read_text()), int((cgroup / used).read_text())
            match = re.search(cached, (cgroup / limit).with_name("memory.stat").read_text(), re.MULTILINE)
            return max(0, limit_bytes - used_bytes + (int(match[1]) if match else 0))
    return None


def _resident(process: Path, name: str) -> int | None:
    match = re.search(rf"^{name}:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else None
