"""Device: the slots that batches run in, lent to interactive work first; and what runs them: threads, or the loop."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from serving.turns import Turns

_NICE = 5  # of the threads
_MOST_PASSED_OVER = 8  # turns of interactive batches in a row while a bulk one waits

P = ParamSpec("P")
T = TypeVar("T")
_Waiter = tuple["asyncio.Future[None]", int]


class Device:
    """So many slots, for example one a processor; a batch takes as many as it has threads.

    A batch that waits is passed over only by interactive ones, and only so often.

    Args:
        slots: how many.
        turns: of the event loop, which short batches run on.
    """

    def __init__(self, slots: int = 1, turns: Turns | None = None) -> None:
        self.slots = slots
        self.turns = turns or Turns()
        self._free = slots
        self._passed_over = 0
        self._waiting: dict[bool, deque[_Waiter]] = {True: deque(), False: deque()}  # by whether they are interactive
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="device", initializer=_yield_to_front)

    async def take(self, width: int, *, interactive: bool = True) -> None:
        """Waits for `width` free slots, at most all there are, and takes them; give them back with `give`."""
        if self.take_now(width):
            return
        granted = asyncio.get_running_loop().create_future()
        waiter = (granted, width)
        self._waiting[interactive].append(waiter)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give(width)
            else:
                with suppress(ValueError):  # it was passed by already
                    self._waiting[interactive].remove(waiter)
                self._grant()
            raise

    def take_now(self, width: int) -> bool:
        """Takes `width` slots if they are free and nobody waits for any; returns whether it did."""
        if self._free < width or self._waiting[True] or self._waiting[False]:
            return False
        self._free -= width
        return True

    def give(self, width: int) -> None:
        """Gives slots back."""
        self._free += width
        self._grant()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function on a thread. The caller holds slots."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Ends the threads once they are idle."""
        self._threads.shutdown(wait=True)

    def _grant(self) -> None:
        """Lends slots to those who wait. The first in turn is not passed over for want of slots, or it would starve."""
        while any(self._waiting.values()):
            interactive = self._next_class()
            granted, width = self._waiting[interactive][0]
            if width > self._free:
                return
            self._waiting[interactive].popleft()
            if granted.cancelled():
                continue
            self._free -= width
            granted.set_result(None)
            self._passed_over = self._passed_over + 1 if interactive and self._waiting[False] else 0

    def _next_class(self) -> bool:
        if not self._waiting[False]:
            return True
        return bool(self._waiting[True]) and self._passed_over < _MOST_PASSED_OVER


def _yield_to_front() -> None:
    """Lets the event loop go first where it shares a processor with this thread: many wait for the little it does."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
