"""Columns that hold no data: an index, or what a delimiter at the end of a line makes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vaeserve.files import AnyArray

_INDEX = ("index", "unnamed: 0", "__index_level_0__", "rownames")  # as pandas and R call it, if anything
_LEAST_ROWS = 3  # two may be 0 and 1 by chance


def surplus_columns(columns: Sequence[str | int], values: AnyArray, numbers: npt.NDArray[np.intp]) -> dict[int, str]:
    """Returns the places of such columns, and why each holds no data.

    Args:
        columns: names, or numbers where they have none.
        values: [rows, columns], NaN where a cell holds no number.
        numbers: of the rows in their file, [rows].
    """
    reasons = {}
    for place, name in enumerate(columns):
        column = values[:, place]
        if len(columns) > 1 and _may_be_index(name, place) and counts_rows(column, numbers):
            reasons[place] = "counts the rows: an index is not data"
        elif isinstance(name, int) and have_names(columns) and np.isnan(column).all():
            reasons[place] = "has no name and no numbers"
    return reasons


def counts_rows(column: AnyArray, numbers: npt.NDArray[np.intp]) -> bool:
    """Whether a column counts the rows, from 0 or 1."""
    if len(column) < _LEAST_ROWS or column[0] not in (0, 1):
        return False
    return bool((column == (numbers - numbers[0] + column[0]).astype(np.float32)).all())


def have_names(columns: Sequence[str | int]) -> bool:
    """Whether any column has a name."""
    return any(isinstance(name, str) for name in columns)


def _may_be_index(name: str | int, place: int) -> bool:
    return place == 0 if isinstance(name, int) else name.lower() in _INDEX
