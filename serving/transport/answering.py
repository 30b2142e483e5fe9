"""Answering: what surrounds every method of every service.

A call's message is read, the call and the memory that it holds are counted, lines of the log get its request id, its
span begins and ends, and its error becomes a gRPC status.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.transport.context import Context, Metadata
from serving.transport.heap import Heap
from serving.transport.held import CallMemory, Held
from serving.transport.reading import Reading, Received
from serving.transport.recording import begin_span
from serving.transport.request_ids import KEY, RequestId, follow
from serving.transport.services import AnswerStream, AnswerUnary, CheckUnary, Method, Service
from serving.transport.status import Refusal, refuse
from vaeserve.errors import InvalidInput, ShuttingDown, VaeError

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from serving.tracing.spans import Spans

_CALL_BYTES = 4096  # of memory that a call takes beside its messages, in gRPC and here
_CANCEL_SECONDS = 5.0  # by then gRPC has cancelled the handler of a call whose caller left

_Handler = Callable[[object, Context], Awaitable[Any]]


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
        self._checks: dict[str, tuple[str, CheckUnary]] = {}  # by the method's path

    def handlers(self, service: Service) -> dict[str, "grpc.RpcMethodHandler[Any, Any]"]:
        """Returns what gRPC calls for each method of a service.

        All are registered as streams of requests, so that their messages are read here: of others gRPC reads the
        message itself, and nobody can give up on one that fills the memory.
        """
        for name, method in service.methods.items():
            if method.check is not None:
                self._checks[f"/{service.name}/{name}"] = name, method.check
        return {name: self._handler(service.name, name, method) for name, method in service.methods.items()}

    def refuse_unread(
        self, path: str, context: Context, may_call: Callable[[Metadata], bool]
    ) -> Coroutine[Any, Any, NoReturn] | None:
        """Returns what refuses a call that cannot be answered whatever its message is; None: it may be answered.

        A caller who may not call, and one who comes while the server stops, learns that first: it is not refused here.

        This costs gRPC two thirds of what a refusal by the method itself does, because the call gets no task that
        waits for its message.
        """
        name, check = self._checks.get(path, ("", None))
        if check is None or self.calls.is_closed:
            return None
        try:
            check(context)
        except VaeError as exc:
            metadata = list(context.invocation_metadata() or ())
            if not may_call(metadata):
                return None
            request_id = RequestId(next((str(value) for key, value in metadata if key == KEY), None))
            refusal = refuse(name, exc, request_id)
            self.tally.count(name, "unary", refusal.code.name, 0.0)
            return _abort(context, refusal, request_id)
        except Exception:  # it would end the loop that takes calls over
            _log.exception("checking a call of %s before it is read failed. This is a bug.", name)
        return None

    def _handler(self, service: str, name: str, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
        if method.stream is not None:
            register, answer = grpc.stream_stream_rpc_method_handler, self._stream(name, method.stream)
        else:
            assert method.unary is not None, f"nothing answers {name}. This is a bug."
            register, answer = grpc.stream_unary_rpc_method_handler, self._unary(service, name, method.unary)
        return register(answer, request_deserializer=_receive(method.parse), response_serializer=method.serialize)

    def _unary(self, service: str, name: str, method: AnswerUnary) -> _Handler:
        async def answer(requests: object, context: Context) -> object:
            request_id = follow(name, context)
            span = begin_span(self.spans, f"{service}/{name}", request_id) if self.spans else None
            started, code, message = time.monotonic(), grpc.StatusCode.CANCELLED, ""
            self.calls.open_one()
            memory = None
            try:
                self.calls.begin_reading()
                try:
                    request, size = await self.reading.read(context, request_id) or await _no_message()
                    self.calls.enter()
                finally:
                    self.calls.end_reading()
                started = time.monotonic()
                memory = CallMemory(self.held, self.calls.close_one)
                context.add_done_callback(memory.give_back)  # type: ignore[arg-type]  # the stub wants a class, gRPC any callable
                _check_message(request)
                memory.take(_CALL_BYTES + size, is_request=True)
                reply = await method(request, context, memory)
                code = grpc.StatusCode.OK
                return reply
            except grpc.aio.AbortError:  # reading gave up on its message
                code = grpc.StatusCode.RESOURCE_EXHAUSTED
                raise
            except Exception as exc:
                refusal = refuse(name, exc, request_id)
                code, message = refusal.code, refusal.message
            finally:
                if memory is None:
                    self.calls.close_unread()
                self.tally.count(name, "unary", code.name, time.monotonic() - started)
                if span is not None:
                    span.end(code.name, message)
            # gRPC keeps the error that abort raises, and with it this frame, until the garbage collector runs.
            request = None
            return await _abort(context, refusal, request_id)

        return answer

    def _stream(self, name: str, method: AnswerStream) -> _Handler:
        async def answer(requests: object, context: Context) -> None:
            request_id = follow(name, context)
            self.calls.streams += 1
            try:
                self._check_open()
                return await method(context, request_id)  # which counts its calls itself
            except grpc.aio.AbortError:
                raise
            except Exception as exc:
                if isinstance(exc, grpc.aio.InternalError):  # a write to a caller who has left; gRPC soon cancels this
                    await asyncio.sleep(_CANCEL_SECONDS)
                refusal = refuse(name, exc, request_id)
            finally:
                self.calls.streams -= 1
            await _abort(context, refusal, request_id)

        return answer

    @asynccontextmanager
    async def read_one(self, context: Context, request_id: RequestId) -> AsyncIterator[Any]:
        """Returns the only message of a call whose replies are streamed. It is counted for as long as it is used.

        Raises:
            InvalidInput: it is not a message of the method's type.
            Overloaded: callers hold too much memory.
        """
        message, size = await self.reading.read(context, request_id) or await _no_message()
        _check_message(message)
        self.held.take(size, is_request=True)
        try:
            yield message
        finally:
            self.held.add(-size)

    def _check_open(self) -> None:
        if self.calls.is_closed:
            raise ShuttingDown()


def _receive(parse: Callable[[bytes], object]) -> Callable[[bytes], Received]:
    """Returns a parser that gives None for bytes of no message; gRPC would answer UNKNOWN and log a traceback."""

    def receive(content: bytes) -> Received:
        try:
            return Received(parse(content), len(content))
        except (DecodeError, ValueError):
            return Received(None, len(content))

    return receive


async def _no_message() -> Received:
    """Returns what stands for the message of a caller who sent none; most have left, and gRPC soon cancels the call."""
    await asyncio.sleep(_CANCEL_SECONDS)
    return Received(None, 0)


def _check_message(message: object) -> None:
    if message is None:
        raise InvalidInput("request", "is not a message of the RPC's type")


async def _abort(context: Context, refusal: Refusal, request_id: RequestId) -> NoReturn:
    await context.abort(refusal.code, refusal.message, (*refusal.trailers, *request_id.trailers))
    raise AssertionError("abort returned. This is a bug.")
