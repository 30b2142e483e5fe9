"""Streams: many calls over one connection, read no faster than they are answered.

A stream has a window of bytes and calls in flight, from a call's arrival until its reply is written. While the window
is full the server does not read, so HTTP/2 flow control holds the sender back. While the client does not read, the
writer waits and the window stays full. Replies that are ready together share a message, as calls that arrive together
do: that is what makes a call over a stream cheap.
"""

import asyncio

from serving.transport.context import Context
from serving.transport.reading import Parse
from serving.vae_v1.call_class import is_bulk_context
from serving.vae_v1.flow_window import FlowWindow
from serving.vae_v1.stream_calls import CALL_BYTES, StreamCalls
from serving.vae_v1.streams import MESSAGE_BYTES, Streams
from vaeserve.errors import InvalidInput, ShuttingDown
from vaeserve.v1 import vae_pb2 as pb

_MAXIMUM_CANCELLED = 65_536  # ids in a message: millions would hold up the event loop


class CallStream:
    """One stream of calls.

    Raises:
        InvalidInput: the metadata names a class that does not exist.
    """

    def __init__(self, streams: Streams, context: Context, parse: Parse) -> None:
        self._context, self._parse = context, parse
        self._reading, self._turns, self._in_flight = streams.reading, streams.turns, streams.calls
        self._window = FlowWindow(streams.window_bytes, streams.held)
        self._wake = asyncio.Event()  # for the writer: a reply is ready, or the stream may end
        bulk = is_bulk_context(context, default=True)
        self._calls = StreamCalls(streams, self._window, context.request_id, self._wake.set, is_bulk=bulk)

    async def run(self) -> None:
        """Answers until the client has sent its last call and received its last reply.

        Raises:
            ShuttingDown: the server stops; the calls that it had accepted are answered.
        """
        self._in_flight.on_close.add(self._wake.set)
        # It is never cancelled: the end of the call ends a read.
        reading = asyncio.create_task(self._read())
        reading.add_done_callback(lambda _: self._wake.set())
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved even without a writer
        try:
            await self._write(reading)
        finally:
            self._window.close()
            self._in_flight.on_close.discard(self._wake.set)
            self._calls.close()
            for _ in range(self._window.calls):
                self._in_flight.leave()

    async def _write(self, reading: "asyncio.Task[None]") -> None:
        while True:
            if self._turns.is_spent():
                await self._turns.pause()  # replies still to be rendered come first, and share the next message
            batch = self._calls.replies.take_ready()
            if batch:
                message = b"".join(call.reply for call in batch if call.reply is not None)
                for call in batch:
                    call.reply = None  # writing may take long
                await self._context.write(message)
                for call in batch:
                    self._window.remove(call.size)
                    self._in_flight.leave()
            elif not self._window.calls and reading.done():
                return reading.result()
            elif not self._window.calls and self._in_flight.is_closed:
                raise ShuttingDown()
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _read(self) -> None:
        """Begins the calls of each message, until the client has sent its last one.

        Raises:
            ShuttingDown: the server stops, and calls that have arrived may be dropped.
        """
        is_first = True
        while await self._may_read():
            received = await self._reading.read(self._context, self._parse, is_stream=True)
            if received is None:
                return
            message, size = received
            self._window.arrive(size)
            if message is None:
                await self._refuse_message(InvalidInput("request", "is not a message of the RPC's type"))
            elif len(message.cancelled_ids) > _MAXIMUM_CANCELLED:
                many = f"holds {len(message.cancelled_ids)} ids, a message takes at most {_MAXIMUM_CANCELLED}"
                await self._refuse_message(InvalidInput("cancelled_ids", many))
            else:
                self._calls.replies.any_order |= is_first and message.any_order
                await self._begin_all(message)
            self._window.forget()
            received = message = None  # it would stay in memory until the next one is here
            is_first = False
        if not self._window.is_closed:
            raise ShuttingDown()

    async def _may_read(self) -> bool:
        """Waits while callers hold too much memory. Returns whether to read on."""
        await self._window.wait_for_memory(MESSAGE_BYTES, lambda: self._in_flight.is_closed)
        return not self._stops_reading

    async def _refuse_message(self, error: InvalidInput) -> None:
        """Answers a whole message with one error."""
        await self._window.wait_for_room(CALL_BYTES)
        if not self._stops_reading:
            self._calls.refuse_message(error)

    @property
    def _stops_reading(self) -> bool:
        return self._window.is_closed or self._in_flight.is_closed

    async def _begin_all(self, message: pb.CallStreamRequest) -> None:
        cancelled = set(message.cancelled_ids)
        for number in self._calls.waiting(cancelled):
            if self._turns.is_spent():
                await self._turns.pause()
            self._calls.cancel(number)
        coming = len(message.calls)
        self._in_flight.expect(coming)
        try:
            for call in message.calls:
                if self._turns.is_spent():
                    await self._turns.pause()
                size = call.ByteSize() + CALL_BYTES
                await self._window.wait_for_room(size)
                if self._stops_reading:
                    return
                coming -= 1
                self._in_flight.coming -= 1  # before its rows are queued; `enter` keeps the server from stopping
                self._calls.take(call, size, is_cancelled=call.id in cancelled)
        finally:
            self._in_flight.stop_expecting(coming)
