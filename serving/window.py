"""Window: the bytes and calls that one stream has in flight, and whoever waits for room in it."""

import asyncio

_MOST_CALLS = 1024


class Window:
    """What a stream may have in flight, from a call's arrival until its reply is written.

    Args:
        limit_bytes: most bytes of calls and replies; one call always fits.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self.calls = 0
        """In flight."""
        self.is_closed = False
        self._room = asyncio.Event()

    async def wait_for_room(self, size: int) -> None:
        """Waits until a call of so many bytes fits, or the window is closed."""
        while not self.is_closed and not self._fits(size):
            self._room.clear()
            await self._room.wait()

    def add(self, size: int) -> None:
        """Counts a call."""
        self.calls += 1
        self._bytes += size

    def enlarge(self, size: int) -> None:
        """Counts what turned out to belong to a call."""
        self._bytes += size

    def remove(self, size: int) -> None:
        """No longer counts a call."""
        self.calls -= 1
        self._bytes -= size
        self._room.set()

    def close(self) -> None:
        """Lets nobody wait any more."""
        self.is_closed = True
        self._room.set()

    def _fits(self, size: int) -> bool:
        return not self.calls or (self.calls < _MOST_CALLS and self._bytes + size <= self._limit_bytes)
