"""Arrays in files: read without running anything they hold, written so that a file is whole or not there."""

import os
import secrets
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from vae.errors import InvalidInput

Parsed = TypeVar("Parsed")
AnyArray = npt.NDArray[Any]
Value = AnyArray | str | int | None

# What NumPy and zipfile raise for files that are cut short, altered, encrypted or made to mislead.
_MALFORMED = (
    *(ValueError, EOFError, KeyError, AttributeError, TypeError, MemoryError, OverflowError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
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


def parse_array(file: BinaryIO) -> AnyArray:
    """Returns the array of a `.npy` file. Raises ValueError if there is none, or one of Python objects."""
    try:
        loaded = np.load(file, allow_pickle=False)
    except _MALFORMED as exc:
        raise ValueError("is no .npy file of plain values") from exc
    if not isinstance(loaded, np.ndarray):
        raise ValueError("holds several arrays, must be a .npy file")
    return loaded


def parse_arrays(file: BinaryIO) -> dict[str, AnyArray]:
    """Returns the arrays of a `.npz` file, by name. Raises ValueError if it holds anything else."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _MALFORMED as exc:
        raise ValueError("is no .npz file of plain values") from exc
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise ValueError("holds something that is no array")
    return arrays


def check_suffix(path: Path, *allowed: str) -> str:
    """Returns what a path ends in.

    Raises:
        InvalidInput: named by the path; it is none of the endings allowed.
    """
    if path.suffix not in allowed:
        raise InvalidInput(str(path), f"must end in {' or '.join(allowed)}")
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


def write_array(path: Path, array: AnyArray) -> None:
    """Writes a `.npy` file, whole or not at all. Raises InvalidInput, named by the path, if the disk refuses it."""
    write(path, lambda file: np.save(file, array, allow_pickle=False))


def write_arrays(path: Path, **values: Value) -> None:
    """Writes a `.npz` file of what is not None, whole or not at all.

    Raises:
        InvalidInput: named by the path; the disk refuses it.
    """
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in values.items() if value is not None}
    write(path, lambda file: np.savez(file, **arrays))


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Writes a file under another name beside its own, then renames it.

    Raises:
        InvalidInput: named by the path; the disk refuses it.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as exc:
        raise InvalidInput(str(path), f"cannot be written: {exc.strerror}") from exc
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path, parse: Callable[[BinaryIO], Parsed]) -> Parsed:
    try:
        with path.open("rb") as file:
            return parse(file)
    except OSError as exc:
        raise InvalidInput(str(path), f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise InvalidInput(str(path), str(exc)) from exc
