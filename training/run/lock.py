"""A run's directory: whether it is free, and one process at a time in it. The system unlocks it for whoever dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaeserve.errors import TrainingError
from vaeserve.files import PARTIAL


def holds_nothing(directory: Path) -> bool:
    """Tells whether a directory is missing or empty; what a killed process was writing does not count.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        return not directory.is_dir() or all(path.name.endswith(PARTIAL) for path in directory.iterdir())
    except OSError as exc:
        raise TrainingError(f"{directory}: cannot be read: {exc.strerror}") from exc


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Holds a directory's lock; goes on without where the disk offers none.

    Raises:
        TrainingError: another process holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise TrainingError(f"{directory}: another process is training there") from exc
        except OSError:  # some network disks
            pass
        yield
    finally:
        os.close(descriptor)
