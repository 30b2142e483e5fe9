"""StoredArray: rows of an array that lies in an open file, of which only those asked for are read."""

from math import prod
from typing import IO, NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray


class ArrayLayout(NamedTuple):
    """How an array lies in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    start: int
    """Bytes before its first value."""
    is_fortran: bool = False
    """Whether the values of one column follow each other, not those of one row."""
    is_within: bool = False
    """Whether other things may follow it in the file."""
    is_bfloat16: bool = False
    """Whether what `dtype` calls uint16 is the upper half of a float32."""

    @property
    def bytes(self) -> int:
        """How many bytes it takes."""
        return prod(self.shape) * self.dtype.itemsize


class StoredArray:
    """An array in a file.

    Args:
        file: the file. To seek ahead in a compressed one reads it up to there.
        layout: how the array lies in it.
        name: what messages call the file.
    """

    def __init__(self, file: IO[bytes], layout: ArrayLayout, name: str) -> None:
        self._file = file
        self._layout = layout
        self._name = name

    @property
    def shape(self) -> tuple[int, ...]:
        """[rows, ...]."""
        return self._layout.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """As it lies in the file."""
        return self._layout.dtype

    def read(self, start: int, stop: int) -> AnyArray:
        """Returns rows.

        Raises:
            InvalidInput: named by `name`; the file is cut short.
        """
        layout = self._layout
        if not layout.is_fortran or len(layout.shape) < 2:
            row = prod(layout.shape[1:])
            values = self._values(start * row, (stop - start) * row).reshape(stop - start, *layout.shape[1:])
        else:
            inner = layout.shape[:0:-1]  # as they lie in the file: the last axis first
            columns = [self._values(column * layout.shape[0] + start, stop - start) for column in range(prod(inner))]
            values = np.stack(columns).reshape(*inner, stop - start).transpose()
        return _from_bfloat16(values) if layout.is_bfloat16 else values

    def check_end(self) -> None:
        """Makes sure that all values are there, by reading a compressed file to the end.

        Raises:
            InvalidInput: named by `name`; the file is cut short or goes on.
        """
        size = self._layout.bytes
        self._file.seek(self._layout.start + max(size - 1, 0))
        follows = len(self._file.read(2)) - min(size, 1)
        if follows < 0 or (follows and not self._layout.is_within):
            problem = "is cut short" if follows < 0 else "goes on after its end"
            raise InvalidInput(self._name, f"{problem}: its header says {self.dtype} {list(self.shape)}")

    def _values(self, first: int, count: int) -> AnyArray:
        size = self._layout.dtype.itemsize
        self._file.seek(self._layout.start + first * size)
        content = self._file.read(count * size)
        if len(content) != count * size:
            raise InvalidInput(self._name, "is cut short")
        return np.frombuffer(content, self._layout.dtype)


def _from_bfloat16(values: AnyArray) -> AnyArray:
    return (values.astype(np.uint32) << 16).view(np.float32)
