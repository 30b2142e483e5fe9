"""Room: where calls wait, one behind the other, until there is room for them in a queue."""

import asyncio
from collections import deque
from collections.abc import Callable

from vae.errors import DeadlinePassed


class Room:
    """Those who wait; whoever makes room calls the first one in."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self, is_enough: Callable[[], bool], timeout_seconds: float | None) -> None:
        """Waits behind those who wait already, until there is enough room.

        Raises:
            DeadlinePassed: the time ran out.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not is_enough():
                    turn = asyncio.get_running_loop().create_future()
                    self._waiting.append(turn)
                    await turn
        except TimeoutError as exc:
            raise DeadlinePassed("the deadline passed while the rows waited for room in the queue") from exc
        finally:
            self.call_in()  # there may be room for the next one too, or the turn of one who leaves is free

    def call_in(self) -> None:
        """Lets the first one look."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def call_all_in(self) -> None:
        """Lets everyone look."""
        while self._waiting:
            self.call_in()
