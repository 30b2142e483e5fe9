"""Device: the slots that batches run in, given to interactive work first, and the threads that run them."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from serving.in_flight import Calls
from serving.turns import Turns

_NICE = 5  # of the threads
_MAXIMUM_PASSED_OVER = 8  # interactive batches in a row that may pass over a bulk one

P = ParamSpec("P")
T = TypeVar("T")
_Waiter = tuple["asyncio.Future[None]", int]


class Device:
    """A number of slots, for example one for each processor; a batch takes as many as it has threads.

    Only interactive batches pass over a batch that waits, and only a few times in a row.

    Args:
        slots: number of slots.
        turns: of the event loop, which short batches run on.
        calls: in flight, whatever they want of the device.
    """

    def __init__(self, slots: int = 1, turns: Turns | None = None, calls: Calls | None = None) -> None:
        self.slots = slots
        self.turns = turns or Turns()
        self.calls = calls or Calls()
        self._free = slots
        self._passed_over = 0
        self._waiting: dict[bool, deque[_Waiter]] = {True: deque(), False: deque()}  # by whether they are interactive
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="device", initializer=_yield_to_front)

    async def take(self, width: int, *, interactive: bool = True) -> None:
        """Waits for `width` free slots, at most all of them, and takes them; `give` gives them back."""
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
                with suppress(ValueError):  # a grant has taken it out already
                    self._waiting[interactive].remove(waiter)
                self._grant()
            raise

    def take_now(self, width: int) -> bool:
        """Takes `width` slots if they are free and no batch waits for any. Returns whether it did."""
        if self._free < width or self._waiting[True] or self._waiting[False]:
            return False
        self._free -= width
        return True

    def give(self, width: int) -> None:
        """Gives slots back."""
        self._free += width
        self._grant()

    @property
    def is_wanted(self) -> bool:
        """Whether batches wait for slots. Threads may ask."""
        return bool(self._waiting[True] or self._waiting[False])

    async def lend(self, width: int) -> None:
        """Gives slots to batches that wait for them, and takes them again behind those."""
        self.give(width)
        try:
            await self.take(width)
        except asyncio.CancelledError:
            self._free -= width  # its holder gives them back all the same
            raise

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function on a thread. The caller holds slots."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Ends the threads once they are idle."""
        self._threads.shutdown(wait=True)

    def _grant(self) -> None:
        """Gives slots to batches that wait. The first keeps its turn until it has enough, or it would starve."""
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
        return bool(self._waiting[True]) and self._passed_over < _MAXIMUM_PASSED_OVER


def _yield_to_front() -> None:
    """Lowers this thread's priority below the event loop's, which has little to do and keeps many waiting."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
