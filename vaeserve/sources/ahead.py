"""Files read by threads, some ahead of the one that is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from vaeserve.machine.cpus import available_cpus

MOST_THREADS = 8  # each may hold a picture of 0.4 GB while it is decoded
_AHEAD = 4  # files a thread, so that a large one does not let the other threads wait

Read = TypeVar("Read")


def read_ahead(
    files: Iterable[Path], read: Callable[[Path], Read], threads: int | None = None
) -> Iterator[tuple[Path, Callable[[], Read]]]:
    """Yields each file, in order, with a function that waits for it, then returns what `read` did, or raises its error.

    Args:
        files: what to read.
        read: called in a thread.
        threads: number of them; None: a thread for each available processor, at most MOST_THREADS.
    """
    threads = threads or min(available_cpus(), MOST_THREADS)
    pending: deque[tuple[Path, Future[Read]]] = deque()
    pool = ThreadPoolExecutor(threads, "reading")
    try:
        for file in files:
            pending.append((file, pool.submit(read, file)))
            if len(pending) > _AHEAD * threads:
                first, future = pending.popleft()
                yield first, future.result
        while pending:
            first, future = pending.popleft()
            yield first, future.result
    finally:
        pool.shutdown(cancel_futures=True)
