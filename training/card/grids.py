"""Grids of images for the training log: arrays without text."""

from typing import NamedTuple

from training.card.tiles import cells, layout
from vaeserve.command.pictures import pair, tile
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.rows.images import Pixels

_LINES = 4  # lines of samples or of pairs: enough to see that a run goes wrong


class Grids(NamedTuple):
    """Pictures of a model, each [height, width, 3]."""

    reconstructions: Pixels
    """Lines of data, each above the line of its reconstructions."""
    samples: Pixels


def grids(rows: AnyArray, expectation: AnyArray, samples: AnyArray, spec: DataSpec) -> Grids:
    """Returns pictures of an image model. Rows that do not fit are left out.

    Args:
        rows: data [rows, height, width, channels], at least one row.
        expectation: their reconstructions, of the same shape.
        samples: expectations decoded from a prior, [samples, height, width, channels], at least one.
        spec: description of a row; its range becomes black to white.
    """
    columns = layout(spec).columns
    some = slice(columns * _LINES)
    return Grids(
        pair(cells(rows[some], spec), cells(expectation[some], spec), columns),
        tile(cells(samples[some], spec), columns),
    )
