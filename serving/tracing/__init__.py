"""The traces that calls belong to: read for the log, and, with OpenTelemetry, spans of what a call waited for.

trace_context  which trace a caller's call belongs to: the W3C headers
current        the span of the call that this code runs for
spans          the spans of a call and of its batches; the only import of opentelemetry
starting       whether spans are made, as the OTEL_... variables say
"""
