"""Turns: how much of each turn of the event loop goes to work that comes in many short pieces.

Each piece alone is too short to matter. Run one after the other, they would keep the loop from every other caller, and
they would not hear that their own caller has left.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

_SHARE_SECONDS = 0.0002  # of a turn; the last piece may overrun it, and the rest waits


class Turns:
    """The turns of one event loop, shared by all work that is done on it in pieces.

    Args:
        share_seconds: maximum time of a turn that all pieces together may take.
    """

    def __init__(self, share_seconds: float = _SHARE_SECONDS) -> None:
        self._share_seconds = share_seconds
        self._end = 0.0
        self._has_begun = False
        self._pieces: deque[Callable[[], None]] = deque()
        self._pausing = asyncio.Lock()

    def is_spent(self) -> bool:
        """Whether this turn's share is used up. The first to ask in a turn begins it."""
        now = time.monotonic()
        if self._has_begun:
            return now >= self._end
        self._has_begun = True
        self._end = now + self._share_seconds
        asyncio.get_running_loop().call_soon(self._begin_next)  # which comes once the loop has looked for messages
        return False

    async def pause(self) -> None:
        """Waits for a turn whose share is not used up, behind everyone who waits for one already."""
        async with self._pausing:
            while self.is_spent():  # noqa: ASYNC110, a turn is what it waits for
                await asyncio.sleep(0)

    def do(self, piece: Callable[[], None]) -> None:
        """Does a piece of work: now, or in a later turn, behind the pieces that came before it."""
        self._pieces.append(piece)
        if len(self._pieces) == 1:
            self._do_some()

    def _begin_next(self) -> None:
        self._has_begun = False
        self._do_some()

    def _do_some(self) -> None:
        while self._pieces and not self.is_spent():
            self._pieces.popleft()()
