"""Labelled blocks of cells on one page."""

from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.card.tiles import GAP
from vaeserve.rows.images import Pixels

_APART = 10  # pixels between groups of cells
_MARGIN = 8
_TEXT_HEIGHT = 13  # pixels
_INK = (64, 64, 64)
_PAPER = (255, 255, 255)


class Block(NamedTuple):
    """Lines of cells with labels."""

    cells: Pixels  # [lines, columns, height, width, 3]
    heading: str = ""
    line_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()
    new_lines: tuple[int, ...] = ()
    """Lines that begin a group, with a gap before each."""
    new_columns: tuple[int, ...] = ()
    """Columns that begin a group."""


class _Placed(NamedTuple):
    """Positions of a block, in pixels of its page."""

    heading_y: int
    column_labels_y: int
    ys: list[int]
    xs: list[int]
    bottom: int
    right: int


def sheet(blocks: list[Block]) -> Pixels:
    """Returns blocks stacked on a white page, [height, width, 3]."""
    left = _MARGIN + max(_label_width(block) for block in blocks)
    placed, top = [], _MARGIN
    for block in blocks:
        placed.append(_place(block, left, top))
        top = placed[-1].bottom + _APART
    right = max(max(place.right, left + _width(block.heading)) for block, place in zip(blocks, placed, strict=True))
    page = Image.new("RGB", (right + _MARGIN, placed[-1].bottom + _MARGIN), _PAPER)
    for block, place in zip(blocks, placed, strict=True):
        _draw(page, block, place, left)
    return np.asarray(page)


def fitted(label: str, width: int) -> str:
    """Returns the label of a column, cut to the width of a cell in pixels."""
    short = label
    while _width(short) > width + GAP and len(short) > 2:
        short = f"{short[:-2]}\N{HORIZONTAL ELLIPSIS}"
    return short


def _place(block: Block, left: int, top: int) -> _Placed:
    line = _TEXT_HEIGHT + 6
    labels = top + (line if block.heading else 0)
    first = labels + (line if block.column_labels else 0)
    lines, columns, height, width, _ = block.cells.shape
    ys, xs = _corners(lines, height, block.new_lines, first), _corners(columns, width, block.new_columns, left)
    return _Placed(top, labels, ys, xs, ys[-1] + height, xs[-1] + width)


def _corners(count: int, size: int, groups: tuple[int, ...], start: int) -> list[int]:
    """Returns where each cell begins along one axis."""
    steps = [start, *(size + (_APART if number in groups else GAP) for number in range(1, count))]
    return list(accumulate(steps))


def _draw(page: Image.Image, block: Block, place: _Placed, left: int) -> None:
    draw = ImageDraw.Draw(page)
    draw.text((left, place.heading_y), block.heading, _INK, _font(), anchor="lt")
    height, width = block.cells.shape[2:4]
    for label, x in zip(block.column_labels, place.xs, strict=False):
        draw.text((x + width / 2, place.column_labels_y), label, _INK, _font(), anchor="mt")
    for label, y in zip(block.line_labels, place.ys, strict=False):
        draw.text((left - 8, y + height / 2), label, _INK, _font(), anchor="rm")
    for line, y in zip(block.cells, place.ys, strict=True):
        for cell, x in zip(line, place.xs, strict=True):
            page.paste(Image.fromarray(cell), (x, y))


def _label_width(block: Block) -> int:
    return max((_width(label) + 8 for label in block.line_labels), default=0)


def _width(text: str) -> int:
    return int(_font().getlength(text)) + 1


@cache
def _font() -> ImageFont.FreeTypeFont:
    """Returns the font of the charts. Its basic layout is the same on every machine."""
    path = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), _TEXT_HEIGHT, layout_engine=ImageFont.Layout.BASIC)
