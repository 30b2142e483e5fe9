"""The current span goes with every call, of both clients, over streams too; a bare server says what it was sent."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from opentelemetry import context as contexts
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from tests.support.servers import ROOT, RunningServer, StartServer
from vaeserve import AsyncClient, Client
from vaeserve.client.stream_messages import call_of
from vaeserve.client.trace import trace_fields
from vaeserve.v1 import vae_pb2 as pb

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
LATENT = np.zeros((2, 3), np.float32)


@contextmanager
def span(number: int, state: TraceState | None = None) -> Iterator[None]:
    """Makes a span of the trace current."""
    place = SpanContext(TRACE, number, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    token = contexts.attach(set_span_in_context(NonRecordingSpan(place)))
    try:
        yield
    finally:
        contexts.detach(token)


def test_without_opentelemetry_or_a_span_nothing_is_sent_and_nothing_imported() -> None:
    assert trace_fields() == ()
    ask = "import sys; from vaeserve.client.trace import trace_fields"
    code = f"{ask}; import vaeserve.client.blocking; print(trace_fields(), 'opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "() False\n"


def test_the_current_span_and_its_state_are_said() -> None:
    with span(SPAN):
        assert trace_fields() == (("traceparent", f"00-{TRACE:032x}-{SPAN:016x}-01"),)
    with span(SPAN, TraceState([("a", "1"), ("b", "2")])):
        assert dict(trace_fields())["tracestate"] == "a=1,b=2"
        call = call_of(7, pb.SampleRequest(count=1), 5)
        assert (call.traceparent[:2], call.tracestate) == ("00", "a=1,b=2")


def blocking(target: str) -> None:
    with Client(target) as client:
        with span(1):
            client.sample(1)
        with span(2):
            list(client.encode_stream([np.zeros((1, 4, 4, 1), np.uint8)]))
        with span(3):
            list(client.sample_stream(1))


def awaited(target: str) -> None:
    async def run() -> None:
        async with AsyncClient(target) as client:
            with span(1):
                await client.sample(1)
            with span(2):
                [_ async for _ in client.encode_stream([np.zeros((1, 4, 4, 1), np.uint8)])]
            with span(3):
                [_ async for _ in client.sample_stream(1)]

    asyncio.run(run())


LINES = {"Sample OK": {1}, "Encode over a stream OK": {2}, "SampleStream OK": {3}}


@pytest.mark.parametrize("call", [blocking, awaited])
def test_a_server_logs_the_callers_span_with_every_kind_of_call(
    start_server: StartServer, call: Callable[[str], None]
) -> None:
    server = start_server("--log-level", "debug")
    call(server.target)
    assert spans_in(server) == LINES


def test_calls_that_share_a_stream_have_each_their_own_span(start_server: StartServer) -> None:
    server = start_server("--log-level", "debug")

    async def sample(client: AsyncClient, number: int) -> None:
        if number:
            with span(number):
                await client.sample(1)
        else:
            await client.sample(1)

    async def run() -> None:
        async with AsyncClient(server.target, share_stream=True) as client:
            with span(9):
                await client.get_model()
            await sample(client, 1)
            await asyncio.gather(*(sample(client, number) for number in (1, 2, 0)))

    asyncio.run(run())
    lines = [line for line in server.stop().splitlines() if "Sample over a stream OK" in line]
    ids = sorted(line.partition(" span_id=")[2] for line in lines)
    assert ids == ["", f"{1:016x}", f"{1:016x}", f"{2:016x}"]


def spans_in(server: RunningServer) -> dict[str, set[int]]:
    """Returns the spans that a server's lines about calls name, by what they say."""
    lines = server.stop().splitlines()
    traced = [line for line in lines if f" trace_id={TRACE:032x} span_id=" in line]
    return {said: {int(line.rpartition("=")[2], 16) for line in traced if f" {said} in " in line} for said in LINES}
