"""Window: what several threads do for one after another, a bounded number of steps ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD: Final = 4  # items a thread


class Window:
    """A few threads, started when they are first needed.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self._ahead = _AHEAD * threads
        self._pool = ThreadPoolExecutor(threads, "source")

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yields the results in the order of the items, which are taken as the results are."""
        waiting = deque[Future[Result]]()
        try:
            for item in items:
                waiting.append(self._pool.submit(function, item))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)
