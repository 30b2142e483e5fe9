"""`.npy` and `.npz` files, opened so that nothing that a file holds is run: objects are refused."""

import errno
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path, PurePath
from typing import IO, Any, BinaryIO, Final, Literal, NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import MALFORMED, NPY_MAGIC, AnyArray, read_array
from vaeserve.printable import printable
from vaeserve.sources import room
from vaeserve.sources.room import refuse_too_large

_LOCAL_HEADER_BYTES: Final = 30


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


def npy_array(path: Path) -> AnyArray:
    """Returns the array of a `.npy` file; a large one is mapped.

    Raises:
        InvalidInput: named by the path; the file cannot be read, or holds no array of plain values.
    """
    is_large = path.is_file() and path.stat().st_size > room.IN_MEMORY_BYTES
    return mapped_npy(path) if is_large else read_array(path)


def mapped_npy(path: Path) -> AnyArray:
    """Returns the array of a `.npy` file, mapped, so that a header that lies costs no memory.

    Raises:
        InvalidInput: named by the path; the file cannot be read, or holds no array of plain values.
    """
    with numpy_errors(path):
        with path.open("rb") as file:
            check_start(file, NPY_MAGIC)
        array: AnyArray = np.load(path, mmap_mode="r", allow_pickle=False)
        return array


def stored_at(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Returns where the content of a member begins that is not compressed, in the open file of its archive."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return info.header_offset + _LOCAL_HEADER_BYTES + lengths


def member(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> AnyArray:
    """Returns an array of an open archive. A large one that is not compressed is mapped.

    Raises:
        InvalidInput: named by the path; it is too large for this machine, or is not an array.
    """
    info = _info_of(archive, key)
    if archive.zip is not None and info is not None:
        if _is_large(info) and info.compress_type == zipfile.ZIP_STORED:
            return _mapped_member(archive.zip, info)
        refuse_too_large(info.file_size, path)
    array = archive[key]
    if not isinstance(array, np.ndarray):
        raise InvalidInput(printable(path), f"{printable(key)} is not an array")
    return array


def held_bytes(archive: np.lib.npyio.NpzFile, key: str) -> int:
    """Returns how many bytes an array takes in memory that is large but compressed; 0 for every other."""
    info = _info_of(archive, key)
    if info is None or not _is_large(info) or info.compress_type == zipfile.ZIP_STORED:
        return 0
    return info.file_size


def _is_large(info: zipfile.ZipInfo) -> bool:
    return info.file_size > room.IN_MEMORY_BYTES


def _info_of(archive: np.lib.npyio.NpzFile, key: str) -> zipfile.ZipInfo | None:
    """Returns what an archive tells of an array; where two members have its name, of the larger one."""
    members = archive.zip.infolist() if archive.zip else []
    named = [info for info in members if info.filename in (key, f"{key}.npy")]
    return max(named, key=lambda info: info.file_size, default=None)


def _mapped_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> AnyArray:
    """Returns an array mapped from its place in the archive, without reading it."""
    with archive.open(info) as content:
        header = read_header(content)
        start = content.tell()
    if start + prod(header.shape) * header.dtype.itemsize != info.file_size or archive.fp is None:
        raise ValueError("is cut short")
    offset = stored_at(archive.fp, info) + start
    order: Literal["F", "C"] = "F" if header.is_fortran else "C"
    return np.asarray(np.memmap(archive.fp, header.dtype, "r", offset, header.shape, order))
