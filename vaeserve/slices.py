"""Slices: processes many rows a few at a time, as memory allows."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from vaeserve.errors import OutOfMemory

T = TypeVar("T")

SLICE_BYTES: Final = 128 * 2**20
"""Memory that one slice may take, where the bytes of a row are known."""


def rows_within(row_bytes: int, maximum: int, budget: int = SLICE_BYTES) -> int:
    """Returns how many rows of so many bytes fit into a budget: at least 1, at most `maximum`."""
    return max(1, min(maximum, budget // max(1, row_bytes)))


def rows_that_fit(limit: int, row_weight: int) -> int:
    """Returns how many rows fit into a limit: at least 1.

    Args:
        limit: rows of weight 1.
        row_weight: how many of these each row counts as.
    """
    return max(1, limit // row_weight)


class Slices:
    """Runs a function on slices of rows. Slices shrink when memory runs out.

    Args:
        rows: maximum rows in one slice.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def run(self, function: Callable[[slice], T], count: int) -> Iterator[T]:
        """Yields a function's result for each slice. The slices cover `count` rows in order; 0: one empty slice.

        A slice that runs out of memory is tried again with half its rows, and no later slice is larger.

        Raises:
            OutOfMemory: a single row takes too much.
        """
        first = 0
        while first < max(count, 1):
            part = slice(first, min(first + self.rows, count))
            try:
                result = function(part)
            except OutOfMemory:
                if part.stop - part.start < 2:
                    raise
                self.rows = (part.stop - part.start) // 2
            else:
                yield result
                first = max(part.stop, 1)
