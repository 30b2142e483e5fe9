"""How many processors this process may use: its affinity, or the cgroup's quota if that is less."""

import os
import platform
from collections.abc import Collection, Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def available_cpus(
    cgroup: Path = _CGROUP, affinity: Collection[int] | None = None, membership: Path = _MEMBERSHIP
) -> int:
    """Returns the number of processors, at least 1.

    Args:
        cgroup: where the cgroups are mounted.
        affinity: processors that the process may run on; None: the system is asked.
        membership: file that names the process's own cgroup. Quotas limit all below them, so the smallest counts.
    """
    cpus = len(os.sched_getaffinity(0) if affinity is None else affinity)
    quotas = [quota for folder in _folders(cgroup, membership) if (quota := _quota(folder)) is not None]
    return max(1, ceil(min([cpus, *quotas])))


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the processor's model as the system names it, or else its architecture."""
    with suppress(OSError):
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _folders(cgroup: Path, membership: Path) -> Iterator[Path]:
    """Yields the process's own cgroup and its parents, up to the root. Some may not be visible from here."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")  # version 2
    folder = cgroup / own
    yield folder
    while folder != cgroup:
        folder = folder.parent
        yield folder


def _quota(cgroup: Path) -> float | None:
    """Returns the quota in processors, from version 2 or 1 of the interface; None if there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)
