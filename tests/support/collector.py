"""A collector of OpenTelemetry's traces, as small as can be: a gRPC server that keeps what it is sent."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


class ExportedSpan(NamedTuple):
    """A span as it was exported."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str


class Collector(TraceServiceServicer):
    """Keeps spans, and the resources that they are of."""

    def __init__(self) -> None:
        self.port = 0
        self.spans: list[ExportedSpan] = []
        self.resources: list[dict[str, str]] = []

    def Export(  # noqa: N802, the name is the protocol's
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        for of_one in request.resource_spans:
            self.resources.append({item.key: item.value.string_value for item in of_one.resource.attributes})
            self.spans += [
                ExportedSpan(span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                for scope in of_one.scope_spans
                for span in scope.spans
            ]
        return ExportTraceServiceResponse()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collects for as long as the block lasts."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
