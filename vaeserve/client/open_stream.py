"""Open streams: messages are sent as fast as gRPC takes them, and are read one after another."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from vaeserve.client.failures import StreamFailure

M = TypeVar("M")
Take = Callable[[], Message | None]
"""Returns the next message to send; None if there is none."""

_BROKEN_WRITE = "Internal error from Core"  # grpc.aio's message when a connection breaks during a write
_AHEAD = 4  # number of messages that are read ahead
_FINISH_SECONDS = 1.0  # ample for a server to end a stream with nothing in flight
_HEAR_SECONDS = 0.01


class OpenStream(Generic[M]):
    """A stream for one thread, which reads from it and wakes it when there is something to send.

    Args:
        begin: begins the RPC. With `take`, its argument is an iterator of the messages to send.
        take: returns the next message to send. Called on one of gRPC's threads, never after `close`.
    """

    def __init__(self, begin: Callable[..., Any], take: Take | None = None) -> None:
        self._take = take
        self._is_closed = False
        self._lock = threading.Lock()
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._inbox: SimpleQueue[M | Exception] = SimpleQueue()
        self._room = threading.Semaphore(_AHEAD)
        self._call = begin(self._outgoing(take)) if take else begin()
        threading.Thread(target=self._receive, daemon=True).start()

    def wake(self) -> None:
        """Says that there may be something to send."""
        self._wakes.put(None)

    @property
    def has_message(self) -> bool:
        """Whether `read` would return or raise at once."""
        return not self._inbox.empty()

    def read(self, timeout_seconds: float) -> M:
        """Returns the next message.

        Raises:
            TimeoutError: no message came in time.
            StreamFailure: the stream broke or ended.
        """
        try:
            message = self._inbox.get(timeout=timeout_seconds)
        except Empty:
            raise TimeoutError from None
        if isinstance(message, Exception):
            raise message
        self._room.release()
        return message

    def close(self) -> None:
        """Ends the stream."""
        with self._lock:
            self._is_closed = True
        self._call.cancel()
        self._wakes.put(None)
        self._room.release()

    def _outgoing(self, take: Take) -> Iterator[Message]:
        while True:
            self._wakes.get()
            while True:
                with self._lock:
                    message = None if self._is_closed else take()
                if message is None:
                    break
                yield message
            if self._is_closed:
                return

    def _receive(self) -> None:
        try:
            while self._room.acquire() and not self._is_closed:
                self._inbox.put(next(self._call))
        except StopIteration:
            self._inbox.put(StreamFailure.ended())
        except grpc.RpcError as exc:
            self._inbox.put(StreamFailure.of_stream(exc))
        except Exception as exc:  # the reader must hear of it, or it would wait for ever
            self._inbox.put(exc)


class AsyncOpenStream(Generic[M]):
    """A stream for one task, which reads from it and wakes it when there is something to send.

    Args:
        call: the RPC.
        take: returns the next message to send.
    """

    def __init__(
        self, call: "grpc.aio.StreamStreamCall[Any, M] | grpc.aio.UnaryStreamCall[Any, M]", take: Take | None = None
    ) -> None:
        self._call = call
        self._wake = asyncio.Event()
        self._is_closed = False
        self._failure: Exception | None = None
        self._writer: asyncio.Task[None] | None = None
        if take is not None and isinstance(call, grpc.aio.StreamStreamCall):
            self._writer = asyncio.create_task(self._send(call, take))

    def wake(self) -> None:
        """Says that there may be something to send. Calls that gather before the next write share a message."""
        self._wake.set()

    async def read(self) -> M:
        """Returns the next message.

        Raises:
            StreamFailure: the stream broke or ended.
            Exception: `take` raised it.
        """
        try:
            message = await self._call.read()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._failure or StreamFailure(grpc.StatusCode.CANCELLED, "the stream was cancelled") from None
        except grpc.aio.AioRpcError as exc:
            if exc.code() is grpc.StatusCode.INTERNAL and exc.details() == _BROKEN_WRITE:
                raise StreamFailure(grpc.StatusCode.UNAVAILABLE, "the stream broke while it was written to") from exc
            raise StreamFailure.of_stream(exc) from exc
        if message is grpc.aio.EOF:
            raise StreamFailure.ended()
        return cast(M, message)

    async def finish(self, reader: "asyncio.Task[Any] | None" = None) -> None:
        """Ends a stream on which nothing is in flight: tells the server, and waits for it to end the stream too.

        Args:
            reader: a task that reads to the end; None: this method does.
        """
        self._is_closed = True
        self._wake.set()
        with suppress(TimeoutError, grpc.RpcError, asyncio.InvalidStateError):
            async with asyncio.timeout(_FINISH_SECONDS):
                if self._writer is not None:
                    await self._writer
                if isinstance(self._call, grpc.aio.StreamStreamCall):
                    await self._call.done_writing()
                if reader is None:
                    await self._read_on()
                else:
                    await asyncio.wait({reader})

    def close(self) -> None:
        """Cancels the stream. A read or write in progress ends by itself: see `ended`."""
        self._is_closed = True
        self._wake.set()
        self._call.cancel()

    async def ended(self, *readers: "asyncio.Task[Any] | None") -> None:
        """Waits, after `close`, for the last read and write.

        If gRPC reports the end of an RPC after its loop is gone, it complains in the next loop. The end of a cancelled
        RPC is reported within microseconds, and gRPC has nothing to wait for it with.

        Args:
            readers: tasks that read.
        """
        tasks = [task for task in (self._writer, *readers) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._call.cancelled():
            await asyncio.sleep(_HEAR_SECONDS)

    async def _read_on(self) -> None:
        while await self._call.read() is not grpc.aio.EOF:
            pass

    async def _send(self, call: "grpc.aio.StreamStreamCall[Any, M]", take: Take) -> None:
        try:
            while not self._is_closed:
                while (message := take()) is not None:
                    await call.write(message)
                await self._wake.wait()
                self._wake.clear()
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # the reader hears of it from gRPC
        except Exception as exc:  # the reader must hear of it, or it would wait for ever
            self._failure = exc
            call.cancel()
