"""Context: one call as gRPC has it: what the caller sent, and what is sent back."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from serving.transport import core
from serving.transport.request_ids import RequestId
from serving.transport.status import Refusal

Metadata = Sequence[tuple[str, str | bytes]]
"""What a caller sent beside its message."""

_NO_FLAGS = 0
_NEVER = 2.0**40  # seconds; gRPC has a time that no clock reaches for calls without a deadline
_CODES = {code: code.value[0] for code in grpc.StatusCode}


class Aborted(Exception):
    """The call was ended meanwhile, with an error that its caller was told."""


class CallerLeft(Exception):
    """A message could not be sent, because the caller has left."""


class Context:
    """One call, from when gRPC hands it over until gRPC is done with it. It belongs to the event loop.

    Args:
        event: with which gRPC hands it over.
    """

    __slots__ = (
        "_call", "_callbacks", "_deadline", "_is_begun", "_is_failed", "_task", "code", "metadata", "method",
        "request_id",
    )  # fmt: skip

    def __init__(self, event: core.Event) -> None:
        self._call = event.call
        self._deadline: float = event.call_details.deadline
        self._callbacks: list[Callable[[Context], object]] = []
        self._task: asyncio.Task[None] | None = None
        self._is_begun = False
        self._is_failed = False
        self.method: bytes = event.call_details.method
        """The path of its method; callers may send any bytes."""
        self.metadata: Metadata = event.invocation_metadata
        """What the caller sent beside its message."""
        self.request_id = RequestId(None)
        """Told to the caller with an error, and with an answer if the caller sent it."""
        self.code: grpc.StatusCode | None = None
        """With which it ended; None until it is answered, and where its caller left."""
        self._start((core.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._closed)

    @property
    def path(self) -> str:
        """Its method's path, with whatever is not printable escaped."""
        return repr(self.method)[2:-1]

    @property
    def seconds_left(self) -> float | None:
        """Time until its deadline; None if it has none."""
        return None if self._deadline > _NEVER else max(0.0, self._deadline - time.time())

    def add_done_callback(self, callback: "Callable[[Context], object]") -> None:
        """Calls back when gRPC is done with the call: its answer was sent, or its caller left."""
        self._callbacks.append(callback)

    def keep(self, task: "asyncio.Task[None] | None") -> None:
        """Keeps the task that answers the call, until it has ended; it is cancelled when the caller leaves."""
        self._task = task

    async def read(self) -> bytes | None:
        """Returns the next message; None after the last one, when the caller has left, or where gRPC cannot read it.

        Raises:
            Aborted: the call was ended meanwhile.
        """
        self._check()
        received = await self._do(core.ReceiveMessageOperation(_NO_FLAGS))
        self._check()
        return received[0].message() if received else None

    async def write(self, message: bytes) -> None:
        """Sends a message, and waits until gRPC has taken it over, which depends on how fast the caller reads.

        Raises:
            Aborted: the call was ended meanwhile.
            CallerLeft: nobody reads any more.
        """
        self._check()
        if not await self._do(*self._beginning(), core.SendMessageOperation(message, _NO_FLAGS)):
            self._check()
            raise CallerLeft

    def finish(self, message: bytes | None = None) -> None:
        """Ends the call as answered, perhaps with a last message. The caller hears of it as fast as it reads."""
        trailers = self.request_id.trailers if self.request_id.is_callers else ()
        sending = () if message is None else (core.SendMessageOperation(message, _NO_FLAGS),)
        self._end(grpc.StatusCode.OK, "", trailers, *sending)

    def fail(self, refusal: Refusal) -> None:
        """Ends the call with an error, unless it has ended. Whoever answers it can read and write no more."""
        if self.code is None:
            self._is_failed = True
            self._end(refusal.code, refusal.message, (*refusal.trailers, *self.request_id.trailers))

    def _check(self) -> None:
        if self._is_failed:
            raise Aborted

    def _beginning(self) -> tuple[object, ...]:
        """Returns what goes before the first message, or before the end of a call without one."""
        if self._is_begun:
            return ()
        self._is_begun = True
        return (core.SendInitialMetadataOperation(None, _NO_FLAGS),)

    def _end(self, code: grpc.StatusCode, message: str, trailers: Metadata, *messages: object) -> None:
        status = core.SendStatusFromServerOperation(trailers, _CODES[code], message.encode(), _NO_FLAGS)
        self._start((*self._beginning(), *messages, status), _ignore)
        self.code = code

    def _do(self, *operations: object) -> "asyncio.Future[Sequence[Any]]":
        """Starts operations. Returns them with what came of them; empty if they failed."""
        done: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()

        def complete(event: core.Event) -> None:
            if not done.done():
                done.set_result(event.batch_operations if event.success else ())

        self._start(operations, complete)
        return done

    def _start(self, operations: Sequence[object], complete: Callable[[core.Event], None]) -> None:
        if error := self._call.start_server_batch(operations, complete):
            raise RuntimeError(f"gRPC refused operations: error {error}")

    def _closed(self, event: core.Event) -> None:
        """Takes in that gRPC is done with the call."""
        if event.batch_operations[0].cancelled() and self._task is not None:
            self._task.cancel()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


def _ignore(event: core.Event) -> None:
    """Does nothing: whether the end of a call was sent is told by its close."""
