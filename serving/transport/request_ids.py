"""Request ids: what the lines of a log about one call have in common."""

import logging
import random
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import grpc

from serving.tracing.current import current_span
from serving.tracing.trace_context import TraceContext
from serving.transport.context import Context

if TYPE_CHECKING:
    from serving.tracing.call_span import CallSpan

_log = logging.getLogger(__name__)

KEY = "x-request-id"
_SANE = re.compile(r"[\x21-\x7e]{1,128}")  # anything else could forge lines of the log, or fill it


class _Ended(Protocol):
    """What gRPC says about a call that has ended; its stub does not know None."""

    def code(self) -> grpc.StatusCode | None: ...
    def done(self) -> bool: ...


class RequestId:
    """The id of one call: the caller's, or one that is made when it is first needed; and the trace beside it."""

    __slots__ = ("_text", "caller", "is_callers", "span")

    def __init__(self, sent: str | None, caller: TraceContext | None = None) -> None:
        self._text = sent if sent is not None and _SANE.fullmatch(sent) else None
        self.is_callers = self._text is not None
        self.caller = caller
        """Which trace the caller's call belongs to."""
        self.span: CallSpan | None = None
        """Of the call, if it is recorded."""

    def __str__(self) -> str:
        if self._text is None:
            self._text = f"{random.getrandbits(64):016x}"
        return self._text

    @property
    def trace(self) -> "CallSpan | TraceContext | None":
        """What has the `trace_id` and `span_id` of the call: its own span, or else its caller's."""
        return self.span or self.caller

    @property
    def trailers(self) -> tuple[tuple[str, str]]:
        """The metadata that tells the caller its id."""
        return ((KEY, str(self)),)


_current: ContextVar[RequestId | None] = ContextVar("request_id", default=None)


def current_request_id() -> RequestId | None:
    """Returns the id of the call that this code runs for; None outside of calls."""
    return _current.get()


def identify(sent: str | None, caller: TraceContext | None = None) -> RequestId:
    """Sets the id of this task's call."""
    request_id = RequestId(sent, caller)
    _current.set(request_id)
    return request_id


def as_request(request_id: RequestId, work: Callable[[], None]) -> None:
    """Works for a call that shares its task with other calls. Lines logged meanwhile have the call's id and trace."""
    token, span = _current.set(request_id), current_span.set(request_id.span)
    try:
        work()
    finally:
        _current.reset(token)
        current_span.reset(span)


def follow(method: str, context: Context) -> RequestId:
    """Returns a call's id, echoes it to a caller who sent one, and at level debug logs how the call ends."""
    request_id = _current.get() or identify(None)
    if request_id.is_callers:
        context.set_trailing_metadata(request_id.trailers)
    if _log.isEnabledFor(logging.DEBUG):
        started = time.monotonic()
        context.add_done_callback(lambda ended: _log_end(method, request_id, started, ended))  # type: ignore[arg-type]
    return request_id


def _log_end(method: str, request_id: RequestId, started: float, context: _Ended) -> None:
    code = (context.code() or grpc.StatusCode.OK).name if context.done() else "CANCELLED"
    milliseconds = (time.monotonic() - started) * 1000
    _log.debug("%s %s in %.1f ms", method, code, milliseconds, extra={"request_id": request_id})
