"""Spans: makes the span of each call that is recorded, for the exporters that are asked for."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    get_tracer_provider,
    set_span_in_context,
)

from serving.tracing.call_span import CallSpan
from serving.tracing.trace_context import TraceContext, read_state

_VERSION = version("vaeserve")


class Spans:
    """Makes the spans of calls.

    Args:
        provider: what records and exports them.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("vaeserve", _VERSION)

    def begin(
        self, method: str, over: Literal["unary", "stream"], caller: TraceContext | None, request_id: str
    ) -> CallSpan | None:
        """Begins the span of a call; None if the call is not to be recorded.

        Args:
            method: full name of the RPC.
            over: whether the call is an RPC of its own, or one of a stream's calls.
            caller: what the call belongs to; None: it begins a trace.
            request_id: under which the log has the call.
        """
        attributes = {
            "rpc.system.name": "grpc",
            "rpc.method": method,
            "vae.over": over,
            "vae.request_id": request_id,
        }
        span = self._tracer.start_span(method, _context_of(caller), SpanKind.SERVER, attributes)
        return CallSpan(self._tracer, span) if span.is_recording() else None

    def close(self) -> None:
        """Exports what is left. May take as long as the exporter's own timeout."""
        self._provider.shutdown()


def _context_of(caller: TraceContext | None) -> Context:
    """Returns the context that a call's span begins in; without a caller's trace an empty one."""
    if caller is None:
        return Context()
    place = SpanContext(
        int(caller.trace_id, 16),
        int(caller.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(caller.flags),
        trace_state=TraceState(read_state(caller.state)) if caller.state else None,
    )
    return set_span_in_context(NonRecordingSpan(place), Context())


def spans_to(exporters: Sequence[SpanExporter]) -> Spans:
    """Returns what makes spans for exporters, or for those that `opentelemetry-instrument` has set up already."""
    provider = get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        named = OTELResourceDetector().detect().attributes
        resource = Resource.create({"service.name": "vaeserve", "service.version": _VERSION, **named})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
    return Spans(provider)
