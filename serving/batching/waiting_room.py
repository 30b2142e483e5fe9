"""WaitingRoom: where calls wait, first come, first served, until there is room for them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from vaeserve.errors import DeadlinePassed


class WaitingRoom:
    """The calls that wait, in order of arrival. Whoever makes room wakes the first one.

    No call overtakes the first, however little room it needs, because a call that needs much would wait for ever.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[object, asyncio.Future[None]] = OrderedDict()

    @property
    def has_waiters(self) -> bool:
        """Whether a call waits."""
        return bool(self._waiting)

    async def wait(self, is_enough: Callable[[], bool], timeout_seconds: float | None) -> None:
        """Waits behind the calls that wait already, until there is enough room.

        Raises:
            DeadlinePassed: the time ran out.
        """
        place = object()
        try:
            async with asyncio.timeout(timeout_seconds):
                while next(iter(self._waiting), place) is not place or not is_enough():
                    turn = self._waiting[place] = asyncio.get_running_loop().create_future()
                    await turn
        except TimeoutError as exc:
            raise DeadlinePassed("the deadline passed while the rows waited for room in the queue") from exc
        finally:
            self._waiting.pop(place, None)
            self.wake_first()  # there may be room for the next one too

    def wake_first(self) -> None:
        """Wakes the first call, which goes on if there is room, and then wakes the next one."""
        if self._waiting and not (first := next(iter(self._waiting.values()))).done():
            first.set_result(None)
