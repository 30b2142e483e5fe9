"""Recording: begins and ends the spans of calls, where spans are made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc

from serving.tracing.current import current_span
from serving.transport.context import Aborted, CallerLeft
from serving.transport.request_ids import RequestId
from serving.transport.status import refusal_of

if TYPE_CHECKING:
    from serving.tracing.call_span import CallSpan
    from serving.tracing.spans import Spans


def begin_span(spans: "Spans", method: str, request_id: RequestId) -> "CallSpan | None":
    """Begins the span of a call that has this task to itself; None if the call is not recorded."""
    request_id.span = spans.begin(method, "unary", request_id.caller, str(request_id))
    current_span.set(request_id.span)
    return request_id.span


@contextmanager
def recorded(spans: "Spans | None", method: str, request_id: RequestId) -> Iterator[None]:
    """Makes the span of a call whose replies are streamed."""
    span = begin_span(spans, method, request_id) if spans else None
    code, message = grpc.StatusCode.CANCELLED, ""
    try:
        yield
        code = grpc.StatusCode.OK
    except CallerLeft:
        raise
    except Aborted:  # reading gave up on its message
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        raise
    except Exception as exc:
        code, message, _ = refusal_of(exc)
        raise
    finally:
        if span is not None:
            span.end(code.name, message)
