"""Calls in flight: whether a server can stop, and whether a call is the only one."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from vaeserve.errors import ShuttingDown

_QUIET_SECONDS = 0.05
_MAXIMUM_QUIET_WAITS = 20
_LULL_SECONDS = 0.01
_MAXIMUM_LULL_WAITS = 10


class Calls:
    """Counts calls from their arrival until gRPC is done with them."""

    def __init__(self) -> None:
        self.is_closed = False
        """Whether new calls are refused."""
        self.on_close: set[Callable[[], object]] = set()
        """Called once new calls are refused. A stream adds itself, because it waits for calls without being one."""
        self.arrived = 0
        """Counts up whenever a call comes, and again when its message has."""
        self.coming = 0
        """Calls whose rows are not queued yet, because their message is being read or begun."""
        self.in_flight = 0
        """Calls whose message is here, and which gRPC is not done with."""
        self.unary = 0
        """Unary RPCs that gRPC has handed over and is not done with; half-read ones are included."""
        self.streams = 0
        """Streams that are open."""
        self._idle = asyncio.Event()  # set when the last call leaves after new ones are refused

    @property
    def open(self) -> int:
        """RPCs that gRPC has handed over and is not done with."""
        return self.unary + self.streams

    @property
    def is_lone(self) -> bool:
        """Whether there is one call only, unary or of a stream, and none is coming."""
        return self.in_flight == 1 and self.unary <= 1 and not self.coming

    def open_unary(self) -> None:
        """Counts a unary call that gRPC has handed over."""
        self.unary += 1
        self.arrived += 1

    def close_unary(self, *, has_entered: bool) -> None:
        """Counts a unary call that gRPC is done with, and whether it had entered."""
        self.unary -= 1
        if has_entered:
            self.leave()

    def open_stream(self) -> None:
        """Counts a stream that gRPC has handed over."""
        self.streams += 1

    def close_stream(self, _: object) -> None:
        """Counts a stream that gRPC is done with."""
        self.streams -= 1

    def begin_reading(self) -> None:
        """Lets a call finish whose request is being read, however slowly it comes, until `end_reading`.

        Raises:
            ShuttingDown: new calls are refused.
        """
        if self.is_closed:
            raise ShuttingDown()
        self.expect(1)

    def end_reading(self) -> None:
        """Counts a call whose request is here, or will not come. It has entered before, if it goes on."""
        self.stop_expecting(1)

    def expect(self, calls: int) -> None:
        """Counts calls that are coming."""
        self.coming += calls

    def stop_expecting(self, calls: int) -> None:
        """Counts calls that have come, or will not come. Those that go on have entered before."""
        self.coming -= calls
        self._rest()

    def enter(self) -> None:
        """Counts a call that arrived."""
        self.arrived += 1
        self.in_flight += 1

    def leave(self) -> None:
        """Counts a call whose answer was sent, or whose caller left."""
        self.in_flight -= 1
        self._rest()

    def _rest(self) -> None:
        if self.is_closed and not self.in_flight and not self.coming:
            self._idle.set()

    async def lull(self) -> None:
        """Waits until no call has arrived for a moment, a tenth of a second at most.

        Calls that gRPC has read but not handed over yet would be cancelled when it stops listening.
        """
        await self._none_arrives(_LULL_SECONDS, _MAXIMUM_LULL_WAITS)

    async def finish(self, timeout_seconds: float) -> None:
        """Refuses new calls, and waits for those in flight, but no longer than the timeout.

        Calls that gRPC has read but not handed over are in flight too, and nobody can count them. So it waits until no
        call arrives for a while. It does not wait for callers who retry without end.
        """
        self.is_closed = True
        for notify in self.on_close:
            notify()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._all_leave()
                await self._none_arrives(_QUIET_SECONDS, _MAXIMUM_QUIET_WAITS)
                await self._all_leave()

    async def _all_leave(self) -> None:
        while self.in_flight or self.coming:
            self._idle.clear()
            await self._idle.wait()

    async def _none_arrives(self, seconds: float, maximum_waits: int) -> None:
        """Waits until no call has arrived for so long, or that was waited for often enough."""
        for _ in range(maximum_waits):
            arrived = self.arrived
            await asyncio.sleep(seconds)
            if self.arrived == arrived:
                break
