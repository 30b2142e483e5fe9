"""Images of calls, decoded and encoded on a few threads of their own, so that the event loop stays free.

A call's images are processed a slice at a time, and calls take turns: thousands of images of one call do not hold up
the few of another. A cancelled call stops after its slice.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.image_checks import image_places
from vaeserve.rows.images import decode_images, encode_images
from vaeserve.rows.size_fit import PicturePlace, SizeFit

_SLICE_ROWS, _SLICE_PIXELS = 64, 2**17  # some milliseconds, whether images are small or large


class Images:
    """Decodes and encodes images off the event loop.

    Args:
        threads: number of threads.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "images")

    async def decode(
        self,
        images: Sequence[bytes],
        field: str,
        spec: DataSpec,
        fit: SizeFit = "exact",
        size: PictureSize | None = None,
    ) -> Array:
        """Returns images as rows of data: [rows, *spec.shape] of spec.dtype.

        Args:
            images: at least one.
            field: what to call them in an error.
            spec: the model's data.
            fit: how each is brought to a size that the model takes, where sizes are free.
            size: of the rows, where sizes are free.

        Raises:
            InvalidInput: an image does not fit the model; names the field and the row.
        """
        shape = spec.at(size).shape
        rows = np.empty((len(images), *shape), spec.dtype)

        def decode(part: slice) -> None:
            rows[part] = decode_images(images[part], field, part.start, spec, fit=fit, size=size)

        await self._work(decode, len(images), shape[0] * shape[1])
        return rows

    async def places(self, images: Sequence[bytes], size: PictureSize) -> list[PicturePlace]:
        """Returns where each of some images that were decoded lies in its row."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, image_places, images, size)

    async def encode(self, rows: Array, spec: DataSpec) -> list[bytes]:
        """Returns rows of data as PNG files."""
        files: list[bytes] = []
        pixels = rows.shape[1] * rows.shape[2]
        await self._work(lambda part: files.extend(encode_images(rows[part], spec)), len(rows), pixels)
        return files

    def close(self) -> None:
        """Ends the threads once they are idle. Images that are not begun are left."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _work(self, work: Callable[[slice], None], rows: int, row_pixels: int) -> None:
        """Does the work for all rows, a slice at a time."""
        loop, step = asyncio.get_running_loop(), max(1, min(_SLICE_ROWS, _SLICE_PIXELS // row_pixels))
        for start in range(0, rows, step):
            await loop.run_in_executor(self._pool, work, slice(start, min(start + step, rows)))
