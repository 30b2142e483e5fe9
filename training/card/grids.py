"""Grids of images for a log that is watched while a model trains: no text, and no more than arrays."""

from typing import NamedTuple

from training.card.tiles import cells, layout
from vaeserve.command.pictures import pair, tile
from vaeserve.files import AnyArray
from vaeserve.package.manifest import DataSpec
from vaeserve.rows.images import Pixels

_LINES = 4  # of samples, or of pairs: enough to see a run go wrong


class Grids(NamedTuple):
    """Pictures of a model, [height, width, 3]."""

    reconstructions: Pixels
    """Lines of data, each above the line of its reconstructions."""
    samples: Pixels


def grids(rows: AnyArray, expectation: AnyArray, samples: AnyArray, spec: DataSpec) -> Grids:
    """Returns pictures of an image model; rows beyond those that fit are left out.

    Args:
        rows: data [rows, height, width, channels], one or more.
        expectation: their reconstructions, of the same shape.
        samples: expectations decoded from a prior, [samples, height, width, channels], one or more.
        spec: the range that becomes black to white.
    """
    columns = layout(spec).columns
    some = slice(columns * _LINES)
    return Grids(
        pair(cells(rows[some], spec), cells(expectation[some], spec), columns),
        tile(cells(samples[some], spec), columns),
    )
