"""One timer for many deadlines, because most calls are answered long before theirs."""

import asyncio
import math
import time
from collections.abc import Callable

_LONGEST_SECONDS = 3600.0  # the loop's clock cannot count to every deadline that a caller can name


class DeadlineTimer:
    """Calls back at the earliest deadline that it was set for; the callback sets it for the next one.

    Args:
        expire: called at that deadline, or sooner where the deadline is far away.
    """

    def __init__(self, expire: Callable[[], None]) -> None:
        self._expire = expire
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float) -> None:
        """Calls back at a deadline, on the monotonic clock, unless an earlier one is set."""
        if deadline < self._deadline:
            self.stop()
            self._deadline = deadline
            seconds = min(deadline - time.monotonic(), _LONGEST_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def stop(self) -> None:
        """Forgets every deadline."""
        self._deadline = math.inf
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._deadline = math.inf
        self._expire()
