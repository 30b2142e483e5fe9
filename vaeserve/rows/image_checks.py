"""Checks an encoded image by its header alone: what is too large or does not fit is refused before it is decoded."""

from collections.abc import Sequence
from typing import NamedTuple

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.image_headers import ImageFile, read_image_file
from vaeserve.rows.size_fit import PicturePlace, SizeFit, fitted_size, place_in

_METADATA_BYTES = 2**20  # beside twice the pixels' bytes; a longer file is made to cost time
_CHANNELS = (1, 3, 4)


class CheckedImage(NamedTuple):
    """An image whose header fits."""

    file: ImageFile
    size: PictureSize
    """Of the row that is made of it."""


def takes_images(spec: DataSpec) -> bool:
    """Whether encoded images can be rows of this data."""
    return spec.kind == "image" and spec.channels in _CHANNELS


def check_image(
    content: bytes, field: str, spec: DataSpec, fit: SizeFit = "exact", size: PictureSize | None = None
) -> CheckedImage:
    """Returns an image after checking that its header fits. `takes_images` must hold.

    Args:
        content: the file.
        field: what to call it in an error.
        spec: the model's data.
        fit: how it is brought to a size that the model takes, if it takes many.
        size: what it must then have, because the first image of its call has it; None: any that the model takes.

    Raises:
        InvalidInput: it is not a PNG, JPEG or WebP, or has another size, more bits or several frames.
    """
    if spec.sizes is None:
        _check_bytes(content, field, spec.shape[:2], spec)
    try:
        file = read_image_file(content)
    except ValueError as exc:
        raise InvalidInput(field, str(exc)) from exc
    if spec.sizes is None:
        fitted = _check_size(file, field, spec)
    else:
        fitted = _fit(file, field, spec.sizes, fit)
        _check_bytes(content, field, _size_of(file), spec)
        if size not in (None, fitted):
            comes_to = "is" if fit == "exact" else "comes to"
            rule = f"not {size} as the first image: all images of a call must have one size"
            raise InvalidInput(field, f"{comes_to} {fitted} pixels, {rule}")
    if file.bits > 8:
        raise InvalidInput(field, f"has {file.bits} bits a channel, must have at most 8")
    if file.is_animated:
        raise InvalidInput(field, "is animated, must be a single picture")
    return CheckedImage(file, fitted)


def image_places(images: Sequence[bytes], size: PictureSize) -> list[PicturePlace]:
    """Returns where each of some images lies in its row, whose size it was brought to. All of them were checked."""
    return [place_in(size, _size_of(read_image_file(content))) for content in images]


def _fit(file: ImageFile, field: str, sizes: PictureSizes, fit: SizeFit) -> PictureSize:
    size = _size_of(file)
    if fit == "crop" and size.pixels > sizes.maximum**2:  # it would have to be decoded whole
        largest = PictureSize(sizes.maximum, sizes.maximum)
        raise InvalidInput(field, f"is {size} pixels, too many to cut out the middle: at most as many as {largest}")
    try:
        return fitted_size(size, sizes, fit)
    except ValueError as exc:
        raise InvalidInput(field, str(exc)) from exc


def _check_size(file: ImageFile, field: str, spec: DataSpec) -> PictureSize:
    size = _size_of(file)
    if size != spec.shape[:2]:
        expected = PictureSize(*spec.shape[:2])
        turned = " once it is turned upright as its EXIF says" if file.is_sideways else ""
        raise InvalidInput(field, f"is {size} pixels{turned}, must be {expected} (width x height)")
    return size


def _check_bytes(content: bytes, field: str, size: tuple[int, ...], spec: DataSpec) -> None:
    """Refuses a file that is longer than pixels of a size (height, width) explain."""
    height, width = size
    maximum = 2 * height * width * spec.channels + _METADATA_BYTES
    if len(content) > maximum:
        pixels = PictureSize(height, width)
        raise InvalidInput(field, f"takes {len(content)} bytes; one of {pixels} pixels takes at most {maximum}")


def _size_of(file: ImageFile) -> PictureSize:
    """Returns the size of an image as it is shown."""
    width, height = file.upright_size
    return PictureSize(height, width)
