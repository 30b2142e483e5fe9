"""What is new, changed and gone in a source since a job was planned."""

from collections.abc import Iterable
from typing import NamedTuple

from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition, Plan
from jobs.rows import SourceFile
from vaeserve.printable import printable


class Changes(NamedTuple):
    """A source compared with a plan."""

    files: list[SourceFile]
    """To be computed: new ones, changed ones, and those of dropped partitions, in the order of the source."""
    dropped: list[Partition]
    """Partitions that hold a row which is no longer in the source."""
    new: list[str]
    changed: list[str]
    gone: list[str]

    def __str__(self) -> str:
        """Returns for example "2 files added, 1 file removed (first: a/b.png)"."""
        counts = ((self.new, "added"), (self.changed, "changed"), (self.gone, "removed"))
        parts = [f"{len(names):,} file{'s' * (len(names) > 1)} {what}" for names, what in counts if names]
        first = next((names[0] for names, _ in counts if names), "")
        return f"{', '.join(parts) or 'nothing has changed'}" + (f" (first: {printable(first)})" if first else "")


def compare(folder: JobFolder, plan: Plan, files: Iterable[SourceFile]) -> Changes:
    """Returns what differs between a plan and its source as it is now, by the hash of each file's content."""
    planned = {partition.key: folder.read_spans(partition) for partition in plan.partitions}
    before: dict[str, str] = {span.file: span.sha256 for spans in planned.values() for span in spans}
    now = [*files]
    hashes = {file.name: file.sha256 for file in now}
    unchanged = {name for name, sha256 in before.items() if hashes.get(name) == sha256}
    dropped = {key for key, spans in planned.items() if any(span.file not in unchanged for span in spans)}
    again = {span.file for key in dropped for span in planned[key]}
    # A file that a dropped partition shares with another one would be there twice: that one is dropped too.
    while shared := [
        key for key, spans in planned.items() if key not in dropped and any(span.file in again for span in spans)
    ]:
        dropped.update(shared)
        again |= {span.file for key in shared for span in planned[key]}
    return Changes(
        files=[file for file in now if file.rows and (file.name not in before or file.name in again)],
        dropped=[partition for partition in plan.partitions if partition.key in dropped],
        new=[file.name for file in now if file.name not in before and file.rows],
        changed=[name for name in before if name in hashes and name not in unchanged],
        gone=[name for name in before if name not in hashes],
    )
