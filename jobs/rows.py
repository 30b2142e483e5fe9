"""What every room of a job hands on: files of a source, spans of their rows, and rows as they are read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize


class SizedRows(NamedTuple):
    """Consecutive rows of a file whose pictures have one size."""

    rows: int
    """How many."""
    size: PictureSize | None
    """As they lie in the file, upright; None: not known, because the picture cannot be read."""


class SourceFile(NamedTuple):
    """A file of a source, as it was when the job was planned."""

    name: str
    """Path below the source, with slashes."""
    sha256: str
    """Of its content, in hexadecimal. A picture that could not be read has none: ""."""
    rows: int
    stamp: str = ""
    """What changes when the file changes, cheap to ask for. Empty: not known; the content is hashed instead."""
    sizes: tuple[SizedRows, ...] = ()
    """Of all rows in order, where pictures may have many sizes. Empty: all rows of the model have one shape."""


class Span(NamedTuple):
    """Consecutive rows of a file."""

    file: str
    sha256: str
    start: int
    stop: int
    stamp: str = ""
    """The file's, as it was when the job was planned."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start


class Chunk(NamedTuple):
    """Consecutive rows of a partition, fitted to the model. A row that cannot be used is blank, and has an error."""

    rows: Array
    """[rows, *shape] as the model takes them."""
    errors: Mapping[int, str]
    """What is wrong with a row, by its place in the chunk."""
    sources: Sequence[str]
    """For each row the file that it comes from; of a tar archive FILE/MEMBER."""
    source_rows: npt.NDArray[np.int64]
    """For each row its number in that file; 0 for pictures."""
    columns: Mapping[str, Any]
    """Columns of the source that travel along: Arrow arrays, [rows] each."""
    crops: Mapping[str, npt.NDArray[np.int64]] = {}
    """How pictures of many sizes were brought to one, [rows, 2] each; see `chunks.CROP_COLUMNS`."""

    def __len__(self) -> int:
        return len(self.rows)


class RowSource(Protocol):
    """Files of rows in one fixed order. It can be opened again anywhere from its addresses and `columns`."""

    @property
    def kind(self) -> str:
        """What it holds: `pictures`, `archives` (tar), `arrays` or `tables`."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a table that become a row, in order, or the one that holds lists. Empty: none to choose."""
        ...

    def files(self) -> Iterator[SourceFile]:
        """Yields every file in order, hashed and counted. Holds no more than one folder's names in memory.

        Raises:
            InvalidInput: named by the path; a file of rows is damaged or does not fit the model, or there is none.
        """
        ...

    def read(self, spans: Sequence[Span], chunk_rows: int, size: PictureSize | None = None) -> Iterator[Chunk]:
        """Yields the rows of spans, in chunks of so many rows; only the last may be shorter.

        Spans that follow each other in a file are cheap to read in order, in this call and the next.

        Args:
            spans: which rows.
            chunk_rows: rows of a chunk.
            size: that the rows are to have, where pictures may have many sizes. Pictures are cropped to it.

        Raises:
            InvalidInput: named by the path; a file of rows has changed since it was planned, or cannot be read.
        """
        ...

    def close(self) -> None:
        """Closes what is open."""
        ...
