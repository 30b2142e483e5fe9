"""A picture of the card: pixels with a title and a caption."""

import io
from typing import NamedTuple

from PIL import Image

from vaeserve.rows.images import Pixels

_LARGE = 160_000  # bytes; a larger file is written in 256 colours


class Picture(NamedTuple):
    """One picture with its title and caption."""

    title: str
    file: str
    pixels: Pixels  # [height, width, 3]
    caption: str
    """One or two sentences, in Markdown."""


def to_png(pixels: Pixels) -> bytes:
    """Returns a PNG file. Equal pixels give equal bytes; grey pixels give a grey file, a large file has 256 colours."""
    image = Image.fromarray(pixels)
    if (pixels == pixels[:, :, :1]).all():
        image = image.convert("L")
    content = _saved(image)
    return content if len(content) <= _LARGE else min(content, _saved(image.quantize(256)), key=len)


def _saved(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
