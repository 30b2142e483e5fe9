"""Room for rows: in memory, or in a file without a name where they are large.

Such a file is mapped: its pages are read when they are used, and the system may drop them again. It is gone once
nothing uses it, also when the process is killed.
"""

import os
from math import prod
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.printable import printable

IN_MEMORY_BYTES = 2**28  # maximum of an array that is kept in memory
_ON_DISK = Path("/var/tmp")


def room_for(shape: tuple[int, ...], dtype: npt.DTypeLike, name: object) -> AnyArray:
    """Returns an array that is not filled: in memory, or on disk if it takes more than IN_MEMORY_BYTES.

    Raises:
        InvalidInput: named by `name`; the disk has no room for it.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY_BYTES:
        return np.empty(shape, dtype)
    directory = _directory()
    try:
        with TemporaryFile(prefix="vaeserve-", dir=directory) as file:
            _reserve(file, size)
            return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
    except (OSError, OverflowError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "more than any file holds"
        raise InvalidInput(
            printable(name),
            f"needs {size / 2**30:.1f} GiB of disk in {printable(directory)} ({reason}); TMPDIR names another folder",
        ) from exc


def refuse_too_large(size: int, name: object) -> None:
    """Makes sure that so many bytes fit in the machine's memory.

    Raises:
        InvalidInput: named by `name`; they do not.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        raise InvalidInput(
            printable(name), f"needs {size / 2**30:.1f} GiB of memory, this machine has {memory / 2**30:.1f} GiB"
        )


def _directory() -> Path:
    """Returns the folder of large files: what TMPDIR names, otherwise the system's."""
    if not os.environ.get("TMPDIR") and _ON_DISK.is_dir() and os.access(_ON_DISK, os.W_OK):
        return _ON_DISK
    return Path(gettempdir())


def _reserve(file: IO[bytes], size: int) -> None:
    """Takes so many bytes of the disk, because a mapped file that finds it full kills its process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)
