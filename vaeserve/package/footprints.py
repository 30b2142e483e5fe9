"""Footprints: how much memory a graph's tensors take for one row, at several sizes of its picture."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import exp, log
from typing import Annotated

from pydantic import AfterValidator, Field

from vaeserve.records import Record

_HIGHEST = 2**62  # past it nothing fits anyway, and floats that are powers of it overflow
_Count = Annotated[int, Field(ge=1, le=_HIGHEST)]


class Footprint(Record):
    """How much memory a graph's tensors take for one row of a size, weights excluded."""

    pixels: _Count
    """Of the row's picture."""
    bytes: _Count
    """Computed from the shapes of the graph's tensors; temporary memory of operators comes on top."""


def _check_growth(footprints: tuple[Footprint, ...]) -> tuple[Footprint, ...]:
    for one, next_ in pairwise(footprints):
        if one.pixels >= next_.pixels or one.bytes > next_.bytes:
            raise ValueError("pixels must grow from each footprint to the next, and bytes must not shrink")
    return footprints


Footprints = Annotated[tuple[Footprint, ...], AfterValidator(_check_growth)]
"""From the smallest size to the largest."""


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
    return round(exp(min(log(low.bytes) + share * log(high.bytes / low.bytes), log(_HIGHEST))))


def pixels_within(footprints: Sequence[Footprint], budget: int, maximum: int) -> int:
    """Returns the maximum number of pixels whose row fits into a budget of bytes: 0 to `maximum`."""
    low, high = 0, maximum
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if bytes_at(footprints, middle) <= budget else (low, middle - 1)
    return low
