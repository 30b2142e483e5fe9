"""Window: what several threads do for one after another, a bounded number of steps ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_GROUP: Final = 16  # items of one task, because a task for each would take as long as a small picture
_AHEAD: Final = 2  # groups a thread


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
        waiting = deque[Future[list[Result]]]()
        iterator = iter(items)
        try:
            while group := list(islice(iterator, _GROUP)):
                waiting.append(self._pool.submit(_each, function, group))
                if len(waiting) > self._ahead:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)


def _each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
