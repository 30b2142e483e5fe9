"""Cells of a table -> rows that fit the model, and what is wrong with each of the others."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from jobs.sources.cursor import Cells
from jobs.sources.fitted import fit_rows
from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.row_spec import Array, RowSpec
from vaeserve.sources.cells import numbers_of, problem_of
from vaeserve.sources.fitting import bad_cells, take
from vaeserve.sources.names import column_of
from vaeserve.sources.precision import LIMIT
from vaeserve.sources.table import CellMask, ColumnName, Table, about_cell, to_float32


def fit_columns(cells: Cells, names: tuple[ColumnName, ...], spec: RowSpec) -> tuple[Array, dict[int, str]]:
    """Returns rows of which each column holds one number; and errors, by row.

    Args:
        cells: whose first columns these are.
        names: what to call each.
        spec: the model's rows.
    """

    def problem(row: int, column: int) -> str:
        return problem_of(cells.table.column(column)[row])

    columns = [to_float32(numbers_of(cells.table.column(place))) for place in range(len(names))]
    table = Table("", names, np.stack(columns, axis=1), np.arange(len(cells)), problem)
    taken = take(table, range(len(names)), spec)
    bad = bad_cells(taken, spec)
    errors = {row: about_cell(taken, bad, row) for row in _rows(bad) if row not in cells.errors}
    return _fitted(taken.values, errors | {**cells.errors}, spec)


def fit_lists(cells: Cells, name: ColumnName, spec: RowSpec) -> tuple[Array, dict[int, str]]:
    """Returns rows that are lists; and errors, by row.

    Args:
        cells: whose first column this is.
        name: what to call it.
        spec: the model's rows.
    """
    column = combined(cells.table.column(0))
    if (rows := _fit_whole(column, spec)) is not None:
        return rows, {}
    lengths = pyarrow.compute.list_value_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
    is_whole = lengths == spec.value_count
    errors = {row: _about_length(int(lengths[row]), name, spec) for row in np.flatnonzero(~is_whole).tolist()}
    values = np.full((len(cells), spec.value_count), np.nan, np.float32)
    flat = column.filter(pa.array(is_whole)).flatten()
    values[is_whole] = to_float32(numbers_of(pa.chunked_array([flat]))).reshape(-1, spec.value_count)

    def problem(row: int, place: int) -> str:
        return problem_of(column[row].values[place])

    table = Table("", (*range(spec.value_count),), values, np.arange(len(cells)), problem)
    taken = take(table, range(spec.value_count), spec)
    bad = bad_cells(taken._replace(values=np.where(is_whole[:, None], taken.values, 0)), spec)
    for row in _rows(bad):
        if row not in errors:
            place = int(bad[row].argmax())
            errors[row] = f"{column_of(name)}: value {place} {taken.problem(row, place)}"
    return _fitted(values, errors, spec)


def _fit_whole(column: Any, spec: RowSpec) -> Array | None:  # noqa: ANN401
    """Returns rows of lists that are all as the model takes them, by the shortest way; None if some may not be."""
    flat = column.flatten()
    kind = flat.type
    is_plain = pa.types.is_integer(kind) or pa.types.is_float32(kind)
    if column.null_count or flat.null_count or not is_plain or len(flat) != len(column) * spec.value_count:
        return None
    offsets = None if pa.types.is_fixed_size_list(column.type) else column.offsets.to_numpy()
    if offsets is not None and (np.diff(offsets) != spec.value_count).any():
        return None
    values = flat.to_numpy()
    if kind != pa.uint8() and not (np.abs(values.astype(np.float32, copy=False)) <= LIMIT).all():
        return None
    try:
        return spec.fit(values.reshape(-1, *spec.shape), "rows")
    except InvalidInput:
        return None


def combined(column: Any) -> Any:  # noqa: ANN401, Arrow ships no types
    """Returns a column as one array, with its values in place of numbers that stand for them."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def is_list(kind: Any) -> bool:  # noqa: ANN401
    """Whether a column of this type holds a list in each row."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _about_length(length: int, name: ColumnName, spec: RowSpec) -> str:
    return f"{column_of(name)} " + ("is missing" if length < 0 else f"holds {length} values, not {spec.value_count}")


def _rows(bad: CellMask) -> list[int]:
    rows: list[int] = np.flatnonzero(bad.any(axis=1)).tolist()
    return rows


def _fitted(values: AnyArray, errors: dict[int, str], spec: RowSpec) -> tuple[Array, dict[int, str]]:
    """Returns rows as the model takes them, blank where there is an error."""
    values = values.reshape(-1, *spec.shape)
    blank = spec.blank(1)
    values[[*errors]] = blank
    rows, more = fit_rows(values, spec)
    return rows, dict(sorted((more | errors).items()))
