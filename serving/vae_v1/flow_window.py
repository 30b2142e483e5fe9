"""The flow-control window of one stream: the bytes and calls that it has in flight, and who waits for room."""

import asyncio
from collections.abc import Callable

from serving.transport.held import Held

_MAXIMUM_CALLS = 1024


class FlowWindow:
    """What a stream may have in flight, from a call's arrival until its reply is written.

    Args:
        limit_bytes: maximum bytes of calls and replies; a single call always fits.
        held: what all callers hold.
    """

    def __init__(self, limit_bytes: int, held: Held) -> None:
        self._limit_bytes = limit_bytes
        self._held = held
        self._bytes = 0
        self._arrived_bytes = 0  # of the last message, without the calls that are counted already
        self.calls = 0
        """In flight."""
        self.is_closed = False
        self._room = asyncio.Event()
        self._turn: asyncio.Task[None] | None = None

    async def wait_for_memory(self, size: int, is_over: Callable[[], bool]) -> None:
        """Waits until callers hold so little memory that a message of some size may be read, or until it is over."""
        if not self.is_closed and not self._held.fits(size, is_request=True):
            waiting = self._held.wait_for_room(size, lambda: self.is_closed or is_over(), is_request=True)
            self._turn = asyncio.create_task(waiting)
            await asyncio.wait([self._turn])

    def arrive(self, size: int) -> None:
        """Counts a message until the calls in it are counted.

        Raises:
            Overloaded: callers hold too much memory.
        """
        self._held.take(size)
        self._arrived_bytes = size

    def forget(self) -> None:
        """Stops counting the message."""
        self._held.add(-self._arrived_bytes)
        self._arrived_bytes = 0

    async def wait_for_room(self, size: int) -> None:
        """Waits until a call of some size fits, or the window is closed."""
        while not self.is_closed and not self._fits(size):
            self._room.clear()
            await self._room.wait()

    def add(self, size: int) -> None:
        """Counts a call."""
        self.calls += 1
        self._bytes += size
        counted = min(size, self._arrived_bytes)
        self._arrived_bytes -= counted
        self._held.add(size - counted)

    def enlarge(self, size: int) -> None:
        """Adds bytes to a call that is already counted."""
        self._bytes += size
        self._held.add(size)

    def remove(self, size: int) -> None:
        """Stops counting a call."""
        self.calls -= 1
        self.enlarge(-size)
        self._room.set()

    def close(self) -> None:
        """Ends every wait, and gives back what the stream holds."""
        self.is_closed = True
        self.forget()
        self.enlarge(-self._bytes)
        self._room.set()
        if self._turn is not None:
            self._turn.cancel()

    def _fits(self, size: int) -> bool:
        return not self.calls or (self.calls < _MAXIMUM_CALLS and self._bytes + size <= self._limit_bytes)
