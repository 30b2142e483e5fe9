"""Rows of images -> one PNG: a grid of cells, or originals above their reconstructions."""

import math

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.rows.images import Pixels, png, to_pixels

_CELL = 48  # pixels; smaller images are enlarged to about this
_GAP = 2  # pixels between cells
_BACKGROUND = 96  # grey: neither the black nor the white of a picture


def grid_png(rows: AnyArray, spec: DataSpec) -> bytes:
    """Returns a PNG that shows every row, in reading order, in an about square grid.

    Args:
        rows: [rows, height, width, channels], data or expectation, with 1 or 3 channels.
        spec: the range that becomes black to white; values past it are clipped.

    Raises:
        InvalidInput: the rows are not images of this spec.
    """
    pixels = _pixels(rows, spec)
    return png(tile(pixels, math.ceil(math.sqrt(len(pixels)))))


def pairs_png(originals: AnyArray, reconstructions: AnyArray, spec: DataSpec, *, columns: int = 16) -> bytes:
    """Returns a PNG with each line of originals above the line of their reconstructions.

    Args:
        originals: [rows, height, width, channels], with 1 or 3 channels.
        reconstructions: as many, of the same shape.
        spec: the range that becomes black to white; values past it are clipped.
        columns: images side by side.

    Raises:
        InvalidInput: the rows are not images of this spec, or their numbers differ.
    """
    above, below = _pixels(originals, spec), _pixels(reconstructions, spec)
    if len(above) != len(below):
        raise InvalidInput("reconstructions", f"are {len(below)}, must be as many as the {len(above)} originals")
    return png(pair(above, below, columns))


def pair(above: Pixels, below: Pixels, columns: int) -> Pixels:
    """Returns lines of cells [cells, height, width, channels], each above the line of its partners."""
    columns = min(columns, len(above))
    lines = []
    for start in range(0, len(above), columns):
        line = slice(start, start + columns)
        lines.append(tile(np.concatenate([_fill(above[line], columns), below[line]]), columns))
    return _stack(lines)


def tile(cells: Pixels, columns: int) -> Pixels:
    """Returns cells [cells, height, width, channels] side by side, `columns` a line: [height, width, channels]."""
    cells = _fill(cells, columns)
    framed = np.pad(cells, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=_BACKGROUND)
    count, height, width, channels = framed.shape
    lines = framed.reshape(count // columns, columns, height, width, channels).swapaxes(1, 2)
    return lines.reshape(count // columns * height, columns * width, channels)[:-_GAP, :-_GAP]


def _pixels(rows: AnyArray, spec: DataSpec) -> Pixels:
    """Returns rows rescaled linearly from the spec's range to 0..255, and enlarged."""
    if spec.kind != "image":
        raise InvalidInput("rows", f"are those of a {spec.kind} and cannot be drawn: write .npy or .npz")
    if rows.shape[1:] != spec.shape or len(rows) == 0:
        raise InvalidInput("rows", f"of shape {list(rows.shape)} are not images of shape {list(spec.shape)}")
    if spec.shape[2] not in (1, 3):
        raise InvalidInput("rows", f"have {spec.shape[2]} channels; a picture shows 1 or 3")
    pixels = to_pixels(rows, spec)
    enlarge = max(1, round(_CELL / max(spec.shape[:2])))
    return pixels.repeat(enlarge, axis=1).repeat(enlarge, axis=2)  # nearest neighbour


def _fill(cells: Pixels, columns: int) -> Pixels:
    """Returns cells with empty ones appended, so that they fill whole lines."""
    missing = -len(cells) % columns
    return np.concatenate([cells, np.full((missing, *cells.shape[1:]), _BACKGROUND, np.uint8)])


def _stack(blocks: list[Pixels]) -> Pixels:
    """Returns blocks of one width below each other, set apart by a wider gap."""
    apart = np.full((4 * _GAP, *blocks[0].shape[1:]), _BACKGROUND, np.uint8)
    return np.concatenate([part for block in blocks for part in (apart, block)][1:])
