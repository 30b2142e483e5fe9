"""JobFolder: where a job keeps its plan, its markers and its files.

OUT/part-00000-of-00240.parquet   a partition's answers
OUT/_job/manifest.json            the summary, once every partition is done
OUT/_job/plan.json                the plan
OUT/_job/spans/00000-1a2b3c4d.json which rows of which files a partition has
OUT/_job/done/00000.json          its marker; nothing else makes a partition count as done
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from jobs.plan.plan import Marker, Partition, Plan
from jobs.rows import Span
from vaeserve.errors import InvalidInput
from vaeserve.files import PARTIAL, read_bytes, write
from vaeserve.printable import printable
from vaeserve.records import first_problem

R = TypeVar("R", bound=BaseModel)


class JobFolder:
    """A job's folder.

    Args:
        out: the folder; it need not exist.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._job = out / "_job"
        self._plan = self._job / "plan.json"
        self.summary = self._job / "manifest.json"

    @property
    def has_plan(self) -> bool:
        """Whether a job was planned here."""
        return self._plan.exists()

    def prepare(self) -> None:
        """Makes the folders.

        Raises:
            InvalidInput: named by the path; they cannot be made or written to, or the folder holds something else.
        """
        if self.out.is_dir() and not self.has_plan and not self._job.is_dir() and any(self.out.iterdir()):
            raise InvalidInput(printable(self.out), "is not empty and holds no job: name a new folder")
        for folder in (self._job / "spans", self._job / "done"):
            _make(folder)
        if not os.access(self.out, os.W_OK):
            raise InvalidInput(printable(self.out), "cannot be written to")

    def leave(self) -> None:
        """Removes the folders of a job that could not be planned, unless something is in them.

        Another process that plans the same job makes them again where it writes.
        """
        for folder in (self._job / "spans", self._job / "done", self._job, self.out):
            with suppress(OSError):
                folder.rmdir()

    def read_plan(self) -> Plan:
        """Returns the plan.

        Raises:
            InvalidInput: named by the path; there is none, or it cannot be read.
        """
        if not self.has_plan:
            raise InvalidInput(printable(self.out), "holds no job")
        return _parse(Plan, self._plan)

    def publish_plan(self, plan: Plan) -> Plan:
        """Writes the first plan; of two processes that plan at the same time the first wins. Returns the one there is.

        Raises:
            InvalidInput: named by the path; the disk refuses it.
        """
        aside = self._job / f".plan.{secrets.token_hex(4)}{PARTIAL}"
        _write(aside, _json(plan))
        try:
            os.link(aside, self._plan)
        except FileExistsError:
            return self.read_plan()
        except OSError:  # a disk without hard links
            if self.has_plan:
                return self.read_plan()
            aside.replace(self._plan)
        finally:
            aside.unlink(missing_ok=True)
        return plan

    def replace_plan(self, plan: Plan) -> None:
        """Writes the plan of an update. Raises InvalidInput: the disk refuses it."""
        _write(self._plan, _json(plan))

    def write_spans(self, name: str, spans: Sequence[Span]) -> None:
        """Writes which rows a partition has. Raises InvalidInput: the disk refuses it."""
        content = json.dumps([list(span) for span in spans], separators=(",", ":")).encode()
        _write(self._spans(name), content)

    def read_spans(self, partition: Partition) -> list[Span]:
        """Returns which rows a partition has.

        Raises:
            InvalidInput: named by the path; they cannot be read.
        """
        path = self._spans(partition.spans)
        try:
            return [Span(*span) for span in json.loads(read_bytes(path))]
        except (ValueError, TypeError) as exc:
            raise InvalidInput(printable(path), "is not what a job wrote") from exc

    def is_done(self, partition: Partition) -> bool:
        """Whether a partition's marker is there."""
        return self._done(partition.key).exists()

    def mark(self, marker: Marker) -> None:
        """Makes a partition count as done. Raises InvalidInput: the disk refuses it."""
        _write(self._done(marker.key), _json(marker))

    def read_marker(self, partition: Partition) -> Marker:
        """Returns a partition's marker.

        Raises:
            InvalidInput: named by the path; there is none, or it cannot be read.
        """
        return _parse(Marker, self._done(partition.key))

    def markers(self, plan: Plan) -> Iterator[Marker]:
        """Yields the markers that there are, one at a time, in the order of the partitions."""
        for partition in plan.partitions:
            if self.is_done(partition):
                yield self.read_marker(partition)

    def drop(self, partition: Partition) -> None:
        """Removes a partition's marker, then its file."""
        for path in (self._done(partition.key), self.out / partition.file):
            path.unlink(missing_ok=True)

    def drop_spans(self, partition: Partition) -> None:
        """Removes what says which rows a partition has."""
        self._spans(partition.spans).unlink(missing_ok=True)

    def drop_draft(self, draft: str) -> None:
        """Removes the spans whose names end in the name of a draft: a plan that did not come to be."""
        for path in (self._job / "spans").glob(f"*-{draft}.json"):
            path.unlink(missing_ok=True)

    def remove_partials(self, partitions: Sequence[Partition]) -> None:
        """Removes what a killed process left of these partitions' files, and nothing that is still being written."""
        for partition in partitions:
            for path in self.out.glob(f".{partition.file}.*{PARTIAL}"):
                with suppress(OSError), path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()

    def _spans(self, name: str) -> Path:
        return self._job / "spans" / f"{name}.json"

    def _done(self, key: str) -> Path:
        return self._job / "done" / f"{key}.json"


class RemovedFile(Exception):
    """Another run of the job removed a file after it was opened and before it was locked."""


def hold(file: BinaryIO) -> None:
    """Locks an open file while it is being written, so that another run of the job does not remove it.

    Raises:
        RemovedFile: it was removed before it could be locked; what is written to it is lost.
    """
    with suppress(OSError):  # a disk without locks, on which nobody removes partial files either
        fcntl.flock(file, fcntl.LOCK_SH)
    if not os.fstat(file.fileno()).st_nlink:
        raise RemovedFile(file.name)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InvalidInput(printable(folder), f"cannot be made: {exc.strerror}") from exc


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole, in a folder that another process may just have removed (see `leave`)."""
    _make(path.parent)
    write(path, lambda file: file.write(content))


def _json(record: BaseModel) -> bytes:
    return record.model_dump_json(indent=1).encode() + b"\n"


def _parse(record: type[R], path: Path) -> R:
    try:
        return record.model_validate_json(read_bytes(path))
    except ValidationError as exc:
        raise InvalidInput(printable(path), f"is not what a job wrote: {first_problem(exc)}") from exc
