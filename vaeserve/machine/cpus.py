"""How many processors this process may use: its affinity, or the cgroup's quota if that is less."""

import os
import platform
from collections.abc import Collection
from contextlib import suppress
from math import ceil
from pathlib import Path

from vaeserve.machine.cgroups import CGROUP, MEMBERSHIP, own_groups


def available_cpus(
    cgroup: Path = CGROUP, affinity: Collection[int] | None = None, membership: Path = MEMBERSHIP
) -> int:
    """Returns the number of processors, at least 1.

    Args:
        cgroup: where the cgroups are mounted.
        affinity: processors that the process may run on; None: the system is asked.
        membership: file that names the process's own cgroup. Quotas limit all below them, so the smallest counts.
    """
    cpus = len(_affinity() if affinity is None else affinity)
    quotas = [quota for folder in own_groups(cgroup, membership) if (quota := _quota(folder)) is not None]
    return max(1, ceil(min([cpus, *quotas])))


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the processor's model as the system names it, or else its architecture."""
    with suppress(OSError):
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _affinity() -> Collection[int]:
    """Returns the processors that the process may run on; all of the machine's where the system does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


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
