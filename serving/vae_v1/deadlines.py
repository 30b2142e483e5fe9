"""Alarm: one clock for many deadlines, because most calls are answered long before theirs."""

import asyncio
import math
import time
from collections.abc import Callable

_LONGEST_SECONDS = 3600.0  # a clock cannot count to every deadline that a caller can name


class Alarm:
    """Rings at the earliest deadline that it was set for; whoever hears it sets it for the next one.

    Args:
        ring: called then, or sooner where the deadline is far away.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float) -> None:
        """Rings at a deadline, on the monotonic clock, unless it rings before."""
        if deadline < self._deadline:
            self.stop()
            self._deadline = deadline
            seconds = min(deadline - time.monotonic(), _LONGEST_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._rings)

    def stop(self) -> None:
        """Rings no more."""
        self._deadline = math.inf
        if self._timer is not None:
            self._timer.cancel()

    def _rings(self) -> None:
        self._deadline = math.inf
        self._ring()
