"""Lock: one process at a time writes to a run's directory. The system takes it off whoever dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vae.errors import TrainingError


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Holds a directory's lock; goes on without where the system or the disk offers none.

    Raises:
        TrainingError: another process holds it.
    """
    if os.name == "nt":  # which opens no directories
        yield
        return
    import fcntl

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
