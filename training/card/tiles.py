"""Images as cells of one size."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.rows.images import Pixels, to_pixels

GAP = 2  # pixels between cells
_SIDE = 56  # pixels; smaller images are enlarged to about this size
_LONGEST = 96  # pixels; larger images are shrunk to this size
_WIDTH = 840  # maximum width of cells side by side, in pixels: about the width of a README
_STORED = 250_000  # maximum number of pixels before enlarging: about the bytes of the file


class Layout(NamedTuple):
    """How many cells fit in a picture."""

    columns: int
    lines: int


def layout(spec: DataSpec) -> Layout:
    """Returns how many images fit side by side, and how many lines of them keep the file small."""
    height, width = _cell_size(spec)
    columns = max(2, _WIDTH // (width + GAP))
    stored = min(height, spec.shape[0]) * min(width, spec.shape[1])
    return Layout(columns, max(2, _STORED // (columns * stored)))


def cells(rows: AnyArray, spec: DataSpec) -> Pixels:
    """Returns images as cells [rows, height, width, 3].

    The range of the spec becomes black to white. Small images are enlarged by a whole factor, large images are shrunk.
    Images with neither 1 nor 3 channels show the mean of their channels in grey.
    """
    pixels = to_pixels(rows, spec)
    if pixels.shape[3] != 3:
        grey = pixels if pixels.shape[3] == 1 else np.rint(pixels.mean(3, keepdims=True)).astype(np.uint8)
        pixels = grey.repeat(3, axis=3)
    factor = _factor(spec)
    if factor < 1:
        return _shrunk(pixels, *_cell_size(spec))
    return pixels.repeat(int(factor), axis=1).repeat(int(factor), axis=2)  # nearest neighbour


def _factor(spec: DataSpec) -> float:
    longest = max(spec.shape[:2])
    return _LONGEST / longest if longest > _LONGEST else max(1, round(_SIDE / longest))


def _cell_size(spec: DataSpec) -> tuple[int, int]:
    height, width = (max(1, round(side * _factor(spec))) for side in spec.shape[:2])
    return height, width


def _shrunk(pixels: Pixels, height: int, width: int) -> Pixels:
    size = (width, height)
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)) for image in pixels])
