"""PictureSizes: which heights and widths pictures may have, where they are free. Those of one call are alike."""

import re
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from vaeserve.records import Record

Axis = int | str
"""Length of an axis of a row. Free: "height" or "width", or one of them over a factor, for example "height/8"."""
Axes = tuple[Axis, ...]

_LABEL = re.compile(r"\s*([0-9]{1,5})[xX]([0-9]{1,5})\s*")
_MAXIMUM_SIDE = 65_536  # pixels, of a size that somebody writes


class PictureSize(NamedTuple):
    """Height and width of a picture, in pixels; as text, width x height, as people say it."""

    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def label(self) -> str:
        """The size as options and names of files have it: 448x576, width first."""
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a label. Raises ValueError, which says what it must be."""
        match = _LABEL.fullmatch(text)
        if match is None or not all(0 < int(side) <= _MAXIMUM_SIDE for side in match.groups()):
            raise ValueError("must be WIDTHxHEIGHT in pixels, for example 448x576")
        width, height = map(int, match.groups())
        return cls(height, width)

    def __str__(self) -> str:
        return f"{self.width} x {self.height}"


_Side = Annotated[int, Field(ge=1, le=2**20)]  # more than any format of pictures knows


class PictureSizes(Record):
    """The sizes that a pair takes: both sides are multiples of one number, and lie in one range."""

    multiple: _Side
    """Both sides are multiples of it."""
    minimum: _Side
    """Of either side, in pixels."""
    maximum: _Side
    """Of either side, in pixels."""
    default: PictureSize
    """What is sampled where no size is named."""

    @property
    def smallest(self) -> PictureSize:
        """The smallest picture. Limits count rows of this size."""
        return PictureSize(self.minimum, self.minimum)

    @property
    def rule(self) -> str:
        """What holds for both sides, in words."""
        return f"multiples of {self.multiple} in [{self.minimum}, {self.maximum}]"

    def takes(self, size: PictureSize) -> bool:
        """Whether pictures may have this size."""
        return all(self.minimum <= side <= self.maximum and side % self.multiple == 0 for side in size)

    def weight(self, size: PictureSize) -> int:
        """Returns how many rows of the smallest size a row of this size counts as: by its pixels, rounded up."""
        return -(-size.pixels // self.smallest.pixels)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.minimum > self.maximum or self.minimum % self.multiple or self.maximum % self.multiple:
            raise ValueError("minimum and maximum must be multiples of `multiple`, the first not above the second")
        if not self.takes(self.default):
            raise ValueError(f"default must be {self.rule}")
        return self


def axis_length(axis: Axis, size: PictureSize) -> int:
    """Returns how long an axis is in rows of a size."""
    if isinstance(axis, int):
        return axis
    side, _, factor = axis.partition("/")
    return int(getattr(size, side)) // int(factor or 1)


def size_of_axes(axes: Axes, shape: tuple[int, ...]) -> PictureSize | None:
    """Returns the size of the pictures whose rows have a shape; None if no size gives that shape."""
    if len(axes) != len(shape):
        return None
    sides: dict[str, int] = {}
    for axis, length in zip(axes, shape, strict=True):
        if isinstance(axis, int):
            if axis != length:
                return None
        else:
            side, _, factor = axis.partition("/")
            sides[side] = length * int(factor or 1)
    return PictureSize(sides["height"], sides["width"])


def factor_of(axes: Axes) -> int:
    """Returns the pixels of a side for each place of a latent along it; 1 where sizes are not free."""
    return int("".join(free_axes(axes)[:1]).partition("/")[2] or 1)


def free_axes(axes: Axes) -> tuple[str, ...]:
    """Returns the axes that follow the size, in order."""
    return tuple(axis for axis in axes if isinstance(axis, str))
