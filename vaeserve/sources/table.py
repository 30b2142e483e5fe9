"""A table -> float32, without what is missing, infinite or constant, and without an index."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.sources.content import Content, table_spec
from vaeserve.sources.names import column_of, quoted
from vaeserve.sources.precision import LIMIT, Loss
from vaeserve.sources.surplus import counts_rows, have_names, surplus_columns

MOSTLY = 0.5  # a column of which a larger share is bad is itself bad
_TOLD = 8  # columns that a summary names

CellMask = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
"""[rows] of str: an array of NumPy's own strings would have room for the longest of them in every row."""
ColumnName = str | int
"""What to call a column: "column 'age'", "column 3"."""


class Table(NamedTuple):
    """Rows of numbers, as read."""

    name: str
    """What to call it in an error."""
    columns: tuple[ColumnName, ...]
    values: AnyArray  # float32 [rows, columns], NaN where a cell is bad
    numbers: npt.NDArray[np.intp]  # [rows]: what to call each; the first of the file is 0
    problem: Callable[[int, int], str]
    """What is wrong with the bad cell in the i-th row and j-th column: "is missing", "holds 'abc'"."""
    texts: Callable[[int], Texts] = lambda _: np.zeros(0, np.object_)
    """The cells of the j-th column as text, "" where one is missing; nothing where the file holds numbers alone."""
    losses: Mapping[int, Loss] = {}
    """What float32 lost of the j-th column, where that is worth a line."""
    skipped: tuple[str, ...] = ()
    """One line for each row that could not be read."""
    notes: tuple[str, ...] = ()
    """One line for each thing to know about how the file was read."""

    def called(self, column: int) -> str:
        """Returns what a message calls a column."""
        return f"{self.name}: {column_of(self.columns[column])}"


class Good(NamedTuple):
    """What is left of a table."""

    values: AnyArray  # float32 [rows, columns], finite
    columns: tuple[ColumnName, ...]
    rows: CellMask  # of the table: which are left
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def content(self, title: str) -> Content:
        """Returns it as what a reader found."""
        spec = table_spec(self.columns, LIMIT)
        return Content(
            title, spec, "gaussian", self.values, skipped=self.skipped, notes=self.notes, columns=self.columns
        )


def named(names: Sequence[str], table: str) -> tuple[ColumnName, ...]:
    """Returns what to call columns after the names in a file; one without a name goes by its number.

    Raises:
        InvalidInput: named by the path; two have the same name.
    """
    trimmed = [name.strip() for name in names]
    first = dict[str, int]()
    for place, name in enumerate(trimmed):
        if name and name in first:
            raise InvalidInput(table, f"columns {first[name]} and {place} are both called {quoted(name)}: rename one")
        first[name] = place
    return tuple(name or place for place, name in enumerate(trimmed))


def to_float32(numbers: AnyArray) -> AnyArray:
    """Returns numbers as float32, with NaN for what is missing, infinite or beyond LIMIT."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = numbers.astype(np.float32)
        values[~(np.abs(values) <= LIMIT)] = np.nan
    return values


def number_problem(number: float) -> str:
    """Returns what is wrong with a number that became NaN."""
    if np.isnan(number):
        return "is NaN"
    if not np.isfinite(number):
        return f"is {number:g}"
    return f"is {number:g}, beyond {LIMIT:g}: divide the column by a constant"


def leave_out_bad(table: Table, skip_bad: bool) -> Good:
    """Returns a table without its index and its bad cells: columns that are mostly bad go, then rows that have one.

    Raises:
        InvalidInput: named by the path; there is a bad cell or column, and `skip_bad` is not set; or a
            column has no name although others have one; or nothing would be left.
    """
    bad = np.isnan(table.values)
    reasons = surplus_columns(table.columns, table.values, table.numbers)
    surplus = {column: f"{table.called(column)} {reason}" for column, reason in reasons.items()}
    severe = {column: loss for column, loss in table.losses.items() if loss.is_severe and column not in surplus}
    of_no_use = np.isin(np.arange(bad.shape[1]), [*surplus, *severe])
    mostly_bad = (bad.sum(0) > MOSTLY * max(len(bad), 1)) & ~of_no_use
    gone = mostly_bad | of_no_use
    bad_rows: CellMask = np.any(bad & ~gone, axis=1)
    lines = [f"{table.called(column)} {loss}" for column, loss in severe.items()]
    lines += [_about_column(table, bad, column) for column in np.flatnonzero(mostly_bad).tolist()]
    lines += [about_row(table, bad & ~gone, row) for row in np.flatnonzero(bad_rows).tolist()]
    if lines and not skip_bad:
        share = f" ({bad_rows.sum()} of {len(bad_rows)} rows)" if bad_rows.any() else ""
        first = "" if severe else " (the first row is 0)"
        raise refusal(table.name, lines, first, share)
    if gone.all() or bad_rows.all():
        raise InvalidInput(table.name, f"no number is left: {[*lines, *surplus.values()][0]}")
    notes = [f"{table.called(column)} {loss}" for column, loss in table.losses.items() if not gone[column]]
    notes += _notes(table, bad & ~gone, bad_rows, gone)
    left_out = (*surplus.values(), *lines)
    columns = tuple(name for name, is_gone in zip(table.columns, gone.tolist(), strict=True) if not is_gone)
    _refuse_nameless(columns, table.name)
    values = table.values[~bad_rows][:, ~gone] if left_out else table.values
    return Good(values, columns, ~bad_rows, (*table.skipped, *left_out), (*table.notes, *notes))


def refusal(name: str, lines: Sequence[str], about: str = "", share: str = "") -> InvalidInput:
    """Returns the error that shows the first of some faults and says that --skip-bad would leave them out.

    Args:
        name: what a message calls the data; every line begins with it.
        lines: one for each fault.
        about: what to add to the first of them.
        share: how much of the data would be left out.
    """
    more = f"; {len(lines) - 1} more fault{'s' * (len(lines) > 2)}" if len(lines) > 1 else ""
    hint = f"; --skip-bad leaves out what is bad{share} and lists it"
    return InvalidInput(name, f"{lines[0].removeprefix(f'{name}: ')}{about}{more}{hint}")


def _refuse_nameless(columns: Sequence[ColumnName], table: str) -> None:
    nameless = [name for name in columns if isinstance(name, int)]
    if nameless and have_names(columns):
        raise InvalidInput(table, f"column {nameless[0]} has no name, others have: name it, or take it out")


def _notes(table: Table, bad: CellMask, bad_rows: CellMask, gone: CellMask) -> list[str]:
    """Returns how many rows went for the sake of a cell, by column, and which column may be an index."""
    notes = []
    if bad_rows.any():
        counts = bad.sum(0)
        worst = [column for column in np.argsort(-counts, kind="stable").tolist() if counts[column]]
        listed = ", ".join(f"{column_of(table.columns[column])} {counts[column]}" for column in worst[:_TOLD])
        more = f", and {len(worst) - _TOLD} more columns" if len(worst) > _TOLD else ""
        notes.append(
            f"{table.name}: {bad_rows.sum()} of {len(bad_rows)} rows are left out, each because a cell has no number; "
            f"cells by column: {listed}{more}"
        )
    for column in np.flatnonzero(~gone).tolist():
        if len(table.columns) > 1 and counts_rows(table.values[:, column], table.numbers):
            notes.append(f"{table.called(column)} counts the rows: if it is an index, take it out")
    return notes


def _about_column(table: Table, bad: CellMask, column: int) -> str:
    row = int(bad[:, column].argmax())
    share = f"{bad[:, column].sum()} of {len(bad)}"
    problem = table.problem(row, column)
    return f"{table.called(column)} cannot be used in {share} rows: in row {table.numbers[row]} it {problem}"


def about_row(table: Table, bad: CellMask, row: int) -> str:
    """Returns what is wrong with the first bad cell of a row, in a line."""
    return f"{table.name}: row {table.numbers[row]}: {about_cell(table, bad, row)}"


def about_cell(table: Table, bad: CellMask, row: int) -> str:
    """Returns what is wrong with the first bad cell of a row: "column 'age' is missing"."""
    column = int(bad[row].argmax())
    return f"{column_of(table.columns[column])} {table.problem(row, column)}"
