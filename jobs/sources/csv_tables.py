"""CsvTable: a `.csv` file, read block by block from its start. All cells are text, as the file has them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from jobs.sources.cursor import Cells
from vaeserve.sources.columns import CSV_BLOCK, RaggedRow, arrow_errors, check_text, csv_options, ragged_problem
from vaeserve.sources.head import read_head
from vaeserve.sources.table import ColumnName, named

_CHUNK: Final = 2**20


class CsvTable:
    """An open `.csv` file; see TableFile.

    Args:
        open_file: opens the file; Arrow reads ahead, so that each reading needs a file of its own.
        called: what messages call it.
    """

    def __init__(self, open_file: Callable[[], BinaryIO], called: str) -> None:
        self._open_file = open_file
        self._called = called
        with arrow_errors(self._called), open_file() as file:
            self._head = read_head(file.read(CSV_BLOCK), called)
        cells = self._head.cells
        self.columns: tuple[ColumnName, ...] = named(cells, called) if self._head.is_header else (*range(len(cells)),)

    def count(self) -> int:
        """See TableFile. Makes sure that all of the file is UTF-8."""
        with arrow_errors(self._called), self._open_file() as file:
            check_text(iter(partial(file.read, _CHUNK), b""), self._called)
        return sum(map(len, self.batches(0, (0,)))) if self.columns else 0

    def type_of(self, _: int) -> Any:  # noqa: ANN401
        """See TableFile."""
        return pa.string()

    def start_before(self, _: int) -> int:
        """See TableFile."""
        return 0

    def batches(self, _: int, columns: tuple[int, ...]) -> Iterator[Cells]:
        """See TableFile."""
        ragged = dict[int, str]()

        def take_ragged(row: RaggedRow) -> str:
            ragged[row.number - 1] = ragged_problem(row)
            return "skip"

        with self._open_file() as file:
            file.seek(self._head.start)
            with arrow_errors(self._called):
                reader = pyarrow.csv.open_csv(file, *csv_options(self._head, take_ragged, columns))
            first = 0  # of the next batch, counting the line of names
            while (batch := self._next(reader)) is not None:
                cells = _merged(pa.Table.from_batches([batch]), first, ragged)
                yield cells.part(int(self._head.is_header and not first), len(cells))
                first += len(cells)
            rest = pa.table([pa.nulls(len(ragged), pa.string()) for _ in columns], reader.schema.names)
            yield Cells(rest, dict(enumerate(ragged.values())))

    def close(self) -> None:
        """See TableFile."""

    def _next(self, reader: Any) -> Any:  # noqa: ANN401
        with arrow_errors(self._called):
            return next(reader, None)


def _merged(table: Any, first: int, ragged: dict[int, str]) -> Cells:  # noqa: ANN401
    """Returns rows with those among them that have more or fewer cells than the first, which are taken from `ragged`.

    Args:
        table: the other rows.
        first: number of the first row.
        ragged: by number what is wrong with such rows. Arrow is a block ahead, so there may be later ones.
    """
    rows, errors = table.num_rows, dict[int, str]()
    for number in sorted(ragged):
        if number >= first + rows:
            break
        errors[number - first] = ragged.pop(number)
        rows += 1
    if not errors:
        return Cells(table)
    is_ragged = np.zeros(rows, np.bool_)
    is_ragged[[*errors]] = True
    places = np.cumsum(~is_ragged) - 1
    return Cells(table.take(pa.array(places, mask=is_ragged)), errors)
