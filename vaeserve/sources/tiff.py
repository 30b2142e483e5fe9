"""TIFF files of one page -> what their header says, and an image upright; through Pillow."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from vaeserve.rows.image_headers import ImageFile
from vaeserve.rows.images import Unfit
from vaeserve.sources.libtiff import refusing_what_libtiff_finds_broken

SIGNATURES = (b"II*\0", b"MM\0*")
_WIDTH, _HEIGHT, _BITS, _MEANING, _ORIENTATION = 256, 257, 258, 262, 274  # tags
_WHITE_IS_ZERO, _SIDEWAYS = 0, range(5, 9)  # values of two of them
logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Python prints what Pillow logs before it raises it
_OPENING = Lock()  # because which warnings are silenced is one setting for all threads


def is_tiff(content: bytes) -> bool:
    """Whether a file begins as TIFF files do."""
    return content.startswith(SIGNATURES)


def read_tiff(content: bytes) -> ImageFile:
    """Reads the header of a TIFF file. Its width and height are those of the upright picture.

    Raises:
        ValueError: it is cut short, has several pages, or stores white as 0 in more than 8 bits.
    """
    try:
        with _opened(content) as image:
            tags, has_more_pages = image.tag_v2, image.is_animated  # not counted, because that may take hours
            width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
            bits = max(tags.get(_BITS, (1,)))
    except Exception as exc:  # there is no list of what Pillow raises for bytes that were made to mislead
        raise ValueError("is not an intact TIFF") from exc
    if has_more_pages:
        raise ValueError("holds several pages, must be a single picture")
    if bits > 8 and tags.get(_MEANING) == _WHITE_IS_ZERO:
        raise ValueError(f"stores white as 0 in {bits} bits a channel, which is not read")
    if tags.get(_ORIENTATION) in _SIDEWAYS:
        width, height = height, width
    return ImageFile("TIFF", width, height, bits, False, content)


@contextmanager
def open_tiff(file: ImageFile) -> Iterator[Image.Image]:
    """Opens a decoded image, turned upright.

    Raises:
        Unfit: Pillow reads another size than the header says.
        ValueError: libtiff finds it broken.
    """
    with _opened(file.content) as image:
        with _without_warnings():
            image.getexif()  # and the room for the picture: `load` takes both as they are
            image.load_prepare()
        with refusing_what_libtiff_finds_broken():
            image.load()
        upright = ImageOps.exif_transpose(image)  # newer versions of Pillow have done so already
        if upright.size != (file.width, file.height):
            raise Unfit(f"is {upright.width} x {upright.height} pixels, which contradicts its header")
        yield upright


def _opened(content: bytes) -> TiffImageFile:
    """Returns an image of which nothing is decoded yet."""
    with _without_warnings():
        return TiffImageFile(io.BytesIO(content))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences Pillow's warnings about tags, and about sizes that are checked here."""
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
