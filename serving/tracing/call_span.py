"""The span of one call that is recorded, and under it what its rows waited for.

    vae.v1.VaeService/Encode        the call, under the caller's own span
        queue                       from the rows' arrival until the first of them ran
        run                         until the last of them had run; linked to the batches
        batch                       linked to all recorded calls whose rows it ran

A batch has one span, in the trace of its first recorded call, because a trace of its own would be sampled on its own.
Spans under a call are made once their ends are known, so that a call that is not recorded costs nothing here.
"""

import time
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, Tracer, set_span_in_context

# Of a server, as the conventions for gRPC have it: other codes tell of the caller's own mistakes, or of limits.
_ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


class CallSpan:
    """The span of one call."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer, self._span = tracer, span
        self.place = span.get_span_context()
        self.trace_id, self.span_id = f"{self.place.trace_id:032x}", f"{self.place.span_id:016x}"
        self._under = set_span_in_context(span, Context())
        self._clock_offset = time.time_ns() - time.monotonic_ns()
        self._model: dict[str, str | int] = {}

    def is_for(self, name: str, version: int) -> None:
        """Notes the model that answers."""
        self._model = {"vae.model": name, "vae.version": version}
        self._span.set_attributes(self._model)

    def queue(self, rows: int) -> "RowsSpans":
        """Notes rows that begin to wait."""
        return RowsSpans(self, rows)

    def record_batch(
        self, parts: "Sequence[tuple[RowsSpans, int]]", rows: int, began: float, ended: float, error: str
    ) -> None:
        """Makes the span of a batch, of which this is the first recorded call.

        Args:
            parts: the recorded calls' rows, and how many of them were in the batch.
            rows: in the batch.
            began: when, on the monotonic clock.
            ended: when.
            error: why it failed; empty: it did not.
        """
        links = [Link(spans.call.place, {"vae.rows": count}) for spans, count in parts]
        batch = self.under("batch", began, ended, {"vae.rows": rows}, links=links, error=error)
        for spans, _ in parts:
            spans.ran_in(batch, began, ended)

    def under(
        self,
        name: str,
        start: float,
        end: float,
        attributes: dict[str, int],
        *,
        links: Sequence[Link] = (),
        error: str = "",
    ) -> SpanContext:
        """Makes a span under the call's, from its start to its end on the monotonic clock."""
        span = self._tracer.start_span(
            name,
            self._under,
            attributes={**self._model, **attributes},
            links=links,
            start_time=self._nanoseconds(start),
        )
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(self._nanoseconds(end))
        return span.get_span_context()

    def end(self, code: str, message: str = "") -> None:
        """Ends the span.

        Args:
            code: name of the call's status code.
            message: why the call failed.
        """
        self._span.set_attribute("rpc.response.status_code", code)
        if message:
            self._span.add_event("exception", {"exception.type": code, "exception.message": message})
        if code in _ERRORS:
            self._span.set_attribute("error.type", code)
            self._span.set_status(Status(StatusCode.ERROR, message))
        self._span.end()

    def _nanoseconds(self, seconds: float) -> int:
        return round(seconds * 1e9) + self._clock_offset


class RowsSpans:
    """The spans of rows that one call has in a batcher: `queue`, and `run` if they ran.

    Args:
        call: the call's span.
        rows: number of rows.
    """

    def __init__(self, call: CallSpan, rows: int) -> None:
        self.call = call
        self._rows = rows
        self._arrived = time.monotonic()
        self._began: float | None = None
        self._ended: float | None = None
        self._batches: list[Link] = []

    def begin(self, now: float) -> None:
        """Notes that some of the rows begin to run."""
        if self._began is None:
            self._began = now

    def leave_out(self) -> None:
        """Notes that the rows were left out of the batch that they were to run in."""
        if not self._batches:
            self._began = None

    def ran_in(self, batch: SpanContext, began: float, ended: float) -> None:
        """Notes a batch that some of the rows ran in."""
        self.begin(began)
        self._ended = max(ended, self._ended or ended)
        self._batches.append(Link(batch))

    def end(self, _: object = None) -> None:
        """Makes the spans, once the rows are answered or nobody wants them any more."""
        now, attributes = time.monotonic(), {"vae.rows": self._rows}
        self.call.under("queue", self._arrived, self._began or now, attributes)
        if self._began is not None:
            self.call.under("run", self._began, self._ended or now, attributes, links=self._batches)
