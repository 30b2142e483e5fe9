"""SharedStream: the concurrent calls of one process over one stream, where a call costs both sides far less.

Each message sent holds all calls that have gathered since the last one; each message received holds all replies that
were ready together. Every call keeps its own deadline, cancellation, error and retries.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from vaeserve.client.failures import StreamFailure, stream_pause
from vaeserve.client.open_stream import AsyncOpenStream
from vaeserve.client.stream_messages import CANCELLED_LIMIT, answer_of, call_of, take_calls
from vaeserve.errors import CallError, VaeError
from vaeserve.v1 import vae_pb2 as pb

_ATTEMPTS = 5  # as many as gRPC makes of a unary call
_INTERACTIVE = ("vae-class", "interactive")


class SharedStream:
    """Calls of every verb, over one stream at a time. It is called like gRPC's own unary methods.

    Args:
        begin: begins the RPC.
        metadata: sent when a stream begins; what only one of its calls sends does not belong there.
    """

    def __init__(
        self, begin: Callable[..., "grpc.aio.StreamStreamCall[Any, Any]"], metadata: tuple[tuple[str, str], ...]
    ) -> None:
        self._begin = begin
        self._metadata = (*metadata, _INTERACTIVE)
        self._stream: _OneStream | None = None

    async def __call__(
        self,
        request: Message,
        *,
        timeout: float,  # noqa: ASYNC109, gRPC's own name
        metadata: tuple[tuple[str, str], ...],
    ) -> Message:
        """Returns the reply to a request.

        Args:
            request: of a unary RPC.
            timeout: in seconds.
            metadata: as a unary call takes it; the stream has its own, and the call's trace is a field of the call.

        Raises:
            grpc.RpcError: as the unary call does.
        """
        deadline = time.monotonic() + timeout
        for attempt in itertools.count(1):
            try:
                return await self._current().call(request, deadline - time.monotonic())
            except StreamFailure as exc:
                pause = stream_pause(attempt - 1)
                if not exc.is_passing or attempt == _ATTEMPTS or time.monotonic() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("attempts ran out of numbers. This is a bug.")

    async def close(self, error: Callable[[], VaeError]) -> None:
        """Ends the stream. Each call in progress fails with its own error."""
        if self._stream is not None:
            await self._stream.finish()
            self._stream.close(error)
            await self._stream.ended()

    def _current(self) -> "_OneStream":
        if self._stream is None or self._stream.is_over:
            self._stream = _OneStream(self._begin(metadata=self._metadata))
        return self._stream


class _OneStream:
    """One stream, until it breaks."""

    def __init__(self, call: "grpc.aio.StreamStreamCall[Any, Any]") -> None:
        self.is_over = False
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._unsent: deque[pb.Call] = deque()
        self._cancelled: list[int] = []
        self._stream: AsyncOpenStream[Any] = AsyncOpenStream(call, self._take_message)
        self._reader = asyncio.create_task(self._read())

    async def call(self, request: Message, seconds: float) -> Message:
        """Sends a request and returns its reply. Cancelling the wait cancels the call.

        Raises:
            StreamFailure: the call failed, or the stream did.
        """
        number = next(self._ids)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        microseconds = max(1, round(seconds * 1e6))
        self._unsent.append(call_of(number, request, microseconds))
        self._stream.wake()
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise StreamFailure(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        finally:
            if self._waiting.pop(number, None) is not None:
                self._cancelled.append(number)
                self._stream.wake()

    def close(self, error: Callable[[], Exception]) -> None:
        """Ends the stream. Each call in progress fails with its own error."""
        self.is_over = True
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error())
        self._stream.close()

    async def finish(self) -> None:
        """Ends the stream in agreement with the server, unless calls are in progress."""
        if not self._waiting and not self.is_over:
            self.is_over = True
            await self._stream.finish(self._reader)

    async def ended(self) -> None:
        """Waits, after `close`, until gRPC is done with the stream."""
        await self._stream.ended(self._reader)

    def _take_message(self) -> pb.CallStreamRequest | None:
        """Returns the calls that have gathered, without those that were cancelled before they were sent."""
        cancelled, self._cancelled = self._cancelled, []
        unsent = {call.id for call in self._unsent} if cancelled else set()
        gone = [number for number in cancelled if number not in unsent]
        if len(gone) < len(cancelled):
            self._unsent = deque(call for call in self._unsent if call.id in self._waiting)
        if not gone and not self._unsent:
            return None
        ids, self._cancelled = gone[:CANCELLED_LIMIT], gone[CANCELLED_LIMIT:]
        return pb.CallStreamRequest(calls=take_calls(self._unsent), cancelled_ids=ids, any_order=True)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._stream.read()
                for reply in message.replies:
                    self._settle(reply)
        except StreamFailure as exc:
            broken = exc
            self.close(lambda: StreamFailure.of_stream(broken))
        except asyncio.CancelledError:
            self.close(lambda: StreamFailure(grpc.StatusCode.CANCELLED, "the shared stream's reader was cancelled"))
            raise
        except Exception as exc:
            bug = exc
            self.close(lambda: CallError("INTERNAL", f"the shared stream failed: {bug!r}. This is a bug."))

    def _settle(self, reply: pb.Reply) -> None:
        answer = answer_of(reply)
        if answer is None and not reply.id:
            raise StreamFailure.of_reply(reply.error)  # no call could be read
        future = self._waiting.pop(reply.id, None)
        if future is None or future.done():
            return
        if answer is None:
            future.set_exception(StreamFailure.of_reply(reply.error))
        else:
            future.set_result(answer)
