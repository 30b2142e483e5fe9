"""The calls of one stream that are in flight: begun, answered, refused, cancelled or too late, each exactly once."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc

from serving.tracing.trace_context import read_trace_context
from serving.transport.request_ids import RequestId, as_request
from serving.transport.status import refuse
from serving.vae_v1.call_class import is_bulk_call
from serving.vae_v1.deadlines import DeadlineTimer
from serving.vae_v1.flow_window import FlowWindow
from serving.vae_v1.replies import Replies
from serving.vae_v1.stream_queueing import StreamQueueing
from serving.vae_v1.streams import SERVICE, AnyResponse, StreamCall, Streams
from serving.vae_v1.verbs import VERBS
from vaeserve.errors import DeadlinePassed, InvalidInput
from vaeserve.rows.wire import Serialized, serialized
from vaeserve.v1 import vae_pb2 as pb

_log = logging.getLogger(__name__)

CALL_BYTES = 512
"""What a call takes beside its tensors: enough to count for calls that are refused."""
_NOTHING = pb.CallStreamResponse()
_CANCELLED = pb.Error(code=grpc.StatusCode.CANCELLED.value[0], message="the caller cancelled the call")


class StreamCalls:
    """The calls of one stream that are not answered yet.

    Args:
        streams: what all streams share.
        window: what the stream has in flight.
        request_id: of calls that name none.
        wake: called when a reply is ready.
        is_bulk: the class of calls that name none.
    """

    def __init__(
        self,
        streams: Streams,
        window: FlowWindow,
        request_id: RequestId,
        wake: Callable[[], None],
        *,
        is_bulk: bool,
    ) -> None:
        self.replies = Replies()
        self._models = streams.models
        self._queueing = StreamQueueing(streams.images, streams.held, window)
        self._in_flight, self._tally, self._turns = streams.calls, streams.tally, streams.turns
        self._window, self._request_id, self._spans = window, request_id, streams.spans
        self._wake = wake
        self._is_bulk = is_bulk
        self._waiting: dict[int, StreamCall] = {}  # for their answers, by id
        self._timer = DeadlineTimer(self._expire)
        self._logs_ends = _log.isEnabledFor(logging.DEBUG)

    def waiting(self, numbers: set[int]) -> set[int]:
        """Returns those ids whose calls wait for their answers."""
        return numbers & self._waiting.keys()

    def take(self, message: pb.Call, size: int, *, is_cancelled: bool) -> None:
        """Begins a call, or answers that it is cancelled already."""
        verb = message.WhichOneof("request")
        request_id = self._identify(message, verb)
        call = self._accept(message.id, size, verb, request_id)
        if is_cancelled:
            self._settle_cancelled(call)
        elif request_id is not self._request_id:
            as_request(request_id, partial(self._begin, call, message))
        else:
            self._begin(call, message)

    def _identify(self, message: pb.Call, verb: str | None) -> RequestId:
        """Returns the id and trace of a call: its own, or else the stream's. Begins its span."""
        own_id, own_parent = message.request_id, message.traceparent
        if not (own_id or own_parent or self._spans):
            return self._request_id
        caller = read_trace_context(own_parent, message.tracestate) if own_parent else self._request_id.caller
        request_id = RequestId(own_id or str(self._request_id), caller)
        if self._spans is not None:
            request_id.span = self._spans.begin(SERVICE + _name(verb), "stream", caller, str(request_id))
        return request_id

    def cancel(self, number: int) -> None:
        """Answers a call that its caller no longer wants, unless it has been answered."""
        if number in self._waiting:
            self._settle_cancelled(self._waiting[number])

    def refuse_message(self, error: InvalidInput) -> None:
        """Answers a whole message with one error."""
        self._refuse(self._accept(0, CALL_BYTES, None, self._request_id), error)

    def close(self) -> None:
        """Cancels every call that is not answered."""
        self._timer.stop()
        for call in self._waiting.values():
            self._count(call, grpc.StatusCode.CANCELLED)
            if call.answer is not None:
                call.answer.cancel()

    def _accept(self, number: int, size: int, verb: str | None, request_id: RequestId) -> StreamCall:
        """Counts a call."""
        call = StreamCall(number, size, verb, request_id)
        self._window.add(size)
        self._in_flight.enter()
        self.replies.expect(call)
        return call

    def _begin(self, call: StreamCall, message: pb.Call) -> None:
        """Queues a call's rows; whatever is wrong with it concerns no other call."""
        try:
            if call.id in self._waiting:
                raise InvalidInput("id", f"{call.id} is the id of a call that is not answered yet")
            if call.verb is None:
                raise InvalidInput("request", "is missing")
            request = getattr(message, call.verb)
            is_bulk = is_bulk_call(message.call_class, self._is_bulk)
            served = self._models.find(request.model, request.version)
            if call.request_id.span is not None:
                call.request_id.span.is_for(*served.key)
            self._set_deadline(call, message.timeout_microseconds)
            answer, render = self._queueing.queue(call, VERBS[call.verb], request, served, is_bulk=is_bulk)
        except Exception as exc:
            return self._refuse(call, exc)
        served.hold()
        answer.add_done_callback(partial(self._answered, call, render))
        answer.add_done_callback(served.release)
        call.answer = answer
        self._waiting[call.id] = call

    def _set_deadline(self, call: StreamCall, microseconds: int) -> None:
        """Sets a call's deadline, if it has one, and the timer for it."""
        if microseconds < 0:
            raise InvalidInput("timeout_microseconds", f"is {microseconds}, must be 0 or more")
        if microseconds:
            call.deadline = time.monotonic() + microseconds / 1e6
            self._timer.set(call.deadline)

    def _expire(self) -> None:
        """Answers the calls that are late, and sets the timer for the next deadline."""
        now = time.monotonic()
        for call in list(self._waiting.values()):
            if call.deadline <= now:
                late = DeadlinePassed("the call's time ran out before its answer")
                self._turns.do(partial(self._refuse, call, late))
            elif call.deadline < math.inf:
                self._timer.set(call.deadline)

    def _answered(self, call: StreamCall, render: Callable[..., Any] | None, answer: "asyncio.Future[Any]") -> None:
        """Renders a call's reply soon: answers may be views of whole batches, and the writer may be held up."""
        if not answer.cancelled():
            self._turns.do(partial(self._render, call, render, answer))

    def _render(self, call: StreamCall, render: Callable[..., Any] | None, answer: "asyncio.Future[Any]") -> None:
        if self._is_settled(call):
            return
        try:
            response: AnyResponse = answer.result() if render is None else render(answer=answer.result())
        except Exception as exc:
            return self._refuse(call, exc)
        self._settle(call, response.serialize().within(pb.Reply(id=call.id), str(call.verb)), grpc.StatusCode.OK)

    def _refuse(self, call: StreamCall, error: Exception) -> None:
        refusal = refuse(f"{_name(call.verb)} over a stream", error, call.request_id)
        reason = pb.Error(code=refusal.code.value[0], message=refusal.message, details=refusal.details)
        self._settle_by(call, reason, refusal.code)

    def _settle_cancelled(self, call: StreamCall) -> None:
        self._settle_by(call, _CANCELLED, grpc.StatusCode.CANCELLED)

    def _settle_by(self, call: StreamCall, reason: pb.Error, code: grpc.StatusCode) -> None:
        self._settle(call, serialized([pb.Reply(id=call.id, error=reason).SerializeToString()]), code, reason.message)

    def _settle(self, call: StreamCall, reply: Serialized, code: grpc.StatusCode, error: str = "") -> None:
        """Gives a call its reply, once; whatever its rows still bring is not waited for."""
        if self._is_settled(call):
            return
        # A copy, because the pieces may be views of whole batches, and the writer may be held up.
        call.reply, call.is_settled = reply.within(_NOTHING, "replies").join(), True
        self._count(call, code, error)
        if self._waiting.get(call.id) is call:
            del self._waiting[call.id]
        if call.answer is not None:
            call.answer.cancel()
            call.answer = None  # which may hold views of whole batches
        self.replies.add(call)
        self._wake()

    def _is_settled(self, call: StreamCall) -> bool:
        return call.is_settled or self._window.is_closed

    def _count(self, call: StreamCall, code: grpc.StatusCode, error: str = "") -> None:
        seconds = time.monotonic() - call.arrived
        self._tally.count(_name(call.verb), "stream", code.name, seconds)
        if call.request_id.span is not None:
            call.request_id.span.end(code.name, error)
        if self._logs_ends:
            line = "%s over a stream %s in %.1f ms"
            _log.debug(line, _name(call.verb), code.name, seconds * 1000, extra={"request_id": call.request_id})


def _name(verb: str | None) -> str:
    """Returns the name of the RPC that a call is one of; without a request it is a call of the stream itself."""
    return VERBS[verb].name if verb else "CallStream"
