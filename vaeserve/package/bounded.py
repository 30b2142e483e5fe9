"""Files from outside, read up to a maximum size: regular files, and archives by their unpacked size."""

import io
import os
import stat
import zipfile
from math import prod
from pathlib import Path
from typing import Final

import numpy as np

from vaeserve.files import MALFORMED, AnyArray, parse_arrays

_DIRECTORY_BYTES: Final = 2**20  # of an archive, because zipfile makes an object of each entry first
_PART_BYTES: Final = 2**24  # read at once of a file that does not tell its size
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"  # of an archive; the second leads to a directory of any length
_END_BYTES, _END_64_BYTES = 22, 20
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_regular(path: Path, maximum_bytes: int) -> bytes:
    """Returns the content of a regular file. It does not wait for anything else, such as a pipe or a device.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a regular file, or is longer than `maximum_bytes`.
    """
    _check(path.stat(), maximum_bytes)  # because opening some devices has side effects
    with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())  # another file may have taken its place
        _check(status, maximum_bytes)
        content = file.read(status.st_size + 1)  # no more, because memory is set aside for all that is asked for
        if len(content) != status.st_size:  # it is very long, grows, or does not tell its size
            content += _read_on(file, maximum_bytes + 1 - len(content))
    if len(content) > maximum_bytes:
        raise _too_long(len(content), maximum_bytes)
    return content


def read_archive(content: bytes, maximum_bytes: int) -> dict[str, AnyArray]:
    """Returns the arrays of a `.npz` file, by name, if they unpack to no more than `maximum_bytes`.

    Raises:
        ValueError: they would unpack to more, or it holds anything else.
    """
    end = content[-_END_BYTES:]
    if not end.startswith(_END) or content[-_END_BYTES - _END_64_BYTES :].startswith(_END_64):
        raise ValueError("is not an .npz file as NumPy writes them")
    if int.from_bytes(end[12:16], "little") > _DIRECTORY_BYTES:
        raise ValueError("is an archive of too many files")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if (unpacked := sum(entry.file_size for entry in entries)) > maximum_bytes:
                raise _too_long(unpacked, maximum_bytes, "unpacks to")
            for entry in entries:
                _check_entry(archive, entry)
    except ValueError:
        raise
    except (*MALFORMED, OSError) as exc:
        raise ValueError("is not an .npz file of plain values") from exc
    return parse_arrays(io.BytesIO(content))


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuses an array whose header claims more than its entry holds, and compression without a known bound."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename}: is packed in a way that NumPy does not use")
    with archive.open(entry) as file:
        try:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
        except (*MALFORMED, OSError) as exc:
            raise ValueError(f"{entry.filename}: is not an array of plain values") from exc
    if prod(shape) * dtype.itemsize > entry.file_size:
        raise ValueError(f"{entry.filename}: is cut short")


def _read_on(file: io.FileIO, most_bytes: int) -> bytes:
    """Returns what is left of a file, or the first bytes of it."""
    parts = [b""]
    while most_bytes > 0 and (part := file.read(min(most_bytes, _PART_BYTES))):
        parts.append(part)
        most_bytes -= len(part)
    return b"".join(parts)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check(status: os.stat_result, maximum_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")
    if status.st_size > maximum_bytes:
        raise _too_long(status.st_size, maximum_bytes)


def _too_long(size: int, maximum_bytes: int, verb: str = "is") -> ValueError:
    return ValueError(f"{verb} {size:,} bytes, at most {maximum_bytes:,} are taken")
