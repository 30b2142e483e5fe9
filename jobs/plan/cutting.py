"""Files of a source -> spans of partitions, in the order of the source."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Self

from jobs.classes import ClassFolders
from jobs.rows import SourceFile, Span
from jobs.sources.chunks import source_name


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


def cut(files: Iterable[SourceFile], partition_rows: int) -> Iterator[list[Span]]:
    """Yields the spans of each partition. Every partition but the last has `partition_rows` rows."""
    spans, rows = list[Span](), 0
    for file in files:
        start = 0
        while start < file.rows:
            stop = min(file.rows, start + partition_rows - rows)
            spans.append(Span(file.name, file.sha256, start, stop, file.stamp))
            rows += stop - start
            start = stop
            if rows == partition_rows:
                yield spans
                spans, rows = [], 0
    if spans:
        yield spans
