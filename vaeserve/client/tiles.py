"""Pictures in tiles: an approximate way to encode or decode pictures that are too large to be run whole.

A picture is cut into overlapping tiles of one size, which are rows of a call like any others. The answers are blended:
across an overlap the share of one tile falls linearly while that of the next one rises. The result is not that of the
whole picture, because normalisation and attention see one tile at a time: `difference` says how far off it is.

    tiles = Tiles(client.get_model(), tile=512)
    pictures = tiles.decode(client, latent)
"""

from collections.abc import Iterator, Sequence
from math import inf, log10
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.client.caller_rows import as_rows
from vaeserve.client.description import Model
from vaeserve.client.picture_sizes import LONGEST_SIDE
from vaeserve.client.scalars import integer
from vaeserve.client.verbs import BlockingVerbs
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array, brief
from vaeserve.package.sizes import PictureSize, factor_of

Floats = npt.NDArray[np.float32]
_Square = tuple[slice, slice]


class TilingDifference(NamedTuple):
    """How far a tiled answer is from the exact one."""

    largest: float
    """Largest difference of two values."""
    psnr: float
    """Peak signal-to-noise ratio, in dB, of the reach of the exact answer; infinite if both are equal, and minus
    infinity if only the exact one is the same everywhere."""


class Tiles:
    """Tiles of one size for the pictures of a model.

    Args:
        model: whose pictures have many sizes.
        tile: side of a tile, in pixels; a size that the model takes.
        overlap: share of a tile's side that it has in common with the next one, in [0, 0.5].

    Raises:
        InvalidInput: the model's pictures have one size, or it does not take tiles of that size.
    """

    def __init__(self, model: Model, tile: int, overlap: float = 0.25) -> None:
        sizes = model.data.sizes
        if sizes is None:
            raise InvalidInput("tile", f"is for pictures of many sizes; those of model {model.name} have one")
        tile = integer("tile", tile, LONGEST_SIDE)
        if not sizes.takes(PictureSize(tile, tile)):
            raise InvalidInput("tile", f"is {tile}, must be one of the {sizes.rule}")
        if not 0 <= overlap <= 0.5:
            raise InvalidInput("overlap", f"is {overlap:g}, must lie in [0, 0.5]")
        self._model, self._factor = model, factor_of(model.latent_shape)
        self._tile, self._overlap = tile // self._factor, overlap

    def decode(self, client: BlockingVerbs, latent: npt.ArrayLike) -> Array:
        """Returns the data of latents [rows, *latent shape], in the data's type.

        Raises:
            InvalidInput: the latents do not fit the model.
            CallError: the server or the network answered with an error.
        """
        model = self._model
        rows = model.latent.fit(as_rows(latent, "latent"), "latent")
        cut = _Tiling(rows.shape[2], rows.shape[3], self._tile, self._overlap)
        tiles = np.concatenate([rows[:, :, y, x] for y, x in cut.squares(1)])
        answers = client.decode(tiles, output="expectation", model=model.name, version=model.version).output
        whole = cut.blend(np.moveaxis(answers, -1, 1), self._factor)
        expectation = np.ascontiguousarray(np.moveaxis(whole, 1, -1))
        if model.data.dtype == "float32":
            return expectation
        return np.clip(np.rint(expectation), model.data.minimum, model.data.maximum).astype(np.uint8)

    def encode(self, client: BlockingVerbs, data: npt.ArrayLike) -> Floats:
        """Returns the mean latents of pictures [rows, height, width, channels].

        Raises:
            InvalidInput: the pictures do not fit the model.
            CallError: the server or the network answered with an error.
        """
        model = self._model
        rows = model.data.fit(as_rows(data, "data"), "data")
        cut = _Tiling(rows.shape[1] // self._factor, rows.shape[2] // self._factor, self._tile, self._overlap)
        tiles = np.concatenate([rows[:, y, x] for y, x in cut.squares(self._factor)])
        return cut.blend(client.encode(tiles, model=model.name, version=model.version).latent, 1)


def difference(tiled: Array, exact: Array) -> TilingDifference:
    """Returns how far the tiled answers of some rows are from the exact ones, data or latents.

    Raises:
        InvalidInput: they are not of the same rows, or there are none.
    """
    if tiled.shape != exact.shape or not exact.size:
        raise InvalidInput("tiled", f"has shape {brief(tiled.shape)}, the exact answer {brief(exact.shape)}")
    wide = exact.astype(np.float64)
    squared, reach = float(np.mean((tiled - wide) ** 2)), float(np.ptp(wide))
    return TilingDifference(float(np.abs(tiled - wide).max()), _psnr(squared, reach))


def _psnr(squared: float, reach: float) -> float:
    if not squared:
        return inf
    return 10 * log10(reach**2 / squared) if reach else -inf


class _Tiling:
    """Where the tiles of a picture lie, counted in places of its latent.

    Args:
        height, width: of the latent.
        tile: side of a tile; less where the latent is smaller.
        overlap: share of it that two neighbours have in common at least.
    """

    def __init__(self, height: int, width: int, tile: int, overlap: float) -> None:
        self._height, self._width = height, width
        self._high, self._wide = min(tile, height), min(tile, width)
        self._tops, self._lefts = (
            _starts(length, side, overlap) for length, side in ((height, self._high), (width, self._wide))
        )

    def squares(self, scale: int) -> Iterator[_Square]:
        """Yields the rows and columns of each tile, `scale` of them for each place of the latent."""
        for y in self._tops:
            for x in self._lefts:
                yield slice(y * scale, (y + self._high) * scale), slice(x * scale, (x + self._wide) * scale)

    def blend(self, answers: Array, scale: int) -> Floats:
        """Returns the whole: [rows, channels, height * scale, width * scale].

        Args:
            answers: those of all rows for the first tile, then for the next: [tiles * rows, channels, ...].
            scale: rows and columns of an answer for each place of the latent.
        """
        tiles = np.split(answers, len(self._tops) * len(self._lefts))
        whole = np.zeros((*tiles[0].shape[:2], self._height * scale, self._width * scale))
        counted = np.zeros(whole.shape[2:])
        downwards, across = _shares(self._tops, self._high, scale), _shares(self._lefts, self._wide, scale)
        shares = [np.outer(one, other) for one in downwards for other in across]
        for (y, x), share, tile in zip(self.squares(scale), shares, tiles, strict=True):
            whole[:, :, y, x] += share * tile
            counted[y, x] += share
        return (whole / counted).astype(np.float32)


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Returns where tiles begin along one side; the last one ends where the side ends."""
    return [*range(0, length - tile, max(1, round(tile * (1 - overlap)))), length - tile]


def _shares(starts: Sequence[int], tile: int, scale: int) -> list[npt.NDArray[np.float64]]:
    """Returns how much each tile counts along one side, [tile * scale]: less across an overlap, never nothing."""
    place, end = np.arange(tile * scale) + 0.5, tile * scale
    shares = []
    for number, start in enumerate(starts):
        share = np.ones(end)
        if number and (common := starts[number - 1] + tile - start):
            share = np.minimum(share, place / (common * scale))
        if number + 1 < len(starts) and (common := start + tile - starts[number + 1]):
            share = np.minimum(share, (end - place) / (common * scale))
        shares.append(share)
    return shares
