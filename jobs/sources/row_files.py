"""RowFileSource: files that hold many rows each, read from where the last read ended."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import BinaryIO, Protocol

from jobs.rows import Chunk, SizedRows, SourceFile, Span
from jobs.sources.chunks import ReadRows, cut, join_pieces
from jobs.sources.contents import Unchanged, sha256_of
from jobs.sources.listing import Listing
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize


class RowFile(Protocol):
    """An open file of rows. What it raises is InvalidInput, named by the address."""

    @property
    def sizes(self) -> tuple[SizedRows, ...]:
        """Of all rows, where they may have many sizes; else nothing."""
        ...

    def count(self) -> int:
        """Returns the number of rows, after checking what can be checked before any is computed."""
        ...

    def read(self, start: int, stop: int) -> ReadRows:
        """Returns rows, fitted to the model. To read on from the last row is cheap."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


OpenRows = Callable[[Callable[[], BinaryIO], str, str], RowFile]
"""Takes what opens a file, its name and what messages call it."""


class RowFileSource:
    """Rows in files; see RowSource.

    Args:
        listing: the files.
        open_rows: how to open one.
        columns: what `RowSource.columns` says.
    """

    def __init__(self, listing: Listing, open_rows: OpenRows, columns: tuple[str, ...] = ()) -> None:
        self.kind: str = listing.kind
        self.columns = columns
        self._listing = listing
        self._open_rows = open_rows
        self._unchanged = Unchanged(listing)
        self._last: tuple[str, str, RowFile] | None = None
        """The file that was read last: its name, hash and rows."""

    def files(self) -> Iterator[SourceFile]:
        """See RowSource."""
        rows = 0
        for name in self._listing.names():
            stamp = self._listing.stamp(name)
            with self._listing.open(name) as file:
                digest = sha256_of(file, self._listing.called(name))
            with closing(self._opened(name)) as rows_of_file:
                count, sizes = rows_of_file.count(), rows_of_file.sizes
            if self._listing.stamp(name) != stamp:
                raise InvalidInput(self._listing.called(name), "changes while it is read")
            rows += count
            yield SourceFile(name, digest, count, stamp, sizes)
        if not rows:
            raise InvalidInput(self._listing.title, "holds no rows")

    def read(self, spans: Sequence[Span], chunk_rows: int, size: PictureSize | None = None) -> Iterator[Chunk]:
        """See RowSource. The rows that were planned for a size have it."""
        ends = {(span.file, span.stop) for span in spans}
        for parts in cut(spans, chunk_rows):
            yield join_pieces([(part, self._read(part, is_end=(part.file, part.stop) in ends)) for part in parts])

    def close(self) -> None:
        """See RowSource."""
        if self._last is not None:
            self._last[2].close()
            self._last = None

    def _read(self, span: Span, *, is_end: bool) -> ReadRows:
        self._unchanged.check(span, reads=False)
        piece = self._read_on(span).read(span.start, span.stop)
        self._unchanged.check(span, reads=is_end)  # it may have changed while it was read
        if len(piece.rows) != span.rows:
            raise InvalidInput(self._listing.called(span.file), f"has no row {span.start + len(piece.rows)}")
        return piece

    def _read_on(self, span: Span) -> RowFile:
        """Returns the file that was read last, if it is the same again."""
        if self._last is not None and self._last[:2] == (span.file, span.sha256):
            return self._last[2]
        self.close()
        rows = self._opened(span.file)
        self._last = span.file, span.sha256, rows
        return rows

    def _opened(self, name: str) -> RowFile:
        return self._open_rows(lambda: self._listing.open(name), name, self._listing.called(name))
