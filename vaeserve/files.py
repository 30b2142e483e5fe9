"""Files: arrays read without running anything they hold, and files and folders that are replaced in one step."""

import ctypes
import errno
import os
import secrets
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it, whose zipfile refuses such archives
    LZMAError = zipfile.BadZipFile  # type: ignore[assignment, misc]

Parsed = TypeVar("Parsed")
AnyArray = npt.NDArray[Any]
Value = AnyArray | str | int | list[str] | None

PARTIAL = ".partial"  # ending of a file that is being written; a killed process leaves it behind

NPY_MAGIC = b"\x93NUMPY"
"""What a `.npy` file begins with."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's renameat2
_NOT_OFFERED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)

# What NumPy and zipfile raise for files that are cut short, altered, encrypted or made to mislead.
MALFORMED = (
    *(ValueError, EOFError, KeyError, AttributeError, TypeError, MemoryError, OverflowError, RuntimeError),
    *(SyntaxError, RecursionError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, LZMAError),
)


def read_array(path: Path) -> AnyArray:
    """Reads a `.npy` file.

    Raises:
        InvalidInput: named by the path; the file cannot be read or holds no array of plain values.
    """
    return _read(path, parse_array)


def read_arrays(path: Path) -> dict[str, AnyArray]:
    """Reads every array of a `.npz` file.

    Raises:
        InvalidInput: named by the path; the file cannot be read or holds anything but arrays of plain values.
    """
    return _read(path, parse_arrays)


def read_bytes(path: Path) -> bytes:
    """Reads a file.

    Raises:
        InvalidInput: named by the path; the file cannot be read.
    """
    return _read(path, lambda file: file.read())


def parse_array(file: BinaryIO) -> AnyArray:
    """Returns the array of a `.npy` file. Raises ValueError if there is none, or one of Python objects."""
    try:
        loaded = np.load(file, allow_pickle=False)
    except MALFORMED as exc:
        raise ValueError("is not an .npy file of plain values") from exc
    if not isinstance(loaded, np.ndarray):
        raise ValueError("holds several arrays, must be a .npy file")
    return loaded


def parse_arrays(file: BinaryIO) -> dict[str, AnyArray]:
    """Returns the arrays of a `.npz` file, by name. Raises ValueError if it holds anything else."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (*MALFORMED, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:  # a failure of the disk: errors of bz2 have no number
            raise
        raise ValueError("is not an .npz file of plain values") from exc
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError("holds something that is not an array")
    return arrays


def check_suffix(path: Path, *allowed: str) -> str:
    """Returns the ending of a path, with its dot.

    Raises:
        InvalidInput: named by the path; its ending is not one of those allowed.
    """
    if path.suffix not in allowed:
        raise InvalidInput(
            str(path), f"must end in {', '.join(allowed[:-1])}{' or ' * (len(allowed) > 1)}{allowed[-1]}"
        )
    return path.suffix


def check_writable(path: Path) -> None:
    """Makes sure that a file can be written, before any work is done for it.

    Raises:
        InvalidInput: named by the path; it is a directory, or its own directory is missing or read-only.
    """
    if path.is_dir():
        raise InvalidInput(str(path), "is a directory")
    if not path.parent.is_dir():
        raise InvalidInput(str(path), f"there is no directory {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InvalidInput(str(path), f"directory {path.parent} cannot be written to")


def write_arrays(path: Path, **values: Value) -> None:
    """Writes the values that are not None to a `.npz` file, whole or not at all.

    Raises:
        InvalidInput: named by the path; the disk refuses it.
    """
    write(path, lambda file: save_arrays(file, **values))


def save_arrays(file: BinaryIO, **values: Value) -> None:
    """Writes the values that are not None into an open `.npz` file."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in values.items() if value is not None}
    np.savez(file, **arrays)


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Writes a file, whole or not at all; `fill` writes the content into an open file.

    Raises:
        InvalidInput: named by the path; the disk refuses it.
    """
    try:
        _replace(path, fill)
    except OSError as exc:
        raise InvalidInput(str(path), f"cannot be written: {exc.strerror}") from exc


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file durably. If anything goes wrong, the file stays as it was.

    Raises:
        OSError: the disk refuses it.
    """
    _replace(path, lambda file: file.write(content))


def _replace(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Writes a file under another name beside its own, then renames it."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)  # while it is open: a lock on it holds until it has its name
        sync_directory(path.parent)
    finally:
        with suppress(OSError):  # it would hide the first error
            partial.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory survive a power cut, where the system and the disk support that.

    Raises:
        OSError: the disk fails.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open directories
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _NOT_OFFERED:
            raise
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> bool:
    """Swaps two files or directories in one step; there is no moment at which either name is missing.

    Returns:
        Whether they were swapped. False: the system or the file system does not support it.

    Raises:
        OSError: the disk refuses it.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # not Linux, or an old C library
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_OFFERED:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def _read(path: Path, parse: Callable[[BinaryIO], Parsed]) -> Parsed:
    try:
        with path.open("rb") as file:
            return parse(file)
    except OSError as exc:
        raise InvalidInput(str(path), f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise InvalidInput(str(path), str(exc)) from exc
