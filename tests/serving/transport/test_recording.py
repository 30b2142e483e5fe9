"""How the span of a call whose replies are streamed ends, where no answer of ours says so."""

import asyncio

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.tracing.spans import Spans
from serving.transport.context import Aborted, CallerLeft
from serving.transport.recording import recorded
from serving.transport.request_ids import RequestId


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CallerLeft(), "CANCELLED"),
        (Aborted(), "RESOURCE_EXHAUSTED"),
        (asyncio.CancelledError(), "CANCELLED"),
    ],
)
def test_what_ends_a_call_is_its_status(error: BaseException, code: str) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.raises(type(error)), recorded(Spans(provider), "vae.v1.VaeService/SampleStream", RequestId("mine")):
        raise error
    [span] = exporter.get_finished_spans()
    assert (span.attributes or {})["rpc.response.status_code"] == code
