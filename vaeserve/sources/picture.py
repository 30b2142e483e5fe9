"""One picture file -> pixels, turned upright and brought to a size and to grey or colour.

What a model is trained on and what is encoded later comes from here, so that both are the same bits. A colour profile
changes nothing.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from vaeserve.errors import InvalidInput
from vaeserve.package.bounded import read_regular
from vaeserve.package.data_spec import Fit
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable
from vaeserve.rows.image_headers import ImageFile, read_image_file
from vaeserve.rows.images import Pixels, Unfit, open_image, upright
from vaeserve.sources.bits import TRANSPARENT, WHITES, to_8_bits
from vaeserve.sources.tiff import is_tiff, open_tiff, read_tiff

MOST_PIXELS = 10**8  # of a picture; one takes 0.4 GB while it is decoded
MOST_FILE_BYTES = 2**30
MOST_BITS = 16
KINDS = "PNG, JPEG, WebP or TIFF"
_MODES = {1: "L", 3: "RGB"}  # by channels
_GREY, _COLOUR = ("1", "L", "LA"), ("P", "PA", "RGB", "RGBA")
_DRAFT = 3  # times the size asked for: so much of a JPEG's resolution is decoded, by far less work for photographs


class Wanted(NamedTuple):
    """What pictures are brought to."""

    size: tuple[int, int] | None = None  # (height, width)
    fit: Fit = "crop"
    channels: Literal[1, 3] | None = None
    """To convert to; None: grey stays grey and colour colour."""
    white: int | None = None
    """Value of a picture of 9 to 16 bits that becomes 255; None: such pictures are refused."""


class DecodedPicture(NamedTuple):
    """A picture, brought to what is wanted."""

    pixels: Pixels
    """[height, width, channels]."""
    brightest: int | None
    """Its largest value as it was stored in 9 to 16 bits; None if it has at most 8."""


def read_picture(path: Path, wanted: Wanted) -> DecodedPicture:
    """Returns a file's picture.

    Raises:
        InvalidInput: named by the path; it cannot be read, is not an intact PNG, JPEG, WebP or TIFF, or cannot be
            brought to what is wanted.
    """
    return decode_picture(read_file(path), printable(path), wanted)


def read_file(path: Path) -> bytes:
    """Returns what a picture's file holds.

    Raises:
        InvalidInput: named by the path; it is not a regular file, cannot be read, or is longer than any picture.
    """
    try:
        return read_regular(path, MOST_FILE_BYTES)
    except OSError as exc:
        raise InvalidInput(printable(path), f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise InvalidInput(printable(path), str(exc)) from exc


def picture_size(content: bytes, name: str) -> PictureSize:
    """Returns the size of a picture once it is upright, from its header alone.

    Raises:
        InvalidInput: named by `name`; its header is not that of a picture that is decoded.
    """
    try:
        width, height = _parse_header(content).upright_size
    except ValueError as exc:
        raise InvalidInput(name, str(exc)) from exc
    return PictureSize(height, width)


def parse_picture(content: bytes, name: str, wanted: Wanted) -> Pixels:
    """Returns a picture's pixels, from what its file holds. Raises InvalidInput as `decode_picture` does."""
    return decode_picture(content, name, wanted).pixels


def decode_picture(content: bytes, name: str, wanted: Wanted) -> DecodedPicture:
    """Returns the picture that a file holds.

    Raises:
        InvalidInput: named by `name`; it is not an intact PNG, JPEG, WebP or TIFF, or cannot be brought to what is
            wanted.
    """
    try:
        file = _parse_header(content)
        if file.bits > 8 and wanted.white is None:
            raise ValueError(f"has {file.bits} bits a channel, must have at most 8")
    except ValueError as exc:
        raise InvalidInput(name, str(exc)) from exc
    try:
        with open_tiff(file) if file.format == "TIFF" else open_image(file) as image:
            return _picture(image, file, wanted)
    except Unfit as exc:
        raise InvalidInput(name, str(exc)) from exc
    except Exception as exc:  # there is no list of what Pillow raises for bytes that were made to mislead
        raise InvalidInput(name, f"is not an intact {file.format}") from exc


def _parse_header(content: bytes) -> ImageFile:
    file = read_tiff(content) if is_tiff(content) else read_image_file(content, KINDS)
    if file.width * file.height > MOST_PIXELS:
        raise ValueError(f"is {file.width} x {file.height} pixels, at most {MOST_PIXELS} are decoded")
    if file.bits > MOST_BITS:
        raise ValueError(f"has {file.bits} bits a channel, must have at most {MOST_BITS}")
    if file.is_animated:
        raise ValueError("is animated, must be a single picture")
    return file


def _picture(image: Image.Image, file: ImageFile, wanted: Wanted) -> DecodedPicture:
    if wanted.size and wanted.fit != "exact":
        height, width = wanted.size if not file.is_sideways else wanted.size[::-1]
        image.draft(None, (_DRAFT * width, _DRAFT * height))
    image.load()
    image, brightest = (image, None) if file.bits <= 8 else to_8_bits(image, wanted.white or WHITES[-1])
    pixels = np.asarray(_resized(_converted(upright(image, file), wanted.channels), wanted))
    return DecodedPicture(pixels.reshape(*pixels.shape[:2], -1), brightest)


def _converted(image: Image.Image, channels: int | None) -> Image.Image:
    """Returns an image in grey or colour, without an alpha channel that hides nothing."""
    if channels is None:
        if image.mode not in _GREY + _COLOUR:
            raise Unfit(
                f"has colours of mode {image.mode}, must have grey or RGB; `vae train --channels` converts some others"
            )
        channels = 1 if image.mode in _GREY else 3
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise Unfit(TRANSPARENT)
    return image if image.mode == _MODES[channels] else image.convert(_MODES[channels])


def _resized(image: Image.Image, wanted: Wanted) -> Image.Image:
    if wanted.size is None or image.size == wanted.size[::-1]:
        return image
    size = wanted.size[::-1]  # as Pillow has it: (width, height)
    match wanted.fit:
        case "crop":
            return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        case "pad":
            if 0 in ImageOps.contain(image, size, Image.Resampling.NEAREST).size:
                raise Unfit(f"is {image.width} x {image.height} pixels: too narrow to be padded")
            return ImageOps.pad(image, size, Image.Resampling.LANCZOS)
        case "stretch":
            return image.resize(size, Image.Resampling.LANCZOS)
        case "exact":
            raise Unfit(f"is {image.width} x {image.height} pixels, not {size[0]} x {size[1]}")
