"""RowMemory: how much memory a row takes to run, where pictures have many sizes, and what of it there is.

A package says how the memory of its graphs grows with the size. What ONNX Runtime really takes is measured when the
model is loaded, at two small sizes, and the rest is in proportion.
"""

from collections.abc import Callable, Hashable, Sequence
from math import ceil
from typing import Literal, NamedTuple

from vaeserve.package.footprints import Footprint, bytes_at, pixels_within
from vaeserve.package.sizes import PictureSize, PictureSizes

_MINIMUM_FACTOR, _MAXIMUM_FACTOR = 1.0, 3.0  # what is measured beside other work may be far off
UNMEASURED_FACTOR = 1.5
_NOISE_BYTES = 16 * 2**20  # of a measured peak: a smaller one says little of how memory grows

SizedGraph = Literal["encoder", "decoder"]
"""The graphs whose memory follows the size of pictures."""


class GraphMemory(NamedTuple):
    """The memory that one graph takes for a row."""

    footprints: Sequence[Footprint]
    """By the size of the picture; empty: not known."""
    factor: float = 1.0
    """What a run takes over what they say."""

    def bytes_of(self, size: PictureSize) -> int:
        """Returns the memory of a row of a size; 0: not known."""
        return round(self.factor * bytes_at(self.footprints, size.pixels)) if len(self.footprints) > 1 else 0


class RowMemory(NamedTuple):
    """The memory that rows take, and how much one batch may take."""

    encoder: GraphMemory
    decoder: GraphMemory
    budget: int
    """Of one batch; 0: not known."""

    def of(self, graph: SizedGraph) -> GraphMemory:
        """Returns the memory of one of the graphs."""
        return self.encoder if graph == "encoder" else self.decoder

    def maximum_pixels(self, graph: GraphMemory, sizes: PictureSizes) -> int:
        """Returns the maximum number of pixels of a row; 0: no other limit than that of the sizes."""
        unlimited = sizes.maximum**2
        if not self.budget or len(graph.footprints) < 2:
            return 0
        fitting = pixels_within(graph.footprints, int(self.budget / graph.factor), unlimited)
        return 0 if fitting == unlimited else max(fitting, sizes.smallest.pixels)

    def weigher(self, graphs: Sequence[GraphMemory], sizes: PictureSizes, batch_rows: int) -> Callable[[Hashable], int]:
        """Returns what weighs a row by its size: how many rows of the smallest size it counts as in a batch.

        It counts by its pixels, or by its share of the memory if that is more.

        Args:
            graphs: those that run the row.
            sizes: that pictures may have.
            batch_rows: maximum rows of the smallest size in a batch.
        """

        def weigh(size: Hashable) -> int:
            if not isinstance(size, PictureSize):
                return 1
            row_bytes = max(graph.bytes_of(size) for graph in graphs)
            return max(sizes.weight(size), ceil(batch_rows * row_bytes / self.budget) if self.budget else 1)

        return weigh


def learned(footprints: Sequence[Footprint], peaks: Sequence[tuple[PictureSize, int | None]]) -> GraphMemory:
    """Returns the memory of a graph, from what its package says and what was measured.

    Args:
        footprints: the package's; empty: the measured peaks alone count.
        peaks: what runs of one row took at two sizes, the smaller first, or twice at the only one; None: the system
            does not say.
    """
    (small, less), (large, more) = peaks
    if less is None or more is None or more <= less or small == large:
        return GraphMemory(footprints, UNMEASURED_FACTOR)
    if len(footprints) < 2:
        share = small.pixels / large.pixels  # memory grows with the pixels at least, and at most with their square
        lowest = share if more < _NOISE_BYTES else share**2
        less = round(min(max(less, more * lowest, 1), max(more * share, 1)))
        return GraphMemory([Footprint(pixels=small.pixels, bytes=less), Footprint(pixels=large.pixels, bytes=more)])
    expected = bytes_at(footprints, large.pixels) - bytes_at(footprints, small.pixels)
    return GraphMemory(footprints, min(max((more - less) / max(1, expected), _MINIMUM_FACTOR), _MAXIMUM_FACTOR))
