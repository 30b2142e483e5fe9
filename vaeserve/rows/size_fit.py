"""How a picture of any size is brought to one that a model takes: not at all, cut, or with its edges repeated."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.package.sizes import PictureSize, PictureSizes

SizeFit = Literal["exact", "crop", "pad"]
"""exact: other sizes are refused; crop: the middle is cut out; pad: the last row and column are repeated."""


class PicturePlace(NamedTuple):
    """Where a picture lies in the row that was made of it."""

    size: PictureSize
    """Of the picture as it was given, turned upright."""
    top: int
    """Row of the fitted picture that the given one begins in; negative: rows above were cut off."""
    left: int
    """Column of the fitted picture that the given one begins in; negative: columns were cut off."""


def fitted_size(size: PictureSize, sizes: PictureSizes, fit: SizeFit) -> PictureSize:
    """Returns the size that a picture is brought to.

    Raises:
        ValueError: this fit brings it to no size that the model takes.
    """
    if fit == "exact":
        if not sizes.takes(size):
            raise ValueError(f"is {size} pixels, height and width must be {sizes.rule} (fit crop or pad makes it so)")
        return size
    if fit == "crop":
        fitted = PictureSize(*(min(side - side % sizes.multiple, sizes.maximum) for side in size))
    else:
        fitted = PictureSize(*(max(side + -side % sizes.multiple, sizes.minimum) for side in size))
    if not sizes.takes(fitted):
        done, problem = ("cut", "small") if fit == "crop" else ("padded", "large")
        raise ValueError(f"is {size} pixels, too {problem} to be {done}: height and width must be {sizes.rule}")
    return fitted


def place_in(fitted: PictureSize, size: PictureSize) -> PicturePlace:
    """Returns where a picture of a size lies in the fitted one: its middle where it is cut, the corner otherwise."""
    return PicturePlace(size, *(-max(0, (side - to) // 2) for side, to in zip(size, fitted, strict=True)))


def fit_pixels(pixels: npt.NDArray[np.uint8], fitted: PictureSize) -> npt.NDArray[np.uint8]:
    """Returns the pixels [height, width, channels] of a picture that was brought to a size."""
    if pixels.shape[:2] == fitted:
        return pixels
    _, top, left = place_in(fitted, PictureSize(*pixels.shape[:2]))
    cut = pixels[-top : fitted.height - top, -left : fitted.width - left]
    missing = [(0, to - side) for to, side in zip(fitted, cut.shape[:2], strict=True)]
    return np.pad(cut, (*missing, (0, 0)), "edge")
