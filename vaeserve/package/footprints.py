"""Footprints: how much memory a graph's tensors take for one row, at several sizes of its picture."""

from bisect import bisect_left
from collections.abc import Sequence
from math import exp, log

from pydantic import PositiveInt

from vaeserve.records import Record


class Footprint(Record):
    """How much memory a graph's tensors take for one row of a size, weights excluded."""

    pixels: PositiveInt
    """Of the row's picture."""
    bytes: PositiveInt
    """Computed from the shapes of the graph's tensors; temporary memory of operators comes on top."""


def bytes_at(footprints: Sequence[Footprint], pixels: int) -> int:
    """Returns how much memory a row of so many pixels takes.

    Between two sizes, and past the ends, the logarithm of the bytes is taken as linear in that of the pixels: so is
    memory that grows with any power of the size, as attention's does with the square.

    Args:
        footprints: two at least, of growing sizes.
        pixels: of the row's picture.
    """
    after = min(max(bisect_left([one.pixels for one in footprints], pixels), 1), len(footprints) - 1)
    low, high = footprints[after - 1], footprints[after]
    share = log(pixels / low.pixels) / log(high.pixels / low.pixels)
    return round(exp(log(low.bytes) + share * log(high.bytes / low.bytes)))


def pixels_within(footprints: Sequence[Footprint], budget: int, maximum: int) -> int:
    """Returns the maximum number of pixels whose row fits into a budget of bytes: 0 to `maximum`."""
    low, high = 0, maximum
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if bytes_at(footprints, middle) <= budget else (low, middle - 1)
    return low
