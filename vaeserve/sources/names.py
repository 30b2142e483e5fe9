"""Names of files and columns from outside, fit for a message of one line."""

from vaeserve.printable import printable

MOST_SHOWN = 60


def quoted(text: str) -> str:
    """Returns a text that may be as long as a file, in quotes and cut."""
    return f"'{printable(text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + '...')}'"


def column_of(name: str | int) -> str:
    """Returns what a message calls a column: by its name in the file, or by its place where the file gives none."""
    return f"column {quoted(name) if isinstance(name, str) else name}"
