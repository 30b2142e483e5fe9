"""Answering: what surrounds every method of every service.

A call's message is read, the call and the memory that it holds are counted, lines of the log get its request id, its
span begins and ends, and its error becomes a gRPC status.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.transport.context import Aborted, CallerLeft, Context
from serving.transport.front import Answer, Handler
from serving.transport.heap import Heap
from serving.transport.held import CallMemory, Held
from serving.transport.reading import Parse, Reading, Received
from serving.transport.recording import begin_span
from serving.transport.services import Method, Service
from serving.transport.status import Refusal, refuse
from vaeserve.errors import InvalidInput, ShuttingDown, VaeError

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from serving.tracing.spans import Spans

_CALL_BYTES = 4096  # of memory that a call takes beside its messages, in gRPC and here
_CANCEL_SECONDS = 5.0  # by then gRPC has told that a caller left


class Answering:
    """Answers the calls of every service, and counts them.

    Args:
        held_bytes: maximum memory that callers may hold.
        calls: counts those in flight.
        spans: makes the spans of calls; None: there are none.
    """

    def __init__(self, held_bytes: int, calls: Calls, spans: "Spans | None" = None) -> None:
        self.spans = spans
        self.held = Held(held_bytes)
        self.heap = Heap(self.held)
        self.reading = Reading(self.held, self.heap)
        self.calls = calls
        self.calls.on_close.add(self.held.wake_waiting)
        self.tally = CallTally()

    def handlers(self, service: Service) -> dict[str, Handler]:
        """Returns what answers the calls of a service, by the paths of its methods."""
        return {
            f"/{service.name}/{name}": partial(
                self._begin if method.stream is None else self._begin_stream, name, method
            )
            for name, method in service.methods.items()
        }

    def _begin(self, name: str, method: Method, context: Context) -> Answer | Refusal:
        """Counts a call that has arrived, and refuses one that cannot be answered whatever its message is."""
        if method.check is not None and not self.calls.is_closed:  # or it hears first that the server stops
            try:
                method.check(context)
            except VaeError as exc:
                refusal = refuse(name, exc, context.request_id)
                self.tally.count(name, "unary", refusal.code.name, 0.0)
                return refusal
        self.calls.open_unary()
        memory = CallMemory(self.held, self.calls)
        context.add_done_callback(memory.give_back)
        return self._answer(name, method, context, memory)

    async def _answer(self, name: str, method: Method, context: Context, memory: CallMemory) -> None:
        assert method.unary is not None, f"nothing answers {name}. This is a bug."
        _log_end(name, context)
        span = begin_span(self.spans, context.path[1:], context.request_id) if self.spans else None
        started, code, message = time.monotonic(), grpc.StatusCode.CANCELLED, ""
        try:
            request, size = await self._read_first(context, method.parse, memory)
            started = time.monotonic()
            _check_message(request)
            memory.take(_CALL_BYTES + size, is_request=True)
            reply = await method.unary(request, context, memory)
            code = grpc.StatusCode.OK
            context.finish(method.serialize(reply))
        except Aborted:  # reading gave up on its message
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise
        except Exception as exc:
            refusal = refuse(name, exc, context.request_id)
            code, message = refusal.code, refusal.message
            context.fail(refusal)
        finally:
            self.tally.count(name, "unary", code.name, time.monotonic() - started)
            if span is not None:
                span.end(code.name, message)

    async def _read_first(self, context: Context, parse: Parse, memory: CallMemory) -> Received:
        """Returns the message of a unary call, which from then on is in flight."""
        self.calls.begin_reading()
        try:
            received = await self.reading.read(context, parse) or await _no_message()
            memory.enter()
        finally:
            self.calls.end_reading()
        return received

    def _begin_stream(self, name: str, method: Method, context: Context) -> Answer:
        self.calls.open_stream()
        context.add_done_callback(self.calls.close_stream)
        return self._answer_stream(name, method, context)

    async def _answer_stream(self, name: str, method: Method, context: Context) -> None:
        assert method.stream is not None, f"nothing answers {name}. This is a bug."
        _log_end(name, context)
        try:
            if self.calls.is_closed:
                raise ShuttingDown()
            await method.stream(context, method.parse)  # which counts its calls itself
            context.finish()
        except (Aborted, CallerLeft):
            raise
        except Exception as exc:
            context.fail(refuse(name, exc, context.request_id))

    @asynccontextmanager
    async def read_one(self, context: Context, parse: Parse) -> AsyncIterator[Any]:
        """Returns the only message of a call whose replies are streamed. It is counted for as long as it is used.

        Raises:
            InvalidInput: it is not a message of the method's type.
            Overloaded: callers hold too much memory.
        """
        message, size = await self.reading.read(context, parse) or await _no_message()
        _check_message(message)
        self.held.take(size, is_request=True)
        try:
            yield message
        finally:
            self.held.add(-size)


async def _no_message() -> Received:
    """Returns what stands for the message of a caller who sent none; most have left, and the call is soon cancelled."""
    await asyncio.sleep(_CANCEL_SECONDS)
    return Received(None, 0)


def _check_message(message: object) -> None:
    if message is None:
        raise InvalidInput("request", "is not a message of the RPC's type")


def _log_end(method: str, context: Context) -> None:
    """At level debug, logs how a call ends."""
    if _log.isEnabledFor(logging.DEBUG):
        started = time.monotonic()

        def log(ended: Context) -> None:
            code = ended.code.name if ended.code else "CANCELLED"
            milliseconds = (time.monotonic() - started) * 1000
            _log.debug("%s %s in %.1f ms", method, code, milliseconds, extra={"request_id": ended.request_id})

        context.add_done_callback(log)
