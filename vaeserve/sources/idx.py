"""The format of the original MNIST files: a header of big-endian numbers, then bytes; perhaps compressed by gzip."""

import gzip
import io
import struct
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.printable import printable
from vaeserve.sources.room import refuse_too_large

_UNSIGNED_BYTES = 8
_GZIP = b"\x1f\x8b"
_CHUNK = 2**20  # bytes read at a time, so that a header that lies costs no memory


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Returns a file's array, which has so many dimensions.

    Raises:
        InvalidInput: named by the path; the file cannot be read, is of another kind, or is not as long as its
            header says.
    """
    try:
        with path.open("rb") as file:
            return parse_idx(file, printable(path), dimensions)
    except OSError as exc:
        raise InvalidInput(printable(path), f"cannot be read: {exc.strerror}") from exc


def parse_idx(file: BinaryIO, name: str, dimensions: int) -> npt.NDArray[np.uint8]:
    """Returns the array of an open file, which an error calls by `name`.

    Raises:
        InvalidInput: named by the path; as `read_idx`.
    """
    try:
        return _parse(inflated(file), name, dimensions)
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise InvalidInput(name, "is not an intact gzip file, or is cut short") from exc


def inflated(file: BinaryIO) -> BinaryIO:
    """Returns an open file as it is or, if gzip has compressed it, what it holds."""
    start = file.read(len(_GZIP))
    file.seek(0)
    return io.BufferedReader(gzip.GzipFile(fileobj=file)) if start == _GZIP else file


def idx_shape(file: BinaryIO, name: str, dimensions: int) -> tuple[int, ...]:
    """Returns what the header of an open file tells; the values follow it.

    Raises:
        InvalidInput: named by `name`; the file is of another kind, or is cut short.
    """
    head = file.read(4 + 4 * dimensions)
    magic = bytes((0, 0, _UNSIGNED_BYTES, dimensions))
    if not head:
        raise InvalidInput(name, "is empty")
    if head[:4] != magic:
        raise InvalidInput(name, f"begins with {head[:4].hex()}, an IDX file of this kind with {magic.hex()}")
    if len(head) < 4 + 4 * dimensions:
        raise InvalidInput(name, "is cut short in its header")
    shape = struct.unpack(f">{dimensions}i", head[4:])
    if min(shape) < 0:
        raise InvalidInput(name, f"has a negative count in its header: {list(shape)}")
    return shape


def _parse(file: BinaryIO, name: str, dimensions: int) -> npt.NDArray[np.uint8]:
    shape = idx_shape(file, name, dimensions)
    size = prod(shape)
    if not size:
        raise InvalidInput(name, f"is empty: its header says {list(shape)}")
    refuse_too_large(size, name)
    content = bytearray()
    while len(content) <= size and (chunk := file.read(min(_CHUNK, size + 1 - len(content)))):
        content += chunk
    if len(content) != size:
        problem = "is cut short" if len(content) < size else "goes on after its end"
        raise InvalidInput(name, f"{problem}: its header says {list(shape)}, {size} bytes")
    return np.frombuffer(content, np.uint8).reshape(shape)
