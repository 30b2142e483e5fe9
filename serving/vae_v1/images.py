"""Images of calls, decoded and encoded on a few threads of their own, so that the event loop stays free.

A call's images are processed a slice at a time, and calls take turns: thousands of images of one call do not hold up
the few of another. A cancelled call stops after its slice.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np

from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array
from vaeserve.rows.images import decode_images, encode_images

_SLICE_ROWS, _SLICE_PIXELS = 64, 2**17  # some milliseconds, whether images are small or large


class Images:
    """Decodes and encodes images off the event loop.

    Args:
        threads: number of threads.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "images")

    async def decode(self, images: Sequence[bytes], field: str, spec: DataSpec) -> Array:
        """Returns images as rows of data: [rows, *spec.shape] of spec.dtype.

        Raises:
            InvalidInput: an image does not fit the model; names the field and the row.
        """
        rows = np.empty((len(images), *spec.shape), spec.dtype)

        def decode(part: slice) -> None:
            rows[part] = decode_images(images[part], field, part.start, spec)

        await self._work(decode, len(images), spec)
        return rows

    async def encode(self, rows: Array, spec: DataSpec) -> list[bytes]:
        """Returns rows of data as PNG files."""
        files: list[bytes] = []
        await self._work(lambda part: files.extend(encode_images(rows[part], spec)), len(rows), spec)
        return files

    def close(self) -> None:
        """Ends the threads once they are idle. Images that are not begun are left."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _work(self, work: Callable[[slice], None], rows: int, spec: DataSpec) -> None:
        """Does the work for all rows, a slice at a time."""
        loop, step = asyncio.get_running_loop(), max(1, min(_SLICE_ROWS, _SLICE_PIXELS // prod(spec.shape[:2])))
        for start in range(0, rows, step):
            await loop.run_in_executor(self._pool, work, slice(start, min(start + step, rows)))
