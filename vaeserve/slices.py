"""Slices: many rows through what takes a few at a time, as memory allows."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from vaeserve.errors import OutOfMemory

T = TypeVar("T")

SLICE_BYTES: Final = 128 * 2**20
"""Memory that one slice may take, where what a row takes is known."""


def rows_within(row_bytes: int, most: int, budget: int = SLICE_BYTES) -> int:
    """Returns how many rows of so many bytes fit into a budget: at least 1, at most `most`."""
    return max(1, min(most, budget // max(1, row_bytes)))


class Slices:
    """So many rows at a time; fewer once that was more than there is memory for.

    Args:
        rows: at most, of one slice.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def run(self, function: Callable[[slice], T], count: int) -> Iterator[T]:
        """Yields what a function makes of slices that cover so many rows in order; of an empty one if there are none.

        A slice that is out of memory is tried again at half its rows, and those that follow are no longer.

        Raises:
            OutOfMemory: one row alone is too much.
        """
        first = 0
        while first < max(count, 1):
            part = slice(first, min(first + self.rows, count))
            try:
                made = function(part)
            except OutOfMemory:
                if part.stop - part.start < 2:
                    raise
                self.rows = (part.stop - part.start) // 2
            else:
                yield made
                first = max(part.stop, 1)
