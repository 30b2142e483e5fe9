"""A picture of the card: pixels, and what a reader is told of them."""

import io
from typing import NamedTuple

from PIL import Image

from vaeserve.rows.images import Pixels

_HEAVY = 160_000  # bytes; a heavier file is written in 256 colours


class Picture(NamedTuple):
    """One picture and its words."""

    title: str
    file: str
    pixels: Pixels  # [height, width, 3]
    caption: str
    """One or two sentences, in Markdown."""


def to_png(pixels: Pixels) -> bytes:
    """Returns a PNG file, the same bytes for the same pixels: grey where they are, in 256 colours where it is heavy."""
    image = Image.fromarray(pixels)
    if (pixels == pixels[:, :, :1]).all():
        image = image.convert("L")
    content = _saved(image)
    return content if len(content) <= _HEAVY else min(content, _saved(image.quantize(256)), key=len)


def _saved(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
