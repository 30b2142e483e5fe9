"""A picture of any size -> a row of one size: turned upright, scaled until it covers the row, its centre cropped."""

from typing import NamedTuple

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.images import to_rows
from vaeserve.sources.picture import Wanted, parse_picture, picture_size


class CroppedPicture(NamedTuple):
    """A row, and where in its picture it lies."""

    row: AnyArray
    """[height, width, channels]."""
    original: PictureSize
    """Of the picture, upright."""
    top: int
    """Pixels of the scaled picture that were cut off above the row."""
    left: int
    """Pixels of the scaled picture that were cut off to the left of the row."""


def crop_picture(content: bytes, name: str, spec: DataSpec, *, enlarges: bool) -> CroppedPicture:
    """Returns a picture as a row.

    Args:
        content: of its file.
        name: what to call it in an error.
        spec: rows of one size, of 1 or 3 channels; colours are converted to that number.
        enlarges: whether a picture that is smaller than the row is scaled up.

    Raises:
        InvalidInput: named by `name`; the picture is bad, or is too small.
    """
    size = PictureSize(*spec.shape[:2])
    original = picture_size(content, name)
    if not enlarges and needs_enlarging(original, size):
        raise InvalidInput(name, f"is {original} pixels, smaller than its bucket of {size}")
    picture = parse_picture(content, name, Wanted(size, "crop", 1 if spec.channels == 1 else 3))
    return CroppedPicture(to_rows(picture, spec), original, *_corner(original, size))


def needs_enlarging(original: PictureSize, size: PictureSize) -> bool:
    """Whether a picture has to be scaled up before it covers a size."""
    return original.height < size.height or original.width < size.width


def _corner(original: PictureSize, size: PictureSize) -> tuple[int, int]:
    """Returns how many pixels of the scaled picture lie above the row, and to the left of it."""
    high, wide = original.height * size.width, original.width * size.height
    if high > wide:  # the picture is taller than the row: its width decides the scale
        return round((high / original.width - size.height) / 2), 0
    return 0, round((wide / original.height - size.width) / 2)
