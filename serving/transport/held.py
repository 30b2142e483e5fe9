"""Held: the memory that all callers hold together, from a request's arrival until its reply is written."""

from collections.abc import Callable

from serving.batching.waiting_room import WaitingRoom
from serving.in_flight import Calls
from vaeserve.errors import Overloaded

_COPIES = 2  # of each byte: a request as message and as rows, a reply as message and in gRPC until it is written
_SMALL = 1024  # a call that takes at most this fraction of the limit may use all of it
_RETRY_SECONDS = 0.5


class Held:
    """One budget of bytes for all calls and streams; without it, many callers who do not read would fill the memory.

    Large messages leave an eighth of it to small ones, and requests leave another quarter to replies, so that waiting
    calls can be answered. While at most an eighth is held, a message of any size fits. Sizes are those of messages;
    the memory that they take is more, and is computed here.

    Args:
        limit_bytes: maximum that may be held.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        """Held now."""
        self._peak_bytes = 0
        self.refused = 0
        """Calls and streams that were refused because there was no memory for them."""
        self._plenty = limit_bytes - limit_bytes // 4 - limit_bytes // 8
        # By whether requests wait there. Replies wait apart, because a reply and a request would wait for each other.
        self._rooms = {False: WaitingRoom(), True: WaitingRoom()}

    def add(self, size: int) -> None:
        """Counts a message of some size; a negative size is given back."""
        self.bytes += _COPIES * size
        self._peak_bytes = max(self._peak_bytes, self.bytes)
        if size < 0:
            self.wake_waiting()

    def take_peak(self) -> int:
        """Returns the maximum that was held since the last call of this."""
        peak, self._peak_bytes = self._peak_bytes, self.bytes
        return peak

    def fits(self, size: int, *, is_request: bool = False) -> bool:
        """Whether a message of some size may be held, too."""
        taken, limit = _COPIES * size, self.limit_bytes
        if self.bytes + taken <= self._plenty:
            return True
        if taken <= limit // _SMALL:
            return self.bytes + taken <= limit
        return self.bytes + taken <= limit - limit // 8 - (limit // 4 if is_request else 0) or self.bytes <= limit // 8

    def take(self, size: int, *, is_request: bool = False) -> None:
        """Counts a message as `add` does, if it fits.

        Raises:
            Overloaded: it does not fit.
        """
        if not self.fits(size, is_request=is_request):
            raise self.full(f"callers hold {self.bytes} bytes of {self.limit_bytes}")
        self.add(size)

    async def wait_for_room(self, size: int, is_over: Callable[[], bool], *, is_request: bool = False) -> None:
        """Waits until a message fits, or until it is over: requests behind requests, replies behind replies.

        Raises:
            Overloaded: it does not fit, and is so large that others would wait too long behind it.
        """
        if not self.fits(size, is_request=is_request):
            if _COPIES * size > self.limit_bytes // 4:
                raise self.full(f"callers hold {self.bytes} bytes of {self.limit_bytes}")
            await self._rooms[is_request].wait(lambda: is_over() or self.fits(size, is_request=is_request), None)

    def wake_waiting(self) -> None:
        """Wakes the first of the requests and of the replies that wait, to see whether there is room or it is over."""
        for room in self._rooms.values():
            if room.has_waiters:
                room.wake_first()

    def full(self, message: str) -> Overloaded:
        """Counts a refusal, and returns its error."""
        self.refused += 1
        return Overloaded(message, _RETRY_SECONDS, "MEMORY_FULL")


class CallMemory:
    """What one unary call holds, and how far it has come.

    Args:
        held: what all callers hold.
        calls: counts it.
    """

    __slots__ = ("_calls", "_has_entered", "_held", "_size")

    def __init__(self, held: Held, calls: Calls) -> None:
        self._held = held
        self._calls = calls
        self._size = 0
        self._has_entered = False

    def enter(self) -> None:
        """Counts the call as one whose message is here."""
        self._has_entered = True
        self._calls.enter()

    def take(self, size: int, *, is_request: bool = False) -> None:
        """Counts a message.

        Raises:
            Overloaded: it does not fit.
        """
        self._held.take(size, is_request=is_request)
        self._size += size

    def give_back(self, context: object) -> None:
        """Gives back all that the call holds: gRPC is done with it."""
        self._held.add(-self._size)
        self._calls.close_unary(has_entered=self._has_entered)
