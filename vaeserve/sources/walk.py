"""A folder -> the names of all files below it, in one order, however many there are."""

import os
from collections.abc import Iterator
from pathlib import Path

from vaeserve.errors import InvalidInput
from vaeserve.printable import printable


def walk(directory: Path) -> Iterator[str]:
    """Yields the paths of files below a folder, with slashes, sorted by their parts.

    A file or folder whose name begins with a dot is passed over, as is a folder that a link leads to a second time.
    Only the names in one folder, and in those that it lies in, are in memory.

    Raises:
        InvalidInput: named by the path; a folder cannot be read.
    """
    try:
        yield from _below(str(directory), "", set())
    except OSError as exc:
        raise InvalidInput(printable(exc.filename or directory), f"cannot be read: {exc.strerror}") from exc


def _below(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)  # noqa: PTH116, a Path for each of a million files would take seconds
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    folders = set[str]()
    names = list[str]()
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                names.append(entry.name)
                if _is_folder(entry):
                    folders.add(entry.name)
    for name in sorted(names):
        if name in folders:
            yield from _below(f"{folder}/{name}", f"{prefix}{name}/", seen)
        else:
            yield prefix + name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False
