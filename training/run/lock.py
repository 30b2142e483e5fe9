"""A lock on a run's directory, for one process at a time. The system releases it when the process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaeserve.errors import TrainingError


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Holds a directory's lock; goes on without it on disks that offer none.

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
