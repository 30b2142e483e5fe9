"""ParquetTable: a `.parquet` file, read a few rows at a time from the start of any row group."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from jobs.sources.contents import close_on_error
from jobs.sources.cursor import Cells
from vaeserve.slices import rows_within
from vaeserve.sources.columns import arrow_errors
from vaeserve.sources.table import ColumnName, named

_BATCH_BYTES: Final = 2**20  # a few, which the processor's caches hold
_BATCH_ROWS: Final = 2**14
_BUFFER_BYTES: Final = 2**20  # of a column that is read; without it, a column of a row group is read at once


class ParquetTable:
    """An open `.parquet` file; see TableFile.

    Args:
        open_file: opens the file.
        called: what messages call it.
    """

    def __init__(self, open_file: Callable[[], BinaryIO], called: str) -> None:
        self._called = called
        self._file = open_file()
        with close_on_error(self._file), arrow_errors(self._called):
            self._opened = pyarrow.parquet.ParquetFile(self._file, buffer_size=_BUFFER_BYTES)
            about = self._opened.metadata
            groups = [about.row_group(group) for group in range(about.num_row_groups)]
            self._schema = self._opened.schema_arrow
            self.columns: tuple[ColumnName, ...] = named(self._schema.names, called)
        self._starts = np.cumsum([0, *(group.num_rows for group in groups)])
        size = sum(group.total_byte_size for group in groups)
        self._batch_rows = rows_within(size // max(1, self.count()), _BATCH_ROWS, _BATCH_BYTES)

    def count(self) -> int:
        """See TableFile."""
        return int(self._starts[-1])

    def type_of(self, column: int) -> Any:  # noqa: ANN401
        """See TableFile."""
        return self._schema.field(column).type

    def start_before(self, row: int) -> int:
        """See TableFile."""
        return int(self._starts[self._group_of(row)])

    def batches(self, row: int, columns: tuple[int, ...]) -> Iterator[Cells]:
        """See TableFile."""
        names = [self._schema.names[column] for column in columns]
        groups = range(self._group_of(row), len(self._starts) - 1)
        with arrow_errors(self._called):
            batches = self._opened.iter_batches(self._batch_rows, row_groups=[*groups], columns=names)
        while (batch := self._next(batches)) is not None:
            yield Cells(pa.Table.from_batches([batch]).select(names))

    def close(self) -> None:
        """See TableFile."""
        self._opened.close(force=True)
        self._file.close()

    def _group_of(self, row: int) -> int:
        """Returns the row group that a row lies in; the last one for rows past the end."""
        return max(0, min(int(np.searchsorted(self._starts, row, "right")), len(self._starts) - 1) - 1)

    def _next(self, batches: Iterator[Any]) -> Any:  # noqa: ANN401
        with arrow_errors(self._called):
            return next(batches, None)
