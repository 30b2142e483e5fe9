"""Files that are read again when they change."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from vaeserve.errors import StartupError

_log = logging.getLogger(__name__)

T = TypeVar("T")


class FileWatch(Generic[T]):
    """What some files say, read again when one of them has changed. If that fails, what was read before stays.

    Args:
        name: what the files are, for the log.
        files: the files to watch.
        read: reads them all; raises StartupError.
        look_seconds: time in which the files are looked at once at most.

    Raises:
        StartupError: the files cannot be read for the first time.
    """

    def __init__(self, name: str, files: Sequence[Path], read: Callable[[], T], look_seconds: float = 0.0) -> None:
        self._name = name
        self._files = files
        self._read = read
        self._look_seconds = look_seconds
        self._looked = time.monotonic()
        self._marks = self._look()  # before they are read: what changes meanwhile is noticed the next time
        self._content = read()

    def current(self) -> T:
        """Returns what the files say."""
        now = time.monotonic()
        if now - self._looked >= self._look_seconds:
            self._looked = now
            marks = self._look()
            if marks != self._marks:
                self._marks = marks
                self._read_again()
        return self._content

    def _read_again(self) -> None:
        try:
            self._content = self._read()
        except StartupError as exc:
            _log.error("kept the old %s: %s", self._name, exc)
        except Exception:
            _log.exception("kept the old %s: reading them failed. This is a bug.", self._name)
        else:
            _log.info("read the %s again", self._name)

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_mark(file) for file in self._files]


def _mark(file: Path) -> tuple[int, int, int] | None:
    """Returns what changes when a file is rewritten or replaced; None if it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
