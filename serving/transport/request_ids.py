"""Request ids: what the lines of a log about one call have in common."""

import random
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from serving.tracing.current import current_span
from serving.tracing.trace_context import TraceContext

if TYPE_CHECKING:
    from serving.tracing.call_span import CallSpan

T = TypeVar("T")

KEY = "x-request-id"
_SANE = re.compile(r"[\x21-\x7e]{1,128}")  # anything else could forge lines of the log, or fill it


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


def as_request(request_id: RequestId, work: Callable[[], T]) -> T:
    """Does a call's work: what it logs, and what tasks log that it begins, has the call's id and trace."""
    token, span = _current.set(request_id), current_span.set(request_id.span)
    try:
        return work()
    finally:
        _current.reset(token)
        current_span.reset(span)
