"""Verify: every row of a job is there once, and every file is as it was written."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from jobs.plan.folder import JobFolder
from jobs.plan.plan import Marker, Partition, Plan
from jobs.sinks.sink import SUFFIXES
from vaeserve.errors import InvalidInput

_CHUNK = 2**20


def problems(folder: JobFolder, plan: Plan) -> Iterator[str]:
    """Yields a line for each thing that is wrong with a job; nothing if all is well. Reads every file."""
    yield from _overlaps(plan)
    undone = []
    for partition in plan.partitions:
        if not folder.is_done(partition):
            undone.append(partition)
            continue
        try:
            yield from _about(folder, plan, partition, folder.read_marker(partition))
        except InvalidInput as exc:
            yield str(exc)
    if undone:
        total = len(plan.partitions)
        yield f"{len(undone):,} of {total:,} partitions are not done (first: {undone[0].file}): run the job to its end"
    known = {partition.file for partition in plan.partitions}
    for path in sorted(folder.out.glob(f"*{SUFFIXES[plan.settings.format]}")):
        if path.name.startswith("part-") and path.name not in known:
            yield f"{path.name}: belongs to no partition of the plan"


def _overlaps(plan: Plan) -> Iterator[str]:
    """Yields a line for each address that two partitions claim."""
    end = 0
    for partition in sorted(plan.partitions, key=lambda each: each.first_row):
        if partition.first_row < end:
            yield f"{partition.file}: begins at row {partition.first_row}, which another partition has too"
        end = partition.first_row + partition.rows


def _about(folder: JobFolder, plan: Plan, partition: Partition, marker: Marker) -> Iterator[str]:
    path = folder.out / partition.file
    if marker.rows != partition.rows:
        yield f"{partition.file}: its marker counts {marker.rows:,} rows, the plan {partition.rows:,}"
    if plan.source is not None:
        rows = sum(span.rows for span in folder.read_spans(partition))
        if rows != partition.rows:
            yield f"{partition.file}: its spans hold {rows:,} rows, the plan {partition.rows:,}"
    try:
        found = _sha256(path)
    except OSError as exc:
        yield f"{partition.file}: cannot be read: {exc.strerror}"
        return
    if found != marker.sha256:
        yield f"{partition.file}: is not as it was written"
        return
    held = _rows_of(path, plan)
    expected = partition.rows - (len(marker.errors) if plan.settings.format == "safetensors" else 0)
    if held != expected:
        yield f"{partition.file}: holds {held:,} rows, not {expected:,}"


def _rows_of(path: Path, plan: Plan) -> int:
    """Returns how many rows a file holds, as its format's own library counts them."""
    if plan.settings.format == "parquet":
        import pyarrow.parquet

        return int(pyarrow.parquet.ParquetFile(path).metadata.num_rows)
    if plan.settings.format == "safetensors":
        import safetensors

        with safetensors.safe_open(path, "np") as file:
            return int(file.get_slice("row").get_shape()[0])
    import numpy as np

    return len(np.load(path, mmap_mode="r", allow_pickle=False))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
