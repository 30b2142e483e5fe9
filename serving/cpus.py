"""How many processors this process may use: its affinity, cut to the cgroup's quota."""

import os
from math import ceil
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = _CGROUP) -> int:
    """Returns the number of processors, at least 1."""
    cpus = float(len(os.sched_getaffinity(0)))
    quota = _quota(cgroup)
    return max(1, ceil(min(cpus, quota) if quota else cpus))


def _quota(cgroup: Path) -> float | None:
    """Returns the quota in processors, of version 2 or version 1 of the interface; None where there is none."""
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
