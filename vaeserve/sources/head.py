"""What the first lines of a CSV file tell: its delimiter, and whether they are names or a row."""

import codecs
import csv
import io
import re
from typing import NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.printable import printable
from vaeserve.sources.names import quoted

_DELIMITERS = "\t;,"  # in this order: numbers may hold commas where another one parts them
_BLANK = b" \r\n" + _DELIMITERS.encode()
_MANY = 4  # numbers in even steps that are hardly a row


class Head(NamedTuple):
    """The first line that is not blank."""

    start: int
    """Bytes before it."""
    delimiter: str
    cells: list[str]
    is_header: bool
    note: str = ""
    """What to tell of how it was read."""


def read_head(content: bytes, name: str) -> Head:
    """Returns what the beginning of a file tells; without cells where all of it is blank.

    Raises:
        InvalidInput: named by `name`; the first line holds names and numbers, so it is neither.
    """
    start = _blank_bytes(content)
    text = content[start:].decode("utf-8-sig", "replace")  # the block may end within a letter
    line = re.sub('"[^"]*"', "", text.partition("\n")[0])
    delimiter = next((each for each in _DELIMITERS if each in line), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    cells, second = next(rows, []), next((row for row in rows if row), [])
    filled = [cell for cell in cells if cell.strip()]
    numbers = [cell for cell in filled if not np.isnan(number_of(cell)) or cell.strip().lower() == "nan"]
    if not numbers:
        return Head(start, delimiter, cells, is_header=bool(filled))
    if len(numbers) < len(filled):
        other = next(cell for cell in filled if cell not in numbers)
        raise InvalidInput(
            name,
            f"its first line holds names ({quoted(other)}) and numbers ({quoted(numbers[0])}): "
            "it must be all names or all numbers",
        )
    if not _are_names(cells, second):
        return Head(start, delimiter, cells, is_header=False)
    note = (
        f"{name}: its first line ({printable(', '.join(numbers[:3]))}, ...) is taken for names, because it counts in "
        "even steps; if it is a row, put a line of names above it"
    )
    return Head(start, delimiter, cells, is_header=True, note=note)


def number_of(text: str) -> float:
    """Returns what a text says, as Arrow would: no underscores, no digits of other scripts. NaN if it is not a number.

    True and False are 1 and 0, as Arrow takes them where they are no text.
    """
    if (word := text.strip().lower()) in ("true", "false"):
        return float(word == "true")
    try:
        return float(text) if text.isascii() and "_" not in text else np.nan
    except ValueError:
        return np.nan


def _blank_bytes(content: bytes) -> int:
    """Returns how many bytes of lines lie before the first that holds anything."""
    start = 0
    for line in io.BytesIO(content):
        if line.removeprefix(codecs.BOM_UTF8).strip(_BLANK):
            break
        start += len(line)
    return start


def _are_names(cells: list[str], second: list[str]) -> bool:
    """Whether a line of numbers names columns: 0, 1, 2, ..., as pandas writes them, or years, or wavelengths."""
    if not cells[0].strip() and all(cell.strip() for cell in cells[1:]):  # above an index
        return [number_of(cell) for cell in cells[1:]] == [*range(len(cells) - 1)]
    numbers = np.array([number_of(cell) for cell in cells])
    below = np.array([number_of(cell) for cell in second])
    counts = numbers[0] in (0, 1) and numbers.tolist() == [*range(int(numbers[0]), int(numbers[0]) + len(numbers))]
    if len(numbers) == 2:  # a row may well be 0 and 1, where all are whole
        return bool(counts and (below[np.isfinite(below)] % 1).any())
    return (counts or len(numbers) >= _MANY) and _are_even(numbers) and not _are_even(below)


def _are_even(numbers: np.ndarray) -> bool:
    steps = np.diff(numbers)
    return bool(len(steps) and (steps > 0).all() and np.allclose(steps, steps[0], rtol=1e-6, atol=0))
