"""What the columns of a table are for: data, each row's class, each row's group, or nothing."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.sources.classes import Classes, classes_of
from vaeserve.sources.content import ClassLabels
from vaeserve.sources.head import number_of
from vaeserve.sources.names import column_of, listed_columns, quoted
from vaeserve.sources.surplus import have_names
from vaeserve.sources.table import Table, Texts, refusal

MOST_CLASSES = 100
"""Maximum number of different values of a target: a column of more is a number, not a class."""
_LARGEST = 2**53
_TARGET, _GROUP, _DROP = "--target", "--group-column", "--drop"


class ColumnRoles(NamedTuple):
    """The columns that are not data, by name, or by number where a file has no names."""

    target: str | None = None
    group: str | None = None
    drop: tuple[str, ...] = ()


DATA_ALONE = ColumnRoles()


class AssignedColumns(NamedTuple):
    """A table, taken apart."""

    data: Table
    classes: Classes = Classes()
    groups: ClassLabels | None = None
    """The number of each row's group."""


def assign(table: Table, roles: ColumnRoles, skip_bad: bool) -> AssignedColumns:
    """Returns a table's data, and the classes and groups of its rows.

    Args:
        table: as read.
        roles: which columns are not data.
        skip_bad: whether to leave out and list rows without a class or a group.

    Raises:
        InvalidInput: named by the flag; there is no such column, it cannot be what it is to be, or no data is left. Or
            named by the path; a row has no class or no group, and `skip_bad` is not set.
    """
    places = _places(table, roles)
    if not places:
        return AssignedColumns(table)
    texts = {flag: table.texts(place) for place, flag in places.items() if flag != _DROP}
    present = np.ones(len(table.values), bool)
    for each in texts.values():
        present &= each != ""
    rows = np.flatnonzero(present)
    lines = [_about_row(table, row, places) for row in np.flatnonzero(~present).tolist()]
    if lines and not skip_bad:
        raise refusal(table.name, lines, " (the first row is 0)", f" ({len(lines)} of {len(present)} rows)")
    if not len(rows):
        raise InvalidInput(table.name, f"no row is left: {lines[0]}")
    data = _part(table, rows, [place for place in range(len(table.columns)) if place not in places])
    data = data._replace(skipped=(*data.skipped, *lines), notes=(*data.notes, *_notes(table, places)))
    flagged = {flag: table.called(place) for place, flag in places.items()}
    return AssignedColumns(
        data,
        _classes(texts[_TARGET][rows], flagged[_TARGET]) if _TARGET in texts else Classes(),
        _groups(texts[_GROUP][rows], flagged[_GROUP]) if _GROUP in texts else None,
    )


def _places(table: Table, roles: ColumnRoles) -> dict[int, str]:
    """Returns the places of the columns that are not data, each with the flag that says so."""
    named = [(_TARGET, roles.target), (_GROUP, roles.group), *((_DROP, name) for name in roles.drop)]
    places = dict[int, str]()
    for flag, name in named:
        if name is None:
            continue
        place = _place(table, name, flag)
        if place in places:
            raise InvalidInput(flag, f"{table.called(place)} is named twice, here and by {places[place]}")
        places[place] = flag
    if len(places) == len(table.columns):
        raise InvalidInput(named[-1][0] if roles.drop else _TARGET, f"{table.name}: no column is left that is data")
    return places


def _place(table: Table, name: str, flag: str) -> int:
    columns = [*map(str, table.columns)]
    if name.strip() in columns:
        return columns.index(name.strip())
    near = get_close_matches(name, columns, n=1)
    hint = f"did you mean {quoted(near[0])}?" if near else f"it has {listed_columns(table.columns)}"
    raise InvalidInput(flag, f"{table.name} has no {column_of(name)}; {hint}")


def _about_row(table: Table, row: int, places: dict[int, str]) -> str:
    place = next(place for place, flag in places.items() if flag != _DROP and not table.texts(place)[row])
    return f"{table.name}: row {table.numbers[row]}: {column_of(table.columns[place])}, the {places[place]}, is missing"


def _part(table: Table, rows: npt.NDArray[np.intp], places: Sequence[int]) -> Table:
    """Returns some rows and columns of a table, in their order."""

    def problem(row: int, column: int) -> str:
        return table.problem(int(rows[row]), places[column])

    return table._replace(
        columns=tuple(table.columns[place] for place in places),
        values=table.values[np.ix_(rows, np.array(places))],
        numbers=table.numbers[rows],
        problem=problem,
        losses={number: table.losses[place] for number, place in enumerate(places) if place in table.losses},
    )


def _notes(table: Table, places: dict[int, str]) -> list[str]:
    """Returns a note where columns have no names, because a server cannot tell then which ones to leave out."""
    if have_names(table.columns):
        return []
    listed = ", ".join(map(str, sorted(places)))
    return [f"{table.name}: has no names of columns: files for this model must come without column {listed}"]


def _classes(texts: Texts, called: str) -> Classes:
    """Returns whole numbers as they are, and names for all else."""
    numbers = _numbers(texts)
    values = np.unique(texts if numbers is None else numbers)
    if len(values) == 1:
        raise InvalidInput(_TARGET, f"{called} is {quoted(texts[0])} in every row: classes must be two or more")
    if numbers is None:
        return _refuse_many(classes_of(texts, f"{_TARGET}: {called}"), len(values), len(texts), called)
    if (numbers == np.round(numbers)).all():
        return _refuse_many(Classes(numbers.astype(np.int64)), len(values), len(texts), called)
    names = tuple(f"{value:.15g}" for value in values.tolist())
    places = np.searchsorted(values, numbers)
    return _refuse_many(Classes(places.astype(np.int64), names), len(values), len(texts), called)


def _refuse_many(classes: Classes, count: int, rows: int, called: str) -> Classes:
    most = min(MOST_CLASSES, max(2, rows // 2))
    if count > most:
        raise InvalidInput(
            _TARGET,
            f"{called} has {count} different values in {rows} rows, classes may be at most {most}: a number is no "
            "class; leave the column out by --drop, or write a column of classes",
        )
    return classes


def _numbers(texts: Texts) -> npt.NDArray[np.float64] | None:
    """Returns what texts stand for if all are numbers, none so large that two of them may be one as a float64."""
    values, places = np.unique(texts, return_inverse=True)
    numbers = np.array([np.nan if text.lower() in ("true", "false") else number_of(text) for text in values.tolist()])
    return numbers[places] if (np.abs(numbers) < _LARGEST).all() else None  # False for NaN


def _groups(texts: Texts, called: str) -> ClassLabels:
    numbers = _numbers(texts)  # 1 and 1.0 are one group
    values, places = np.unique(texts if numbers is None else numbers, return_inverse=True)
    if len(values) == 1:
        raise InvalidInput(_GROUP, f"{called} is {quoted(texts[0])} in every row: a split needs two groups or more")
    return places.astype(np.int64)
