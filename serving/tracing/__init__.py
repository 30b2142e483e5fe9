"""The traces that calls belong to: read for the log, and, with OpenTelemetry, spans of what a call waited for.

trace_context  which trace a caller's call belongs to: the W3C headers
current        the span of the call that this code runs for
call_span      the span of a call, and those of its rows and batches under it
spans          makes the span of each call; these two files alone import opentelemetry
starting       whether spans are made, as the OTEL_... variables say
"""
