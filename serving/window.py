"""Window: the bytes and calls that one stream has in flight, and whoever waits for room in it."""

import asyncio

_MOST_CALLS = 1024


class Held:
    """Bytes in flight of all streams together: else many callers who do not read would fill the memory.

    Args:
        limit_bytes: most of them; past it each stream has one call in flight.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0

    def add(self, size: int) -> None:
        """Counts bytes; negative ones are given back."""
        self._bytes += size

    def fits(self, size: int) -> bool:
        """Says whether so many more may be held."""
        return self._bytes + size <= self._limit_bytes


class Window:
    """What a stream may have in flight, from a call's arrival until its reply is written.

    Args:
        limit_bytes: most bytes of calls and replies; one call always fits.
        held: what all streams hold.
    """

    def __init__(self, limit_bytes: int, held: Held) -> None:
        self._limit_bytes = limit_bytes
        self._held = held
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
        self.enlarge(size)

    def enlarge(self, size: int) -> None:
        """Counts what turned out to belong to a call."""
        self._bytes += size
        self._held.add(size)

    def remove(self, size: int) -> None:
        """No longer counts a call."""
        self.calls -= 1
        self.enlarge(-size)
        self._room.set()

    def close(self) -> None:
        """Lets nobody wait any more, and gives back what is held."""
        self.is_closed = True
        self.enlarge(-self._bytes)
        self._room.set()

    def _fits(self, size: int) -> bool:
        if not self.calls:
            return True
        return self.calls < _MOST_CALLS and self._bytes + size <= self._limit_bytes and self._held.fits(size)
