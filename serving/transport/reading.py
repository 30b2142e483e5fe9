"""Reading: waits for callers' messages, and gives up half-read ones when they fill the memory.

gRPC holds a message until all of it has arrived, and does not say how much it has. So the measure is how far the
process has grown. A short message arrives a moment after its call; only those that take longer are watched.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from serving.transport.context import Context
from serving.transport.heap import Heap
from serving.transport.held import Held
from serving.transport.status import Refusal, refusal_of

_SLOW_SECONDS = 0.05  # little fits through a network in this time
_RELEASE_SECONDS = 0.05  # time that gRPC takes to free what it had read

M = TypeVar("M", bound=Message)
Parse = Callable[[bytes], object]
"""Makes a message of its bytes; raises DecodeError or ValueError for bytes that are not such a message."""


class Received(NamedTuple):
    """A message as it arrived."""

    message: Any
    """None: the bytes are not a message of the method's type."""
    size: int
    """Bytes on the wire."""


def parse_or_fail(context: Context, content: bytes, kind: type[M]) -> M | None:
    """Returns a message of a type; None, and the call has failed, where the bytes are not such a message."""
    try:
        return kind.FromString(content)
    except DecodeError:
        wrong = f"the message is not a {kind.DESCRIPTOR.name}"
        context.fail(Refusal(grpc.StatusCode.INVALID_ARGUMENT, wrong, ()))
        return None


class Reading:
    """Reads the messages of calls and streams.

    Args:
        held: what callers hold.
        heap: measures how far the process has grown.
    """

    def __init__(self, held: Held, heap: Heap) -> None:
        self._held = held
        self._heap = heap
        self._reads: dict[Context, tuple[float, bool]] = {}  # start, and whether it is a stream
        self._timer: asyncio.TimerHandle | None = None
        self._relief: asyncio.Task[None] | None = None

    @property
    def is_slow(self) -> bool:
        """Whether some message has been waited for so long that much of it may have arrived."""
        return next(self._slow(), None) is not None

    async def read(self, context: Context, parse: Parse, *, is_stream: bool = False) -> Received | None:
        """Returns a call's next message; None after the last one.

        Args:
            context: of the call.
            parse: makes a message of its bytes.
            is_stream: whether the next message may be a long time coming; these are given up last.

        Raises:
            Aborted: the message was given up, and the caller has been told.
        """
        if self._relief is not None:
            await asyncio.wait([self._relief])
        loop = asyncio.get_running_loop()
        self._reads[context] = loop.time(), is_stream
        if self._timer is None:
            self._timer = loop.call_later(_SLOW_SECONDS, self._look)
        try:
            content = await context.read()
        finally:
            del self._reads[context]
        if content is None:
            return None
        try:
            return Received(parse(content), len(content))
        except (DecodeError, ValueError):
            return Received(None, len(content))

    def _slow(self) -> Iterator[tuple[Context, bool]]:
        latest = asyncio.get_running_loop().time() - _SLOW_SECONDS
        for context, (began, is_stream) in self._reads.items():
            if began <= latest:
                yield context, is_stream

    def _look(self) -> None:
        """Watches the memory for as long as messages are waited for."""
        self._timer = None
        if self.is_slow and self._relief is None and self._heap.is_full:
            self._relief = asyncio.create_task(self._relieve())
            self._relief.add_done_callback(self._relieved)
        if self._reads:
            self._timer = asyncio.get_running_loop().call_later(_SLOW_SECONDS, self._look)

    def _relieved(self, relief: "asyncio.Task[None]") -> None:
        self._relief = None
        relief.result()

    async def _relieve(self) -> None:
        """Gives up messages until the process is small again. No new message is read meanwhile."""
        await self._heap.relieve()
        # Twice, because messages that began just before this are not slow yet: to settle would take them for the
        # process's own memory. None begins meanwhile, so by the second time all that are not here are slow.
        for are_streams in (False, False, True):
            if not self._heap.is_full:
                return
            for context in [context for context, is_stream in self._slow() if is_stream is are_streams]:
                context.fail(refusal_of(self._held.full("memory is short, and the message has not arrived yet")))
            await asyncio.sleep(_RELEASE_SECONDS)
            await self._heap.relieve()
        self._heap.settle()
