"""How many workers the memory of this machine holds, where pictures have many sizes: memory follows the size."""

from collections.abc import Sequence
from pathlib import Path

from jobs.plan.plan import Partition, Plan
from jobs.settings import JobVerb
from serving.models.row_memory import UNMEASURED_FACTOR, GraphMemory
from vaeserve.errors import JobError
from vaeserve.machine.memory import available_bytes
from vaeserve.package.directory import read_manifest
from vaeserve.package.sizes import PictureSize

_SHARE = 0.8  # of the free memory
_GIB = 2**30
_GRAPHS: dict[JobVerb, tuple[str, ...]] = {
    "encode": ("encoder",),
    "reconstruct": ("encoder", "decoder"),
    "decode": ("decoder",),
    "sample": ("decoder",),
}


def workers_within_memory(package: Path, plan: Plan, partitions: Sequence[Partition], count: int) -> int:
    """Returns how many workers have memory for their batches at once: at least 1, at most `count`.

    Args:
        package: that each of them runs.
        plan: the job's.
        partitions: that are to be computed.
        count: what the processors allow.

    Raises:
        JobError: a single row of some size takes more memory than there is.
    """
    free = available_bytes()
    sizes = {partition.size for partition in partitions if partition.size is not None}
    if not sizes or free is None:
        return count
    graphs = read_manifest(package).graphs
    memories = [GraphMemory(graphs.by_name[name].footprints) for name in _GRAPHS[plan.settings.verb]]
    largest = max(sizes, key=lambda size: size.pixels)
    row = _bytes_of(memories, largest)
    if row > free:
        raise JobError(
            f"a picture of {largest} pixels takes at least {row / _GIB:.1f} GiB, {free / _GIB:.1f} GiB are free: "
            "begin a job of smaller --buckets or --area"
        )
    batches = [plan.settings.batch_at(plan.model, size) * _bytes_of(memories, size) for size in sizes]
    return max(1, min(count, int(_SHARE * free / (UNMEASURED_FACTOR * max(1, *batches)))))


def _bytes_of(memories: Sequence[GraphMemory], size: PictureSize) -> int:
    """Returns how much memory the tensors of a row take in the graph that takes the most; 0: not known."""
    return max(memory.bytes_of(size) for memory in memories)
