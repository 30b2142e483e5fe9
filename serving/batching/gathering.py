"""Gathering: a wait of some turns of the event loop, so that calls that come at about the same time share a batch."""

import asyncio
from collections.abc import Callable

from serving.in_flight import Calls

# Turns of the event loop without a new call after which gRPC is assumed to hold no more of them. A turn takes
# microseconds; with 64 callers on two cores 0 turns give batches of 1.1 rows (benchmarks/README.md).
QUIET_TURNS = 3
_MAXIMUM_TURNS = 256  # whatever the callers do, the device waits a few milliseconds at most


class Gathering:
    """Waits for the calls that gRPC already holds.

    Args:
        calls: those that have arrived, of all batchers.
        quiet_turns: turns without a new call after which a free device starts.
    """

    def __init__(self, calls: Calls, quiet_turns: int) -> None:
        self._calls = calls
        self._quiet_turns = quiet_turns
        self._queued = 0

    def count_call(self) -> None:
        """Counts a call that was queued."""
        self._queued += 1

    def catch_up(self, may_wait: Callable[[], bool]) -> "asyncio.Future[None]":
        """Gives the event loop turns until gRPC has handed over the calls that it already holds.

        It counts turns by a callback, because a task would take longer for each.

        Returns:
            The end of the wait.
        """
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        counted, quiet = self._count(), -1  # the first look comes before any turn

        def look(turns: int) -> None:
            nonlocal counted, quiet
            count = self._count()
            quiet, counted = quiet + 1 if count == counted else 0, count
            if not end.done():
                if quiet >= self._quiet_turns or turns == _MAXIMUM_TURNS or not may_wait():
                    end.set_result(None)
                else:
                    loop.call_soon(look, turns + 1)

        look(0)
        return end

    def _count(self) -> int:
        return self._calls.arrived + self._queued
