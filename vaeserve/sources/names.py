"""Names of files and columns from outside, fit for a message of one line."""

from collections.abc import Sequence

from vaeserve.printable import printable

MOST_SHOWN = 60
_SHOWN_COLUMNS = 8


def quoted(text: str) -> str:
    """Returns a text that may be as long as a file, in quotes and cut."""
    return f"'{printable(text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + '...')}'"


def column_of(name: str | int) -> str:
    """Returns what a message calls a column: by its name in the file, or by its place where the file gives none."""
    return f"column {quoted(name) if isinstance(name, str) else name}"


def listed_columns(columns: Sequence[str | int]) -> str:
    """Returns the first names of columns, fit for a message."""
    names = [quoted(name) if isinstance(name, str) else str(name) for name in columns[:_SHOWN_COLUMNS]]
    return ", ".join(names) + ", ..." * (len(columns) > _SHOWN_COLUMNS)
