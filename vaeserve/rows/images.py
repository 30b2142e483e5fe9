"""Encoded images <-> rows of an image model, through Pillow. Decoding is the validation, as in `tensors`.

An image must hold exactly what the model takes: its height and width, 8 bits a channel, one frame. If the model takes
many sizes, the image may be brought to one of them. Its colours are converted where nothing is lost: palettes, greys of
a colour model, colours that are all grey, an alpha channel that hides nothing. It is turned upright, as its EXIF
orientation says. No other metadata is read: a colour profile changes nothing.

Pillow is imported with the first image, because most servers and clients never see one.
"""

import io
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.image_checks import check_image
from vaeserve.rows.image_headers import Format, ImageFile
from vaeserve.rows.size_fit import SizeFit, fit_pixels

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile as PillowFile

Pixels = npt.NDArray[np.uint8]
"""[height, width, channels], or rows of them."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by channels
_CONVERTIBLE = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_UPRIGHT = {  # by EXIF orientation
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_FAST = 1  # compression level: a third of the default's time at 256 x 256, for a sixth more bytes


class Unfit(Exception):
    """An image is intact but does not fit; the message says why."""


def decode_image(
    content: bytes, field: str, spec: DataSpec, fit: SizeFit = "exact", size: PictureSize | None = None
) -> Pixels:
    """Returns an image's pixels, in the model's channels; `takes_images` must hold.

    Raises:
        InvalidInput: as of `decode_images`.
    """
    file, fitted = check_image(content, field, spec, fit, size)
    try:
        with open_image(file) as image:
            image.load()
            return fit_pixels(_pixels(upright(image, file), spec.channels), fitted)
    except Unfit as exc:
        raise InvalidInput(field, str(exc)) from exc
    except Exception as exc:  # Pillow does not document what it raises for malicious bytes
        raise InvalidInput(field, f"is not an intact {file.format}") from exc


def decode_images(
    images: Sequence[bytes],
    field: str,
    first_row: int,
    spec: DataSpec,
    *,
    fit: SizeFit = "exact",
    size: PictureSize | None = None,
) -> AnyArray:
    """Returns images as rows of data: [rows, *spec.shape] of spec.dtype, in [spec.minimum, spec.maximum].

    Args:
        images: one a row.
        field: what to call them in an error, which adds the row's number.
        first_row: number of the first.
        spec: the model's data; `takes_images` must hold.
        fit: how each is brought to a size that the model takes, if it takes many.
        size: of the rows, if the model takes many.

    Raises:
        InvalidInput: an image does not fit, or is cut short or altered.
    """
    pixels = [decode_image(image, f"{field}[{first_row + row}]", spec, fit, size) for row, image in enumerate(images)]
    return to_rows(np.stack(pixels), spec)


def to_rows(pixels: Pixels, spec: DataSpec) -> AnyArray:
    """Returns pixels as rows of data: of spec.dtype, 0..255 rescaled linearly to the spec's range."""
    if (spec.minimum, spec.maximum, spec.dtype) == (0, 255, "uint8"):
        return pixels
    return _levels(spec.minimum, spec.maximum, spec.dtype)[pixels]


def encode_images(rows: AnyArray, spec: DataSpec) -> list[bytes]:
    """Returns rows of data as PNG files; `takes_images` must hold."""
    return [png(picture, _FAST) for picture in to_pixels(rows, spec)]


def to_pixels(rows: AnyArray, spec: DataSpec) -> Pixels:
    """Returns rows rescaled linearly from the spec's range to 0..255; values past it are clipped, NaN is black."""
    if rows.dtype == np.uint8:
        shades: Pixels = _shades(spec.minimum, spec.maximum)[rows]
        return shades
    return _shade(rows, spec.minimum, spec.maximum)


def open_image(file: ImageFile) -> "Image":
    """Returns an image of which nothing is decoded yet.

    Raises:
        Unfit: Pillow reads another size than the header says. It has not allocated memory for the pixels yet.
    """
    image = _plugins()[file.format](io.BytesIO(file.content))
    if image.size != (file.width, file.height):
        raise Unfit(f"is {image.width} x {image.height} pixels, which contradicts its header")
    return image


def upright(image: "Image", file: ImageFile) -> "Image":
    """Returns a decoded image as it is to be seen."""
    from PIL.Image import Transpose

    return image if file.orientation == 1 else image.transpose(Transpose[_UPRIGHT[file.orientation]])


def png(picture: Pixels, compression: int = 6) -> bytes:
    """Returns a PNG of a picture of 1, 3 or 4 channels; compression goes from 0 to 9."""
    from PIL.Image import fromarray

    file = io.BytesIO()
    flat = picture[:, :, 0] if picture.shape[2] == 1 else picture
    fromarray(flat).save(file, "PNG", compress_level=compression)
    return file.getvalue()


@cache
def _plugins() -> "dict[Format, type[PillowFile]]":
    """Returns what opens each format. Not Image.open: it warns of large images before their size can be checked."""
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    return {"PNG": PngImageFile, "JPEG": JpegImageFile, "WebP": WebPImageFile}


def _pixels(image: "Image", channels: int) -> Pixels:
    """Returns an image's pixels in the channels asked for, where that loses nothing."""
    if image.mode == _MODES[channels] and "transparency" not in image.info:
        return np.asarray(image).reshape(image.height, image.width, channels)
    if image.mode not in _CONVERTIBLE:
        raise Unfit(f"has colours of mode {image.mode}, must have grey, RGB or RGBA")
    pixels = np.asarray(image.convert("RGBA"))
    if channels < 4 and pixels[:, :, 3].min() < 255:
        raise Unfit("has transparent pixels, the model has no alpha channel")
    if channels == 1 and (pixels[:, :, :1] != pixels[:, :, 1:3]).any():
        raise Unfit("has colours, must be grey")
    return pixels[:, :, :channels]


@lru_cache(maxsize=64)
def _levels(minimum: float, maximum: float, dtype: str) -> AnyArray:
    """Returns the value of each shade 0..255: [256]."""
    share = np.arange(256) / 255
    values = minimum * (1 - share) + maximum * share
    return (np.rint(values) if dtype == "uint8" else values).astype(dtype)


@lru_cache(maxsize=64)
def _shades(minimum: float, maximum: float) -> Pixels:
    """Returns the shade of each value 0..255: [256]."""
    return _shade(np.arange(256), minimum, maximum)


def _shade(values: AnyArray, minimum: float, maximum: float) -> Pixels:
    share = (values.astype(np.float64) - minimum) / (maximum - minimum)
    shades: npt.NDArray[np.float64] = np.rint(np.clip(np.nan_to_num(share), 0.0, 1.0) * 255.0)
    return shades.astype(np.uint8)
