"""Streams: many calls over one connection, read no faster than they are answered.

A stream has a window of bytes and calls in flight, from a call's arrival until its reply is written. While it is full
the server does not read, so HTTP/2's flow control holds the sender back; while the client does not read, the writer
waits and the window stays full. Replies that are ready together travel in one message: that, and calls that arrive in
one, is what makes a call over a stream cheap.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic

import grpc

from serving.batching.line import Answer
from serving.models.registry import Served
from serving.transport.request_ids import RequestId
from serving.transport.status import refuse
from serving.vae_v1.deadlines import Alarm
from serving.vae_v1.replies import Replies
from serving.vae_v1.requests import Undecoded
from serving.vae_v1.rpcs import A, AnyRows, is_bulk
from serving.vae_v1.stream_kinds import MESSAGE_BYTES, Pending, Reply, StreamKind, Streams
from serving.vae_v1.window import Window
from vaeserve.errors import DeadlinePassed, InvalidInput, ShuttingDown
from vaeserve.v1 import vae_pb2 as pb

_ROW_BYTES = 256  # what a row takes at least, or a stream of small rows would fill the batcher's queue
_CALL_BYTES = 512  # what a call takes beside its tensors: enough to count for those that are refused
_MOST_CANCELLED = 65_536  # ids in a message: millions would hold up the event loop
_CANCELLED = pb.Error(code=grpc.StatusCode.CANCELLED.value[0], message="the caller cancelled the call")

Context = grpc.aio.ServicerContext[Any, Any]
Respond = Callable[..., Awaitable[object]]


class CallStream(Generic[AnyRows, A, Reply]):
    """One EncodeStream or DecodeStream.

    Raises:
        InvalidInput: the metadata names no class.
    """

    def __init__(
        self, kind: StreamKind[AnyRows, A, Reply], streams: Streams, context: Context, request_id: RequestId
    ) -> None:
        self._kind = kind
        self._models, self._images = streams.models, streams.images
        self._calls, self._tally, self._turns = streams.calls, streams.tally, streams.turns
        self._held, self._reading = streams.held, streams.reading
        self._context = context
        self._request_id = request_id
        self._bulk = is_bulk(context, default=True)
        self._waiting: dict[int, Pending[A, Reply]] = {}  # for their answers, by id
        self._replies: Replies[A, Reply] = Replies()
        self._window = Window(streams.window_bytes, self._held)
        self._alarm = Alarm(self._expire)
        self._wake = asyncio.Event()  # for the writer: a reply is ready, or the stream may end

    async def run(self) -> None:
        """Answers until the client has sent its last call and got its last reply.

        Raises:
            ShuttingDown: the server stops; what it had accepted is answered.
        """
        self._calls.on_close.add(self._wake.set)
        # It is never cancelled: gRPC's own end of the stream ends a read, and cancelling one would leave gRPC writing
        # to memory that Python has let go of.
        reading = asyncio.create_task(self._read())
        reading.add_done_callback(lambda _: self._wake.set())
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, if no writer is left
        try:
            await self._write(reading)
        except grpc.aio.InternalError:  # the caller has left; maybe after its message was given up
            self._window.close()  # so that the reading ends
            await asyncio.wait([reading])
            if isinstance(reading.exception(), grpc.aio.AbortError):
                reading.result()
            raise
        finally:
            self._window.close()
            self._alarm.stop()
            self._calls.on_close.discard(self._wake.set)
            for pending in self._waiting.values():
                self._count(pending, grpc.StatusCode.CANCELLED)
                if pending.answer is not None:
                    pending.answer.cancel()
            for _ in range(self._window.calls):
                self._calls.leave(self._context)

    async def _write(self, reading: "asyncio.Task[None]") -> None:
        while True:
            if self._turns.is_spent():
                await self._turns.pause()  # replies that are to be rendered come first, and travel with those that are
            batch = self._replies.take_ready()
            if batch:
                message = self._kind.message(replies=[pending.reply for pending in batch])
                for pending in batch:
                    pending.reply = None  # the message holds a copy, and writing may take long
                await self._context.write(message)
                self._release(batch)
            elif not self._window.calls and reading.done():
                return reading.result()
            elif not self._window.calls and self._calls.closed:
                raise ShuttingDown()
            else:
                self._wake.clear()
                await self._wake.wait()

    def _release(self, written: list[Pending[A, Reply]]) -> None:
        for pending in written:
            self._window.remove(pending.size)
            self._calls.leave(self._context)

    async def _read(self) -> None:
        is_first = True
        while await self._may_read():
            received = await self._reading.read(self._context, self._request_id, is_stream=True)
            if received is None:
                return
            message, size = received
            self._window.arrive(size)
            if message is None:
                await self._refuse_message(InvalidInput("request", "is no message of the RPC's type"))
            elif len(message.cancelled_ids) > _MOST_CANCELLED:
                many = f"holds {len(message.cancelled_ids)} ids, a message takes at most {_MOST_CANCELLED}"
                await self._refuse_message(InvalidInput("cancelled_ids", many))
            else:
                self._replies.any_order |= is_first and message.any_order
                await self._begin_all(message)
            self._window.forget()
            received = message = None  # it would stay until the next one is here
            is_first = False

    async def _may_read(self) -> bool:
        """Waits while callers hold much. Says whether to read on."""
        await self._window.wait_for_memory(MESSAGE_BYTES, lambda: self._calls.closed)
        return not self._stops_reading

    async def _refuse_message(self, error: InvalidInput) -> None:
        """Answers a whole message with one error."""
        await self._window.wait_for_room(_CALL_BYTES)
        if not self._stops_reading:
            self._refuse(self._accept(0, _CALL_BYTES), error)

    @property
    def _stops_reading(self) -> bool:
        return self._window.is_closed or self._calls.closed

    async def _begin_all(self, message: pb.EncodeStreamRequest | pb.DecodeStreamRequest) -> None:
        cancelled = set(message.cancelled_ids)
        for number in cancelled & self._waiting.keys():
            if self._turns.is_spent():
                await self._turns.pause()
            if number in self._waiting:
                self._cancel(self._waiting[number])
        for call in message.calls:
            if self._turns.is_spent():
                await self._turns.pause()
            size = call.ByteSize() + _CALL_BYTES
            await self._window.wait_for_room(size)
            if self._stops_reading:
                return
            pending = self._accept(call.id, size)
            if call.id in cancelled:
                self._cancel(pending)
            else:
                self._begin(pending, call)

    def _accept(self, number: int, size: int) -> Pending[A, Reply]:
        """Counts a call."""
        pending: Pending[A, Reply] = Pending(number, size)
        self._window.add(size)
        self._calls.enter()
        self._replies.expect(pending)
        return pending

    def _begin(self, pending: Pending[A, Reply], call: pb.EncodeCall | pb.DecodeCall) -> None:
        """Queues a call's rows; whatever is wrong with it is its own."""
        try:
            if pending.id in self._waiting:
                raise InvalidInput("id", f"{pending.id} is the id of a call that is not answered yet")
            served = self._models.find(call.request.model, call.request.version)
            timeout_seconds = self._timeout(pending, call.timeout_microseconds)
            answer = self._start(pending, call.request, served, timeout_seconds)
        except Exception as exc:
            return self._refuse(pending, exc)
        served.hold()
        answer.add_done_callback(served.release)
        pending.answer = answer
        self._waiting[pending.id] = pending

    def _start(
        self,
        pending: Pending[A, Reply],
        request: pb.EncodeRequest | pb.DecodeRequest,
        served: Served,
        timeout_seconds: float | None,
    ) -> "asyncio.Future[Any]":
        """Returns where a call's answer will be. One with images, a long one, or one without room costs a task."""
        rpc, manifest = self._kind.rpc, served.accepts.manifest
        rows = rpc.parse(request, served.accepts)
        size = max(rpc.takes_bytes(request, rows, manifest), len(rows) * _ROW_BYTES)
        has_no_room = not self._held.fits(size)
        if isinstance(rows, Undecoded) or rpc.writes_images(request) or rpc.is_long(rows, manifest) or has_no_room:
            respond = partial(rpc.respond, request, rows, served, self._images, timeout_seconds)
            answer: asyncio.Future[Any] = asyncio.ensure_future(self._respond(pending, size, respond))
            answer.add_done_callback(partial(self._answered, pending, None))
            return answer
        self._enlarge(pending, size)
        answer = self._queue(served, rows, timeout_seconds)
        render = partial(rpc.render, request, rows, manifest=manifest)
        answer.add_done_callback(partial(self._answered, pending, render))
        return answer

    async def _respond(self, pending: Pending[A, Reply], size: int, respond: Respond) -> object:
        """Returns a call's reply, once there is room for it."""
        await self._held.wait_for_room(size, lambda: False)
        self._enlarge(pending, size)
        return await respond(bulk=self._bulk, patient=self._bulk)

    def _enlarge(self, pending: Pending[A, Reply], size: int) -> None:
        """Counts the reply that will come, so that the window holds it too."""
        pending.size += size
        self._window.enlarge(size)

    def _queue(self, served: Served, rows: AnyRows, timeout_seconds: float | None) -> "asyncio.Future[Answer[A]]":
        """Queues rows without a task of their own, unless they must wait for room."""
        queue = self._kind.rpc.queue(served)
        if self._bulk and not queue.has_room(len(rows), bulk=True):
            return asyncio.ensure_future(queue.submit(rows, timeout_seconds, bulk=True, patient=True))
        return queue.enqueue(rows, timeout_seconds, bulk=self._bulk)

    def _timeout(self, pending: Pending[A, Reply], microseconds: int) -> float | None:
        """Returns a call's timeout in seconds, and sees to it that it is kept."""
        if microseconds < 0:
            raise InvalidInput("timeout_microseconds", f"is {microseconds}, must be 0 or more")
        if not microseconds:
            return None
        pending.deadline = time.monotonic() + microseconds / 1e6
        self._alarm.set(pending.deadline)
        return microseconds / 1e6

    def _expire(self) -> None:
        """Answers the calls that are late, and sets the next alarm."""
        now = time.monotonic()
        for pending in list(self._waiting.values()):
            if pending.deadline <= now:
                late = DeadlinePassed("the call's time ran out before its answer")
                self._turns.do(partial(self._refuse, pending, late))
            elif pending.deadline < math.inf:
                self._alarm.set(pending.deadline)

    def _cancel(self, pending: Pending[A, Reply]) -> None:
        self._settle(pending, self._kind.reply(id=pending.id, error=_CANCELLED), grpc.StatusCode.CANCELLED)

    def _answered(
        self, pending: Pending[A, Reply], render: Callable[..., Any] | None, answer: "asyncio.Future[Any]"
    ) -> None:
        """Renders a call's reply. Soon: answers may be views of whole batches, and the writer may be held up."""
        if not answer.cancelled():
            self._turns.do(partial(self._render, pending, render, answer))

    def _render(
        self, pending: Pending[A, Reply], render: Callable[..., Any] | None, answer: "asyncio.Future[Any]"
    ) -> None:
        if self._is_settled(pending):
            return
        try:
            response = answer.result() if render is None else render(answer=answer.result())
        except Exception as exc:
            return self._refuse(pending, exc)
        self._settle(pending, self._kind.reply(id=pending.id, response=response), grpc.StatusCode.OK)

    def _refuse(self, pending: Pending[A, Reply], error: Exception) -> None:
        refusal = refuse(f"a call of {self._kind.rpc.name}Stream", error)
        told = pb.Error(code=refusal.code.value[0], message=refusal.message, details=refusal.details)
        self._settle(pending, self._kind.reply(id=pending.id, error=told), refusal.code)

    def _settle(self, pending: Pending[A, Reply], reply: Reply, code: grpc.StatusCode) -> None:
        """Readies a call's reply for the writer, once; what its rows still bring is not waited for."""
        if self._is_settled(pending):
            return
        pending.reply, pending.is_settled = reply, True
        self._count(pending, code)
        if self._waiting.get(pending.id) is pending:
            del self._waiting[pending.id]
        if pending.answer is not None:
            pending.answer.cancel()
        self._replies.add(pending)
        self._wake.set()

    def _is_settled(self, pending: Pending[A, Reply]) -> bool:
        return pending.is_settled or self._window.is_closed

    def _count(self, pending: Pending[A, Reply], code: grpc.StatusCode) -> None:
        self._tally.count(self._kind.rpc.name, "stream", code.name, time.monotonic() - pending.arrived)
