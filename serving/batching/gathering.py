"""Front: whether calls come alone or in crowds, and the turns of the event loop that bring a crowd together."""

import asyncio
from collections.abc import Callable

# Turns of the event loop without a new call after which the front is taken to hold no more of them. A turn takes
# microseconds; with 64 callers on two cores 0 turns give batches of 1.1 rows, 8 give 8 and half the processor time a
# call (benchmarks/README.md).
QUIET_TURNS = 8
_MOST_TURNS = 256  # whatever the callers do, the device does not wait for more than some milliseconds
_RARE_COMPANY = 0.05  # a share of batches; where fewer hold several calls the turns are spared ...
_TRY_AGAIN = 16  # ... but for one batch in so many
_WEIGHT = 0.1  # of the newest batch


class Front:
    """What is known of the calls that the gRPC front brings.

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
        """Says whether calls have seldom had company of late; now and then says no, so as to find out."""
        return self._company < _RARE_COMPANY and self._spared < _TRY_AGAIN

    def arrived(self) -> None:
        """Counts a call."""
        self._arrivals += 1

    def spare_turns(self) -> None:
        """Counts a batch that did not wait for company."""
        self._spared += 1

    async def catch_up(self, may_wait: Callable[[], bool]) -> None:
        """Gives the event loop turns until the front has handed over the calls that it already holds.

        Where calls have seldom had company of late it is left out, so that a lone caller does not pay for it.
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
        """Takes in how many calls a batch holds that had its turns."""
        if not self._spared:
            self._company += _WEIGHT * ((calls > 1) - self._company)
