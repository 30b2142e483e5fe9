"""Files of a source -> partitions, in the order of their sizes: their spans, names and addresses."""

from collections.abc import Iterable
from typing import NamedTuple

from jobs.plan.bucketing import sizes_of
from jobs.plan.buckets import Buckets
from jobs.plan.cutting import cut, own
from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition
from jobs.rows import SourceFile
from jobs.settings import JobSettings
from jobs.sinks.sink import SUFFIXES
from vaeserve.package.sizes import PictureSize


class PlannedRows(NamedTuple):
    """What was cut for one partition."""

    rows: int
    size: PictureSize | None
    spans: str
    """Name of its spans."""


def write_spans(
    folder: JobFolder, files: Iterable[SourceFile], settings: JobSettings, update: int, draft: str
) -> list[PlannedRows]:
    """Writes the spans of each partition as it is cut, and returns the partitions sorted by size."""
    buckets, planned = sizes_of(settings), []
    size_of = Buckets(buckets).of if buckets else own
    for number, (size, spans) in enumerate(cut(files, settings.partition_rows, size_of)):
        name = f"{_key(number, update)}-{draft}"
        folder.write_spans(name, spans)
        planned.append(PlannedRows(sum(span.rows for span in spans), size, name))
    return sorted(planned, key=lambda each: each.size or ())


def partitions_of(cuts: list[PlannedRows], settings: JobSettings, update: int, first_row: int) -> tuple[Partition, ...]:
    """Returns the partitions, with their names and addresses.

    Args:
        cuts: what was cut, in order.
        settings: the job's.
        update: how often the plan was brought up to date.
        first_row: address of the first row.
    """
    partitions = []
    for number, (rows, size, spans) in enumerate(cuts):
        name = f"part-{number:05d}-of-{len(cuts):05d}" + (f"-update-{update:03d}" if update else "")
        name += f"-{size.label}" if size else ""
        file, key = name + SUFFIXES[settings.format], _key(number, update)
        partitions.append(Partition(key=key, spans=spans, file=file, first_row=first_row, rows=rows, size=size))
        first_row += rows
    return tuple(partitions)


def _key(number: int, update: int) -> str:
    return f"{number:05d}" + (f"-update-{update:03d}" if update else "")
