"""`.npy` and `.npz` files, opened so that nothing that a file holds is run: objects are refused."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import MALFORMED, AnyArray
from vaeserve.printable import printable
from vaeserve.sources.room import refuse_too_large


@contextmanager
def numpy_errors(path: PurePath | str) -> Iterator[None]:
    """Turns what NumPy raises into an error that names the file, by its path or its URL."""
    suffix = PurePath(path).suffix
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that an old Python wrote
            yield
    except MALFORMED as exc:
        if "object" in str(exc).lower():
            problem = "holds Python objects, which are never read: they could run anything"
        else:
            problem = f"is not an intact {suffix} file of plain values"
        raise InvalidInput(printable(path), f"{problem}") from exc
    except OSError as exc:
        if exc.errno in (None, errno.EINVAL):  # bz2's own, and a place outside the file
            raise InvalidInput(printable(path), f"is not an intact {suffix} file of plain values") from exc
        raise InvalidInput(printable(path), f"cannot be read: {exc.strerror}") from exc


def check_start(file: BinaryIO, expected: bytes) -> None:
    """Makes sure that a file begins as its name says, because NumPy takes any other beginning for a pickle."""
    if file.read(len(expected)) != expected:
        raise ValueError("begins otherwise")
    file.seek(0)


class Header(NamedTuple):
    """What the header of a `.npy` file tells of its array."""

    shape: tuple[int, ...]
    is_fortran: bool
    """Whether the first axis is the one that lies closest in the file."""
    dtype: np.dtype[Any]


def read_header(file: IO[bytes]) -> Header:
    """Returns what the header of an open `.npy` file tells; the values follow it."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header = Header(*read(file))
    if header.dtype.hasobject:
        raise ValueError("holds Python objects")
    return header


def member(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> AnyArray:
    """Returns an array of an open archive.

    Raises:
        InvalidInput: named by the path; it is too large for this machine, or is not an array.
    """
    members = archive.zip.infolist() if archive.zip else []
    sizes = [info.file_size for info in members if info.filename in (key, f"{key}.npy")]
    refuse_too_large(max(sizes, default=0), path)
    array = archive[key]
    if not isinstance(array, np.ndarray):
        raise InvalidInput(printable(path), f"{printable(key)} is not an array")
    return array
