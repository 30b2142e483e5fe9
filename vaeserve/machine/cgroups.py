"""The control groups that limit this process."""

from collections.abc import Iterator
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where they are mounted."""
MEMBERSHIP = Path("/proc/self/cgroup")
"""Names the process's own group. Limits hold for all below them, so the smallest counts."""


def own_groups(cgroup: Path, membership: Path) -> Iterator[Path]:
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
