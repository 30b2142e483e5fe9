"""Buckets: the sizes that pictures of many sizes are cropped to. Each picture goes to the nearest aspect ratio.

The rules and the words are those of the trainers of latent models: an area, sides that are multiples of a step, a
minimum and a maximum side. Sizes are written WIDTHxHEIGHT, as trainers write them.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isqrt

from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize

_MAXIMUM_BUCKETS = 4096


class Buckets:
    """Chooses the bucket of each picture.

    Args:
        sizes: of the buckets, one or more.
    """

    def __init__(self, sizes: Sequence[PictureSize]) -> None:
        self._sizes = sizes
        self.of = lru_cache(maxsize=65_536)(self._nearest)

    def _nearest(self, original: PictureSize | None) -> PictureSize:
        """Returns the bucket of a picture: of the nearest aspect ratio.

        Of several with that ratio it is the largest that the picture covers, else the smallest. A picture that cannot
        be read goes to the bucket that is nearest to a square.
        """
        picture = original or PictureSize(1, 1)

        def distance(size: PictureSize) -> tuple[float, bool, int]:
            is_larger = size.height > picture.height or size.width > picture.width
            return _distortion(picture, size), is_larger, size.pixels if is_larger else -size.pixels

        return min(self._sizes, key=distance)


def automatic(area: PictureSize, step: int, minimum: int, maximum: int) -> tuple[PictureSize, ...]:
    """Returns buckets of many aspect ratios, none larger than an area: for each width the largest height, and turned.

    Args:
        area: no bucket has more pixels than it.
        step: both sides of each bucket are multiples of it.
        minimum: of either side, in pixels.
        maximum: of either side, in pixels.
    """
    square = isqrt(area.pixels) // step * step
    sides = {(square, square)} if minimum <= square <= maximum else set()
    for width in range(-(-minimum // step) * step, maximum + 1, step):
        height = min(maximum, area.pixels // width) // step * step
        if height >= minimum:
            sides |= {(width, height), (height, width)}
    return tuple(PictureSize(*pair) for pair in sorted(sides))


def parse_sizes(text: str, option: str) -> tuple[PictureSize, ...]:
    """Reads sizes: "512x512,448x576", width first.

    Raises:
        InvalidInput: names the option.
    """
    sizes = tuple(parse_size(part, option) for part in text.split(","))
    if len(sizes) > _MAXIMUM_BUCKETS:
        raise InvalidInput(option, f"has {len(sizes):,} sizes, at most {_MAXIMUM_BUCKETS:,} are taken")
    return tuple(sorted({*sizes}))


def parse_size(text: str, option: str) -> PictureSize:
    """Reads a size: "448x576", width first.

    Raises:
        InvalidInput: names the option.
    """
    try:
        return PictureSize.parse(text)
    except ValueError as exc:
        raise InvalidInput(option, f"is {text!r}, {exc}") from exc


def _distortion(one: PictureSize, other: PictureSize) -> float:
    """Returns how far two aspect ratios lie apart, at least 1. Rounded in the same way on every machine."""
    sides = sorted((one.width * other.height, one.height * other.width))
    return sides[1] / max(1, sides[0])
