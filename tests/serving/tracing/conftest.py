"""A real server on the test's own event loop, and the spans that it makes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from serving.batching.device import Device
from serving.models.registry import Models
from serving.models.reloading import Reloader
from serving.settings import Settings
from serving.tracing.spans import Spans
from serving.transport.answering import Answering
from serving.turns import Turns
from tests.support.in_process import server_of
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub


class Recorded(list[ReadableSpan]):
    """Spans, in the order of their ends."""

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self if span.name.removeprefix("vae.v1.VaeService/") == name]

    def under(self, parent: ReadableSpan) -> dict[str, ReadableSpan]:
        """Returns the spans under another, by their names."""
        return {span.name: span for span in self if span.parent and span.parent.span_id == ids(parent)[1]}


class Play(NamedTuple):
    """What a scenario may use."""

    stub: "VaeServiceAsyncStub"
    models: Models
    device: Device
    """Has one slot: whoever takes it holds up every batch."""
    answering: Answering
    address: str
    recorded: Callable[[], Recorded]
    """Returns the spans that have ended."""


class Record(Protocol):
    """Plays a scenario on a server, and returns the spans that it has made."""

    def __call__(self, scenario: Callable[[Play], Awaitable[None]], *, samples: bool = True) -> Recorded: ...


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Returns a span's trace id and its own."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def facts(span: ReadableSpan) -> dict[str, object]:
    """Returns a span's attributes."""
    return dict(span.attributes or {})


@pytest.fixture
def record(settings: Settings) -> Record:
    """`samples`: whether calls that belong to no caller's trace are recorded."""

    def record_spans(scenario: Callable[[Play], Awaitable[None]], *, samples: bool = True) -> Recorded:
        exporter = InMemorySpanExporter()
        provider = TracerProvider(ParentBased(ALWAYS_ON if samples else ALWAYS_OFF), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))

        def recorded() -> Recorded:
            return Recorded(exporter.get_finished_spans())

        async def run() -> None:
            models, device = Models(), Device(1, Turns())
            await Reloader(settings, models, device).start()
            server, answering = server_of(models, settings, device.turns, spans=Spans(provider))
            async with server, grpc.aio.insecure_channel(server.address) as channel:
                await server.ready()
                play = Play(VaeServiceStub(channel), models, device, answering, server.address, recorded)
                await scenario(play)

        asyncio.run(run())
        return recorded()

    return record_spans
