"""One process at a time in a run's directory. The system unlocks it when a process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaeserve.errors import TrainingError


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
