"""Watches files, and reads them again when they change."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from vaeserve.errors import StartupError

_log = logging.getLogger(__name__)

T = TypeVar("T")


class FileWatch(Generic[T]):
    """The content of some files, read again when one of them has changed. If that fails, the old content stays.

    Args:
        name: what the files hold, for the log.
        files: the files to watch.
        read: reads them all; raises StartupError.
        look_seconds: minimum time between two looks at the files.

    Raises:
        StartupError: the files cannot be read for the first time.
    """

    def __init__(self, name: str, files: Sequence[Path], read: Callable[[], T], look_seconds: float = 0.0) -> None:
        self._name = name
        self._files = files
        self._read = read
        self._look_seconds = look_seconds
        self._looked = time.monotonic()
        self._marks = self._look()  # before reading, so that a change meanwhile is noticed the next time
        self._content = read()

    def current(self) -> T:
        """Returns the content of the files."""
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
    """Returns a value that changes when a file is rewritten or replaced; None: there is no such file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
