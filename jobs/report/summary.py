"""Summary: figures of a job over all partitions that are done; kept as `manifest.json` once all are."""

from collections import Counter
from pathlib import Path

import numpy as np

from jobs.plan.folder import JobFolder
from jobs.plan.moments import deviation, merge
from jobs.plan.plan import Plan, RowMoments, Seconds
from jobs.settings import JobSettings, ModelFacts
from jobs.sinks.layout import metadata
from jobs.sinks.torch_file import write_torch
from vaeserve.files import write
from vaeserve.package.sizes import PictureSize
from vaeserve.records import Record

STATISTICS = "latents_stats.pt"
"""Beside safetensors shards, as trainers of latents read it: `mean` and `std`, [1, channels, 1, 1] or [1, size]."""


class LatentStatistics(Record):
    """Of the latents, for each value, or for each channel of spatial ones."""

    count: int
    """Numbers behind each mean."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class BucketEntry(Record):
    """What pictures of many sizes were brought to."""

    size: PictureSize
    rows: int


class FileEntry(Record):
    """A file of the job."""

    file: str
    first_row: int
    rows: int
    size: PictureSize | None = None
    """Of its pictures, where it is free."""
    bytes: int
    sha256: str


class Summary(Record):
    """What a job has done."""

    settings: JobSettings
    model: ModelFacts
    source: tuple[str, ...]
    rows: int
    """Of the job."""
    done_rows: int
    """In partitions that are done, those with an error among them."""
    error_rows: int
    partitions: int
    done_partitions: int
    seconds: Seconds
    """Over all processes."""
    rows_per_second: float
    """Of one process."""
    latents: LatentStatistics | None
    buckets: tuple[BucketEntry, ...] = ()
    """Sizes that the job's pictures have in its plan, where they are free."""
    versions: dict[str, tuple[str, ...]]
    """Of libraries that had a part in the bytes: all that computed a partition."""
    metadata: dict[str, str]
    """What every file says of itself too, where its format can."""
    files: tuple[FileEntry, ...]

    @property
    def is_done(self) -> bool:
        """Whether every partition is done."""
        return self.done_partitions == self.partitions


def summarize(folder: JobFolder, plan: Plan) -> Summary:
    """Returns the figures of the partitions that are done.

    Raises:
        InvalidInput: named by the path; a marker cannot be read.
    """
    files, seconds, errors = list[FileEntry](), Seconds(), 0
    moments: RowMoments | None = None
    versions: dict[str, set[str]] = {}
    partitions = {partition.key: partition for partition in plan.partitions}
    for marker in folder.markers(plan):
        files.append(
            FileEntry(
                file=marker.file,
                first_row=partitions[marker.key].first_row,
                rows=marker.rows,
                size=partitions[marker.key].size,
                bytes=marker.bytes,
                sha256=marker.sha256,
            )
        )
        seconds += marker.seconds
        errors += len(marker.errors)
        moments = merge((moments, marker.moments))
        for name, version in marker.versions.items():
            versions.setdefault(name, set()).add(version)
    done = sum(entry.rows for entry in files)
    return Summary(
        settings=plan.settings,
        model=plan.model,
        source=plan.source.addresses if plan.source else (),
        rows=plan.rows,
        done_rows=done,
        error_rows=errors,
        partitions=len(plan.partitions),
        done_partitions=len(files),
        seconds=seconds,
        rows_per_second=done / seconds.total if seconds.total else 0.0,
        latents=None if moments is None else _statistics(moments),
        buckets=_buckets(plan),
        versions={name: tuple(sorted(found)) for name, found in sorted(versions.items())},
        metadata=metadata(plan.settings, plan.model, plan.source.classes if plan.source else ()),
        files=tuple(files),
    )


def write_summary(folder: JobFolder, plan: Plan) -> Summary:
    """Returns the summary; writes it once every partition is done, with the latents' statistics beside shards of them.

    Raises:
        InvalidInput: named by the path; a marker cannot be read, or the disk refuses a file.
    """
    summary = summarize(folder, plan)
    if summary.is_done:
        if summary.latents is not None and plan.settings.format == "safetensors":
            _write_statistics(folder.out / STATISTICS, summary.latents, plan)
        content = summary.model_dump_json(indent=2).encode() + b"\n"
        write(folder.summary, lambda file: file.write(content))
    return summary


def _statistics(moments: RowMoments) -> LatentStatistics:
    return LatentStatistics(count=moments.count, mean=moments.mean, deviation=deviation(moments))


def _buckets(plan: Plan) -> tuple[BucketEntry, ...]:
    """Returns how many rows have each size; nothing where it is not free."""
    rows = Counter[PictureSize]()
    for partition in plan.partitions:
        if partition.size is not None:
            rows[partition.size] += partition.rows
    return tuple(BucketEntry(size=size, rows=count) for size, count in sorted(rows.items()))


def _write_statistics(path: Path, latents: LatentStatistics, plan: Plan) -> None:
    dimensions = len(plan.model.latent.axes)
    shape = (1, len(latents.mean), *(1,) * (dimensions - 1))
    named = {"mean": latents.mean, "std": latents.deviation}
    tensors = {name: np.array(values, np.float32).reshape(shape) for name, values in named.items()}
    write(path, lambda file: write_torch(file, tensors))
