"""Gathering: whether calls come alone or together, and the turns of the event loop that collect those that do."""

import asyncio
from collections.abc import Callable

# Turns of the event loop without a new call after which gRPC is assumed to hold no more of them. A turn takes
# microseconds; with 64 callers on two cores 0 turns give batches of 1.1 rows, 8 give 8 and half the processor time per
# call (benchmarks/README.md).
QUIET_TURNS = 8
_MAXIMUM_TURNS = 256  # whatever the callers do, the device waits a few milliseconds at most
_LOW_SHARE = 0.05  # where a smaller share of batches holds several calls, batches start without a wait ...
_MAXIMUM_SKIPS = 16  # ... except for one in so many, so that a change is noticed
_WEIGHT = 0.1  # of the newest batch


class Gathering:
    """Learns whether calls come together, and waits for those that gRPC already holds.

    Args:
        quiet_turns: turns without a new call after which a free device starts.
    """

    def __init__(self, quiet_turns: int) -> None:
        self._quiet_turns = quiet_turns
        self._calls = 0
        self._share_of_several = 1.0  # of the recent batches that waited: those that held several calls
        self._skips = 0

    @property
    def skips_waiting(self) -> bool:
        """Whether the next batch starts without a wait, because calls have seldom come together lately."""
        return self._share_of_several < _LOW_SHARE and self._skips < _MAXIMUM_SKIPS

    def count_call(self) -> None:
        """Counts a call that was queued."""
        self._calls += 1

    def count_skip(self) -> None:
        """Counts a batch that started without a wait."""
        self._skips += 1

    async def catch_up(self, may_wait: Callable[[], bool]) -> None:
        """Gives the event loop turns until gRPC has handed over the calls that it already holds.

        Where calls have seldom come together lately it returns at once, so that a single caller does not wait.
        """
        if self.skips_waiting:
            self.count_skip()
            return
        self._skips = 0
        await self._quiet(may_wait)

    def _quiet(self, may_wait: Callable[[], bool]) -> "asyncio.Future[None]":
        """Returns the end of the wait. It counts turns by a callback, because a task would take longer for each."""
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        counted, quiet = self._calls, -1  # the first look comes before any turn

        def look(turns: int) -> None:
            nonlocal counted, quiet
            quiet = quiet + 1 if self._calls == counted else 0
            counted = self._calls
            if not end.done():
                if quiet == self._quiet_turns or turns == _MAXIMUM_TURNS or not may_wait():
                    end.set_result(None)
                else:
                    loop.call_soon(look, turns + 1)

        look(0)
        return end

    def learn(self, calls: int) -> None:
        """Learns from a batch how many calls it holds, unless it started without a wait."""
        if not self._skips:
            self._share_of_several += _WEIGHT * ((calls > 1) - self._share_of_several)
