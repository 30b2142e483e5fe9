"""Trace: passes on the trace that a caller's code runs in, where that code uses OpenTelemetry.

Nothing is imported here. Where a span is current, whoever made it has imported OpenTelemetry's interface already.
"""

import sys

TraceFields = tuple[tuple[str, str], ...]
"""`traceparent` and `tracestate`, as metadata of an RPC or fields of a stream's call: both have the same names."""


def trace_fields() -> TraceFields:
    """Returns what a call says of the current span; empty if there is none."""
    interface = sys.modules.get("opentelemetry.trace")
    if interface is None:
        return ()
    place = interface.get_current_span().get_span_context()
    if not place.is_valid:
        return ()
    parent = f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"
    state = place.trace_state.to_header()
    return (("traceparent", parent), ("tracestate", state)) if state else (("traceparent", parent),)
