"""A table -> float32, without what is missing, infinite or constant."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.data.content import Array, Content, table_spec
from training.names import column_of
from vae.errors import TrainingError

LIMIT = 1e15
"""Largest absolute value in a table, for training and serving alike. Anomalies lie outside what was seen, so the range
is wide; but squares of values, and the sum of those over a row, must not leave float32."""

MOSTLY = 0.5  # a column of which a larger share is bad is itself bad

Mask = npt.NDArray[np.bool_]


class Table(NamedTuple):
    """Rows of numbers, as read."""

    name: str
    """What to call it in an error."""
    columns: tuple[str | int, ...]
    """What to call each of them: "column 3", "column 'age'"."""
    values: Array  # float32 [rows, columns], NaN where a cell is bad
    numbers: npt.NDArray[np.intp]  # [rows]: what to call each; the first of the file is 0
    problem: Callable[[int, int], str]
    """What is wrong with the bad cell in the i-th row and j-th column: "is missing", "holds 'abc'"."""


class Good(NamedTuple):
    """What is left of a table."""

    values: Array  # float32 [rows, columns], finite
    columns: tuple[str | int, ...]
    rows: Mask  # of the table: which are left
    skipped: tuple[str, ...]

    def content(self, title: str) -> Content:
        """Returns it as what a reader found."""
        spec = table_spec(self.columns, LIMIT)
        return Content(title, spec, "gaussian", self.values, skipped=self.skipped, columns=self.columns)


def to_float32(numbers: Array) -> Array:
    """Returns numbers as float32, with NaN for what is missing, infinite or beyond LIMIT."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = numbers.astype(np.float32)
        values[~(np.abs(values) <= LIMIT)] = np.nan
    return values


def describe(number: float) -> str:
    """Returns what is wrong with a number that became NaN."""
    if np.isnan(number):
        return "is NaN"
    return f"is {number:g}, beyond {LIMIT:g}" if np.isfinite(number) else f"is {number:g}"


def leave_out_bad(table: Table, skip_bad: bool) -> Good:
    """Returns a table without its bad cells: a column that is mostly bad goes, then every row that still has one.

    Raises:
        TrainingError: there is a bad cell, and `skip_bad` is not set; or nothing would be left.
    """
    bad = np.isnan(table.values)
    bad_columns = bad.sum(0) > MOSTLY * max(len(bad), 1)
    bad_rows: Mask = np.any(bad & ~bad_columns, axis=1)
    lines = [_about_column(table, bad, column) for column in np.flatnonzero(bad_columns).tolist()]
    lines += [_about_row(table, bad & ~bad_columns, row) for row in np.flatnonzero(bad_rows).tolist()]
    if not lines:
        return Good(table.values, table.columns, ~bad_rows, ())
    if not skip_bad:
        raise TrainingError(f"{lines[0]} (the first row is 0){and_more(len(lines))}")
    if bad_columns.all() or bad_rows.all():
        raise TrainingError(f"{table.name}: no number is left: {lines[0]}")
    names = tuple(name for name, is_bad in zip(table.columns, bad_columns, strict=True) if not is_bad)
    return Good(table.values[~bad_rows][:, ~bad_columns], names, ~bad_rows, tuple(lines))


def leave_out_constant(content: Content, train: npt.NDArray[np.intp], name: str, skip_bad: bool) -> Content:
    """Returns a table without the columns that do not vary over the rows to train on: they have no scale.

    Args:
        content: a table.
        train: places of the rows to train on.
        name: what to call the table in an error.
        skip_bad: whether such columns may go.

    Raises:
        TrainingError: there is such a column, and `skip_bad` is not set; or none varies.
    """
    rows = content.values[train]
    varies = rows.max(0) > rows.min(0)
    constant = [int(column) for column in np.flatnonzero(~varies)]
    lines = [
        f"{name}: {column_of(content.columns[column])} is {rows[0, column]:g} in every row to train on"
        for column in constant
    ]
    if not lines:
        return content
    if not varies.any():
        raise TrainingError(f"{name}: no column varies over the rows to train on")
    if not skip_bad:
        raise TrainingError(f"{lines[0]}{and_more(len(lines))}")
    values = np.ascontiguousarray(content.values[:, varies])
    columns = tuple(name for name, stays in zip(content.columns, varies.tolist(), strict=True) if stays)
    return content._replace(
        values=values, spec=table_spec(columns, LIMIT), columns=columns, skipped=(*content.skipped, *lines)
    )


def _about_column(table: Table, bad: Mask, column: int) -> str:
    row = int(bad[:, column].argmax())
    share = f"{bad[:, column].sum()} of {len(bad)}"
    problem = table.problem(row, column)
    name = column_of(table.columns[column])
    return f"{table.name}: {name} has no number in {share} rows: in row {table.numbers[row]} it {problem}"


def _about_row(table: Table, bad: Mask, row: int) -> str:
    column = int(bad[row].argmax())
    return f"{table.name}: row {table.numbers[row]}: {column_of(table.columns[column])} {table.problem(row, column)}"


def and_more(lines: int) -> str:
    """Returns how an error goes on after the first of so many faults that --skip-bad would leave out."""
    more = f"; {lines - 1} more fault{'s' * (lines > 2)}" if lines > 1 else ""
    return f"{more}; --skip-bad leaves out what is bad and lists it"
