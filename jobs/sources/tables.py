"""Tables -> their rows: `.parquet` and `.csv`, of which the columns are known."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from jobs.sources.cells import combined, fit_columns, fit_lists, is_list
from jobs.sources.chunks import ReadRows
from jobs.sources.csv_tables import CsvTable
from jobs.sources.cursor import Cells, Cursor, TableFile
from jobs.sources.parquet_tables import ParquetTable
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array, RowSpec
from vaeserve.sources.names import column_of, listed_columns
from vaeserve.sources.table import ColumnName


def open_table(open_file: Callable[[], BinaryIO], name: str, called: str) -> TableFile:
    """Returns an open table.

    Args:
        open_file: opens its file.
        name: the file's name, which says of what kind it is.
        called: what messages call it.

    Raises:
        InvalidInput: named by `called`; it cannot be read, is damaged, or two columns have one name.
    """
    return (CsvTable if PurePosixPath(name).suffix.lower() == ".csv" else ParquetTable)(open_file, called)


def place_of(table: TableFile, name: str, called: str) -> int:
    """Returns the place of a column. One without a name goes by its number.

    Raises:
        InvalidInput: named by `called`; there is no such column.
    """
    names: Sequence[ColumnName] = table.columns
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) in names:
        return names.index(int(name))
    raise InvalidInput(called, f"has no {column_of(name)}; it has {listed_columns(names)}")


class TableRows:
    """Rows of one table; see RowFile.

    Args:
        table: the table.
        called: what messages call it.
        columns: names of the columns that become a row, in order, or of the one that holds lists.
        keep: names of those that travel along.
        spec: the model's rows.

    Raises:
        InvalidInput: named by `called`; a column is missing, or their number is not the model's.
    """

    def __init__(
        self, table: TableFile, called: str, columns: Sequence[str], keep: Sequence[str], spec: RowSpec
    ) -> None:
        self.sizes = ()
        self._table = table
        self._spec = spec
        self._keep = keep
        is_empty = not table.columns  # a file of no bytes
        places = [] if is_empty else [place_of(table, name, called) for name in columns]
        keep_places = [] if is_empty else [place_of(table, name, called) for name in keep]
        self._names = tuple(table.columns[place] for place in places)
        self._is_list = len(places) == 1 and is_list(table.type_of(places[0]))
        if not (is_empty or self._is_list) and len(places) != spec.value_count:
            raise InvalidInput(called, f"{len(places)} of its columns are taken, the model takes {spec.value_count}")
        self.keep_types: dict[str, Any] = dict(zip(keep, map(table.type_of, keep_places), strict=False))
        """Arrow types of the columns that travel along; none in a file of no bytes."""
        self._places = tuple(dict.fromkeys([*places, *keep_places]))
        self._keep_places = [self._places.index(place) for place in keep_places]
        self._cursor = Cursor(table, self._places)

    def count(self) -> int:
        """See RowFile."""
        return self._table.count()

    def read(self, start: int, stop: int) -> ReadRows:
        """See RowFile."""
        cells = self._cursor.read(start, stop)
        if cells is None:
            return ReadRows(self._spec.blank(0), {}, {})
        rows, errors = self._fitted(cells)
        columns = [combined(cells.table.column(place)) for place in self._keep_places]
        return ReadRows(rows, errors, dict(zip(self._keep, columns, strict=True)))

    def close(self) -> None:
        """See RowFile."""
        self._table.close()

    def _fitted(self, cells: Cells) -> tuple[Array, dict[int, str]]:
        if self._is_list:
            return fit_lists(cells, self._names[0], self._spec)
        return fit_columns(cells, self._names, self._spec)
