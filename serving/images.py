"""Images of calls, decoded and encoded on a few threads of their own, so that the event loop goes on reading.

A call's images are done a slice at a time, and calls take turns: thousands of images of one call do not hold up the few
of another. A call that is cancelled stops after its slice.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np

from vae.errors import Overloaded
from vae.images import decode_images, encode_images
from vae.manifest import DataSpec
from vae.tensors import Array

_SLICE_ROWS, _SLICE_PIXELS = 64, 2**17  # some milliseconds, whether images are small or large
_LEAST_RETRY_SECONDS = 0.01


class Images:
    """Decodes and encodes images off the event loop.

    Args:
        threads: how many.
        limit_bytes: most bytes of decoded rows that calls may hold here; beyond it they are refused. One call always
            fits.
    """

    def __init__(self, threads: int, limit_bytes: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "images")
        self._threads = threads
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._seconds_per_byte = 0.0

    async def decode(self, images: Sequence[bytes], field: str, spec: DataSpec) -> Array:
        """Returns images as rows of data: [rows, *spec.shape] of spec.dtype.

        Raises:
            InvalidInput: an image is not what the model takes; names the field and the row.
            Overloaded: too many images wait.
        """
        rows = np.empty((len(images), *spec.shape), spec.dtype)

        def decode(part: slice) -> None:
            rows[part] = decode_images(images[part], field, part.start, spec)

        await self._work(decode, len(images), spec)
        return rows

    async def encode(self, rows: Array, spec: DataSpec) -> list[bytes]:
        """Returns rows of data as PNG files.

        Raises:
            Overloaded: too many images wait.
        """
        files: list[bytes] = []
        await self._work(lambda part: files.extend(encode_images(rows[part], spec)), len(rows), spec)
        return files

    async def _work(self, work: Callable[[slice], None], rows: int, spec: DataSpec) -> None:
        """Does the work for all rows, a slice at a time."""
        row_bytes = spec.size * np.dtype(spec.dtype).itemsize
        size = rows * row_bytes
        if self._held_bytes and self._held_bytes + size > self._limit_bytes:
            seconds = self._held_bytes * self._seconds_per_byte / self._threads
            raise Overloaded("too many images wait to be decoded or encoded", max(seconds, _LEAST_RETRY_SECONDS))
        loop, step = asyncio.get_running_loop(), max(1, min(_SLICE_ROWS, _SLICE_PIXELS // prod(spec.shape[:2])))
        self._held_bytes += size
        try:
            for start in range(0, rows, step):
                part = slice(start, min(start + step, rows))
                seconds = await loop.run_in_executor(self._pool, _timed, work, part)
                self._seconds_per_byte = seconds / (row_bytes * (part.stop - start))
        finally:
            self._held_bytes -= size


def _timed(work: Callable[[slice], None], part: slice) -> float:
    began = time.perf_counter()
    work(part)
    return time.perf_counter() - began
