"""Gathering: whether calls come alone or in crowds, and the turns of the event loop that bring a crowd together."""

import asyncio
from collections.abc import Callable

# Turns of the event loop without a new call after which gRPC is assumed to hold no more of them. A turn takes
# microseconds; with 64 callers on two cores 0 turns give batches of 1.1 rows, 8 give 8 and half the processor time per
# call (benchmarks/README.md).
QUIET_TURNS = 8
_MOST_TURNS = 256  # whatever the callers do, the device waits a few milliseconds at most
_RARE_COMPANY = 0.05  # a share of batches: where fewer hold several calls, the turns are spared ...
_TRY_AGAIN = 16  # ... except for one batch in this many
_WEIGHT = 0.1  # of the newest batch


class Gathering:
    """Learns whether calls come together, and waits for those that gRPC already holds.

    Args:
        quiet_turns: turns without a new call after which a free device starts.
    """

    def __init__(self, quiet_turns: int) -> None:
        self._quiet_turns = quiet_turns
        self._arrivals = 0
        self._company = 1.0
        self._spared = 0

    @property
    def is_lonely(self) -> bool:
        """Whether calls have seldom had company lately. Now and then it is False, so that a change is noticed."""
        return self._company < _RARE_COMPANY and self._spared < _TRY_AGAIN

    def arrived(self) -> None:
        """Counts a call."""
        self._arrivals += 1

    def spare_turns(self) -> None:
        """Counts a batch that did not wait for company."""
        self._spared += 1

    async def catch_up(self, may_wait: Callable[[], bool]) -> None:
        """Gives the event loop turns until gRPC has handed over the calls that it already holds.

        Where calls have seldom had company lately it returns at once, so that a lone caller does not wait.
        """
        if self.is_lonely:
            self.spare_turns()
            return
        self._spared = quiet = 0
        seen = self._arrivals
        for _ in range(_MOST_TURNS):
            if quiet == self._quiet_turns or not may_wait():
                return
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._arrivals == seen else 0
            seen = self._arrivals

    def learn(self, calls: int) -> None:
        """Learns from a batch that was given turns how many calls it holds."""
        if not self._spared:
            self._company += _WEIGHT * ((calls > 1) - self._company)
