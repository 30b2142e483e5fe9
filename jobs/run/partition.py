"""One partition: rows -> answers -> a file of a fixed name, then the marker. The same inputs give the same bytes."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar, cast

import numpy as np

from jobs.classes import labels_of
from jobs.engine.answers import FLIP, LATENT, Answers, Computer, Work, rows_of
from jobs.plan.folder import JobFolder, RemovedFile, hold
from jobs.plan.moments import merge, moments_of
from jobs.plan.plan import Marker, Partition, Plan, RowError, RowMoments, Seconds
from jobs.rows import Chunk, RowSource
from jobs.settings import rows_of_source
from jobs.sinks.hashing import HashingFile
from jobs.sinks.sink import AnsweredChunk, open_sink
from jobs.sinks.tensors import beyond_type
from vaeserve.files import write
from vaeserve.package.sizes import PictureSize
from vaeserve.slices import rows_within

T = TypeVar("T")
Progress = Callable[[int, list[RowError]], None]

_CHUNK_ROWS, _CHUNK_BYTES = 16_384, 16 * 2**20


class Job(NamedTuple):
    """What a process needs to compute any partition."""

    folder: JobFolder
    plan: Plan
    source: RowSource | None
    computer: Computer
    versions: dict[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the pictures; empty: there are none."""
        return self.plan.source.classes if self.plan.source else ()


class Clock:
    """Tells reading, inferring and writing apart."""

    def __init__(self) -> None:
        self.read = self.infer = self.write = 0.0

    def reading(self, items: Iterable[T]) -> Iterator[T]:
        """Passes items on, and counts the time that they took to come as reading."""
        iterator = iter(items)
        while True:
            began = time.perf_counter()
            item = next(iterator, None)
            self.read += time.perf_counter() - began
            if item is None:
                return
            yield item

    def seconds(self, total: float) -> Seconds:
        """Returns the times; what is neither reading nor inferring is writing."""
        return Seconds(read=self.read, infer=self.infer, write=max(0.0, total - self.read - self.infer))


def run_partition(job: Job, partition: Partition, progress: Progress) -> Marker:
    """Computes a partition, writes its file whole, then its marker.

    Args:
        job: what to compute with.
        partition: which rows.
        progress: hears of rows that are done, and of those among them that have an error.

    Raises:
        InvalidInput: a file of the source has changed or cannot be read, or the disk refuses the file.
        VaeError: the rows cannot be computed.
    """
    began, clock = time.perf_counter(), Clock()
    written = _Written()

    def fill(file: BinaryIO) -> None:
        hold(file)
        hashing = HashingFile(file)
        model = job.plan.model.at(partition.size)
        sink = open_sink(cast(BinaryIO, hashing), job.plan.settings, model, job.classes)
        for answered in _answer(job, partition, clock):
            sink.add(answered)
            progress(rows_of(answered.answers), written.add(answered))
        sink.finish()
        written.bytes, written.sha256 = hashing.bytes, hashing.sha256

    _write_held(job.folder.out / partition.file, fill)
    if written.rows != partition.rows:
        raise AssertionError(f"partition {partition.key} has {partition.rows} rows, not {written.rows}. This is a bug.")
    marker = Marker(
        key=partition.key,
        file=partition.file,
        bytes=written.bytes,
        sha256=written.sha256,
        rows=written.rows,
        errors=tuple(written.errors),
        seconds=clock.seconds(time.perf_counter() - began),
        moments=merge(written.moments),
        finished_at=datetime.now(UTC),
        versions=job.versions,
    )
    job.folder.mark(marker)
    return marker


def _write_held(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Writes a file that `fill` locks; again, if another run removed it before that, when no row was computed yet."""
    while True:
        try:
            return write(path, fill)
        except RemovedFile:
            continue


def chunk_rows(plan: Plan, size: PictureSize | None) -> int:
    """Returns how many rows of a size are read and written at a time: whole batches, of a few megabytes."""
    model, batch = plan.model.at(size), plan.settings.batch_at(plan.model, size)
    row_bytes = max(rows_of_source(plan.settings.verb, model).bytes_of(1, "float32"), model.latent.bytes_of(1))
    return max(1, rows_within(row_bytes, _CHUNK_ROWS, _CHUNK_BYTES) // batch) * batch


class _Written:
    """What a partition's file holds."""

    def __init__(self) -> None:
        self.rows = self.bytes = 0
        self.sha256 = ""
        self.errors: list[RowError] = []
        self.moments: list[RowMoments | None] = []

    def add(self, answered: AnsweredChunk) -> list[RowError]:
        """Counts rows, and returns those that have an error."""
        answers, chunk = answered.answers, answered.chunk
        self.rows += rows_of(answers)
        errors = [
            RowError(
                row=answered.first_row + row,
                source="" if chunk is None else chunk.sources[row],
                source_row=0 if chunk is None else int(chunk.source_rows[row]),
                reason=reason,
            )
            for row, reason in sorted(answers.errors.items())
        ]
        self.errors += errors
        if LATENT in answers.columns:
            latents = answers.columns[LATENT]
            good = [row for row in range(len(latents)) if row not in answers.errors] if answers.errors else slice(None)
            self.moments.append(moments_of(latents[good]))
        return errors


def _answer(job: Job, partition: Partition, clock: Clock) -> Iterator[AnsweredChunk]:
    """Yields a partition's rows with their answers, in order."""
    waiting: deque[AnsweredChunk] = deque()
    flips = job.plan.settings.flip

    def work() -> Iterator[Work]:
        row = partition.first_row
        for count, chunk in clock.reading(_chunks(job, partition)):
            waiting.append(AnsweredChunk(row, chunk, Answers({}, {})))
            rows = None if chunk is None else chunk.rows
            yield Work(row, count, rows, partition.size)
            if flips and rows is not None:
                yield Work(row, count, np.ascontiguousarray(rows[:, :, ::-1]), partition.size)
            row += count

    answers = job.computer.answers(work())
    while True:
        began, read = time.perf_counter(), clock.read
        answer = next(answers, None)
        if answer is not None and flips:
            answer = _with_flipped(answer, next(answers))
        clock.infer += time.perf_counter() - began - (clock.read - read)
        if answer is None:
            return
        first_row, chunk, *_ = waiting.popleft()
        errors = beyond_type(answer.columns, job.plan.settings) | dict(answer.errors)
        errors |= {} if chunk is None else dict(chunk.errors)
        labels = labels_of(chunk.sources, job.classes) if chunk is not None and job.classes else None
        yield AnsweredChunk(first_row, chunk, Answers(answer.columns, errors), labels)


def _with_flipped(answer: Answers, flipped: Answers) -> Answers:
    """Returns the answers to rows and to their mirror images as one."""
    columns = {f"{name}{FLIP}": values for name, values in flipped.columns.items()}
    return Answers({**answer.columns, **columns}, {**flipped.errors, **answer.errors})


def _chunks(job: Job, partition: Partition) -> Iterator[tuple[int, Chunk | None]]:
    """Yields the rows of a partition, a chunk at a time, each with its number of rows."""
    step = chunk_rows(job.plan, partition.size)
    if job.source is None:
        for start in range(0, partition.rows, step):
            yield min(step, partition.rows - start), None
        return
    for chunk in job.source.read(job.folder.read_spans(partition), step, partition.size):
        yield len(chunk), chunk
