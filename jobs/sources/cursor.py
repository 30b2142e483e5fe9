"""Cursor: rows of a table from anywhere, where reading on continues the stream of the last read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Cells:
    """Consecutive rows of a table."""

    table: Any
    """An Arrow table. A row with an error is null in all columns."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with a row that has no cells, by its place."""

    def __len__(self) -> int:
        rows: int = self.table.num_rows
        return rows

    def part(self, start: int, stop: int) -> "Cells":
        """Returns some of the rows."""
        errors = {row - start: error for row, error in self.errors.items() if start <= row < stop}
        return Cells(self.table.slice(start, stop - start), errors)

    def joined(self, other: "Cells") -> "Cells":
        """Returns these rows and after them the other ones."""
        errors = {len(self) + row: error for row, error in other.errors.items()}
        return Cells(pa.concat_tables([self.table, other.table]), {**self.errors, **errors})


class TableFile(Protocol):
    """An open file that holds a table. What it raises is InvalidInput, named by the address."""

    columns: tuple[str | int, ...]
    """Names, or numbers where there are none. A file of no bytes has no columns."""

    def count(self) -> int:
        """Returns the number of rows, which may read all of the file."""
        ...

    def type_of(self, column: int) -> Any:  # noqa: ANN401, Arrow ships no types
        """Returns the Arrow type of a column."""
        ...

    def start_before(self, row: int) -> int:
        """Returns the last row at or before another from which rows can be read without those before."""
        ...

    def batches(self, row: int, columns: tuple[int, ...]) -> Iterator[Cells]:
        """Yields some columns, a few rows at a time, from one of the rows that `start_before` names."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


class Cursor:
    """Reads some columns of a table.

    Args:
        file: the table.
        columns: the places of the columns.
    """

    def __init__(self, file: TableFile, columns: tuple[int, ...]) -> None:
        self._file = file
        self._columns = columns
        self._batches: Iterator[Cells] | None = None
        self._first = 0
        self._held: Cells | None = None
        """Rows from `_first` on, as far as they were read."""

    def read(self, start: int, stop: int) -> Cells | None:
        """Returns rows; fewer, or None, where the table ends before."""
        begin = self._file.start_before(start)
        if self._batches is None or start < self._first or begin > self._end:
            self._batches, self._first, self._held = self._file.batches(begin, self._columns), begin, None
        while self._end < stop and (more := next(self._batches, None)) is not None:
            self._drop(start)
            self._held = self._held.joined(more) if self._held is not None else more
        self._drop(start)
        return None if self._held is None else self._held.part(0, stop - start)

    @property
    def _end(self) -> int:
        return self._first + (len(self._held) if self._held is not None else 0)

    def _drop(self, start: int) -> None:
        """Forgets rows before one, which are not asked for again when a table is read in order."""
        if self._held is not None and (rows := min(start - self._first, len(self._held))) > 0:
            self._held = self._held.part(rows, len(self._held))
            self._first += rows
