"""Files of a source -> spans of partitions, in the order of the source."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

from jobs.classes import ClassFolders
from jobs.rows import SizedRows, SourceFile, Span
from jobs.sources.chunks import source_name
from vaeserve.package.sizes import PictureSize


class SourceDigest:
    """Files as they pass by: how many there are, how many rows, and the digest over all of them."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._files = iter(files)
        self._digest = hashlib.sha256()
        self.folders = ClassFolders()
        """Of the files: they may be classes."""
        self.files = self.rows = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SourceFile:
        file = next(self._files)
        self._digest.update(f"{file.name}\0{file.sha256}\0{file.rows}\n".encode("utf-8", "surrogateescape"))
        self.folders.add(file._replace(name=source_name(file.name)))
        self.files += 1
        self.rows += file.rows
        return file

    @property
    def digest(self) -> str:
        """SHA-256 over every file's name, content hash and number of rows, in hexadecimal."""
        return self._digest.hexdigest()


class Cut(NamedTuple):
    """Rows of one partition."""

    size: PictureSize | None
    """That its pictures are to have; None: the model has one size."""
    spans: list[Span]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(span.rows for span in self.spans)


SizeOf = Callable[[PictureSize | None], PictureSize | None]
"""Tells which size pictures of a size are to have."""


def own(size: PictureSize | None) -> PictureSize | None:
    """Returns the size of rows that are not cropped: their own."""
    return size


def cut(files: Iterable[SourceFile], partition_rows: int, size_of: SizeOf) -> Iterator[Cut]:
    """Yields the rows of each partition, in the order in which partitions fill.

    Args:
        files: of the source.
        partition_rows: of each partition but the last of its size.
        size_of: which size pictures are to have.
    """
    fillings: dict[PictureSize | None, _Filling] = {}
    for file in files:
        start = 0
        for rows, original in file.sizes or (SizedRows(file.rows, None),):
            size = size_of(original)
            filling = fillings.setdefault(size, _Filling(size, partition_rows))
            yield from filling.add(Span(file.name, file.sha256, start, start + rows, file.stamp))
            start += rows
    for filling in fillings.values():
        if filling.spans:
            yield Cut(filling.size, filling.spans)


class _Filling:
    """The partition of a size that is being filled."""

    def __init__(self, size: PictureSize | None, partition_rows: int) -> None:
        self.size, self._room, self._partition_rows = size, partition_rows, partition_rows
        self.spans: list[Span] = []

    def add(self, span: Span) -> Iterator[Cut]:
        """Takes the next rows; yields each partition that is full."""
        start = span.start
        while start < span.stop:
            stop = min(span.stop, start + self._room)
            self._append(span._replace(start=start, stop=stop))
            self._room -= stop - start
            start = stop
            if not self._room:
                yield Cut(self.size, self.spans)
                self.spans, self._room = [], self._partition_rows

    def _append(self, span: Span) -> None:
        """Adds a span, to the last one if it goes on where that ends."""
        last = self.spans[-1] if self.spans else None
        if last is not None and (last.file, last.stop) == (span.file, span.start):
            self.spans[-1] = last._replace(stop=span.stop)
        else:
            self.spans.append(span)
