"""A file of rows -> rows that fit a model: its columns, by name, in its order."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import RowSpec, brief
from vaeserve.printable import printable
from vaeserve.sources.arrays import OpenedRows, npz_rows
from vaeserve.sources.idx import read_idx
from vaeserve.sources.names import column_of, listed_columns
from vaeserve.sources.pictures import FittedRows
from vaeserve.sources.surplus import have_names, surplus_columns
from vaeserve.sources.table import CellMask, Table, about_row, refusal

_IDX = "idx3-ubyte"  # in the name of a file of images, compressed or not


def reads_rows(path: Path) -> bool:
    """Whether a file is of a kind that `open_rows` reads, by its name."""
    return path.suffix.lower() in _READERS or is_idx(path)


def is_idx(path: PurePath) -> bool:
    """Whether a file is called as IDX files of images are."""
    return _IDX in path.name


def open_rows(path: Path, skip_bad: bool) -> OpenedRows:
    """Returns the rows of a `.csv`, `.parquet`, `.npz` or IDX file, as far as they can be read without a model.

    Args:
        path: a file that `reads_rows`.
        skip_bad: whether to leave out and list lines that cannot be read.

    Raises:
        InvalidInput: named by the path; the file cannot be read.
    """
    read = _READERS.get(path.suffix.lower())
    return read(path, skip_bad) if read else OpenedRows(read_idx(path, 3)[..., np.newaxis])


def fit_table(table: Table, spec: DataSpec, skip_bad: bool) -> FittedRows:
    """Returns a table's rows as a model takes them. Columns that the model does not take are ignored.

    Args:
        table: as read from a file.
        spec: the model's data.
        skip_bad: whether to leave out and list rows with a bad cell.

    Raises:
        InvalidInput: named by the path; a column that the model takes is missing, the number of columns is another
            where the model or the file names none, or a cell is bad.
    """
    if spec.kind != "table":
        raise InvalidInput(table.name, f"holds a table, the model takes images of shape {brief(spec.axes)}")
    taken = take(table, _places(table, spec), spec)
    bad = bad_cells(taken, spec)
    good: CellMask = np.all(~bad, axis=1)
    lines = [about_row(taken, bad, row) for row in np.flatnonzero(~good).tolist()]
    if lines and not skip_bad:
        raise refusal(table.name, lines, " (the first row is 0)", f" ({len(lines)} of {len(good)} rows)")
    if not good.any():
        raise InvalidInput(table.name, f"none of {len(good)} rows can be used: {lines[0]}")
    skipped = (*table.skipped, *lines)
    numbers = table.numbers[good] if skipped else None
    return FittedRows(taken.values[good], skipped=skipped, numbers=numbers, notes=table.notes)


def take(table: Table, places: Sequence[int], spec: RowSpec) -> Table:
    """Returns the columns in these places, whose problems include values that the model does not take."""
    values = table.values[:, list(places)]

    def problem(row: int, column: int) -> str:
        if np.isnan(number := values[row, column]):
            return table.problem(row, places[column])
        return f"is {number:g}, must lie in [{spec.minimum:g}, {spec.maximum:g}]"

    columns = tuple(table.columns[place] for place in places)
    return table._replace(columns=columns, values=values, problem=problem, losses={})


def _places(table: Table, spec: DataSpec) -> list[int]:
    """Returns the places of the columns that a model takes, in its order."""
    if spec.columns and have_names(table.columns):
        place_of = {name: place for place, name in enumerate(table.columns)}
        for name in spec.columns:
            if name not in place_of:
                raise InvalidInput(
                    table.name,
                    f"has no {column_of(name)}, which the model takes; it has {listed_columns(table.columns)}",
                )
        return [place_of[name] for name in spec.columns]
    places = [*range(len(table.columns))]
    if len(places) > spec.value_count:
        surplus = surplus_columns(table.columns, table.values, table.numbers)
        places = [place for place in places if place not in surplus]
    if len(places) != spec.value_count:
        raise InvalidInput(table.name, f"has {len(places)} columns, the model takes {spec.value_count}")
    return places


def bad_cells(table: Table, spec: RowSpec) -> CellMask:
    """Returns which cells a model does not take: [rows, columns]."""
    missing = np.isnan(table.values)
    bad: CellMask = missing | (table.values < spec.minimum) | (table.values > spec.maximum)
    if spec.missing_allowed:
        for row, column in np.argwhere(missing).tolist():
            bad[row, column] = not table.problem(row, column).startswith(("is missing", "is NaN"))
    return bad


def _read_columns(path: Path, skip_bad: bool) -> OpenedRows:
    try:
        from vaeserve.sources.columns import csv_table, parquet_table
    except ModuleNotFoundError as exc:  # the base install has no Arrow
        raise InvalidInput(
            printable(path), f"needs {exc.name}: pip install pyarrow, or give a .npy or .npz file"
        ) from exc
    return OpenedRows(csv_table(path, skip_bad) if path.suffix.lower() == ".csv" else parquet_table(path))


_READERS: dict[str, Callable[[Path, bool], OpenedRows]] = {
    ".csv": _read_columns,
    ".parquet": _read_columns,
    ".npz": lambda path, _: npz_rows(path),
}
