"""The spans of rows and batches, where things go wrong: batches that fail, and rows that nobody wants any more."""

import asyncio
import threading

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from serving.batching.batch import Batch
from serving.batching.batch_spans import note_begin, note_end, note_left_out
from serving.batching.batcher import Batcher
from serving.batching.call import Answer, Call, Piece
from serving.batching.device import Device
from serving.tracing.current import current_span
from serving.tracing.spans import Spans
from tests.serving.conftest import Doubler, Numbers, Scenario, hold, play, submit
from vaeserve.errors import DeadlinePassed, EngineFailure

Lists = Batcher[Numbers, list[int]]


def spans_of(scenario: Scenario) -> list[ReadableSpan]:
    """Returns the spans under a call's own, all of whose rows a scenario has."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    current_span.set(Spans(provider).begin("Double", "unary", None, "one"))
    try:
        play(scenario)
    finally:
        current_span.set(None)
    return list(exporter.get_finished_spans())


def unrecorded(batcher: Lists, doubler: Doubler) -> "asyncio.Task[asyncio.Task[Answer[list[int]]]]":
    """As `hold`, by a call that is not recorded."""

    async def hold_it() -> "asyncio.Task[Answer[list[int]]]":
        current_span.set(None)
        return await hold(batcher, doubler)

    return asyncio.create_task(hold_it())


def names(spans: list[ReadableSpan]) -> list[str]:
    return [span.name for span in spans]


def rows(span: ReadableSpan) -> object:
    return (span.attributes or {})["vae.rows"]


def test_a_batch_that_fails_is_an_error_and_its_rows_have_run() -> None:
    async def scenario(batcher: Lists, doubler: Doubler) -> None:
        doubler.fail_on = 2
        with pytest.raises(EngineFailure):
            await submit(batcher, Numbers([1, 2]))

    batch, queue, run = spans_of(scenario)
    assert names([batch, queue, run]) == ["batch", "queue", "run"]
    assert (batch.status.status_code, batch.status.description) == (StatusCode.ERROR, "the batch failed")
    assert run.links[0].context == batch.context


def test_a_batch_without_memory_and_its_halves_have_a_span_each() -> None:
    async def scenario(batcher: Lists, doubler: Doubler) -> None:
        doubler.memory_rows = 2
        await submit(batcher, Numbers([1, 2, 3, 4]))

    whole, first, second, queue, run = spans_of(scenario)
    assert names([whole, first, second, queue, run]) == ["batch"] * 3 + ["queue", "run"]
    assert [rows(span) for span in (whole, first, second, run)] == [4, 2, 2, 4]
    assert whole.status.description == "out of memory, tried again in two halves"
    assert first.status.status_code is StatusCode.UNSET
    assert len(run.links) == 3


def test_rows_whose_caller_leaves_while_they_run_have_run_until_then() -> None:
    async def scenario(batcher: Lists, doubler: Doubler) -> None:
        call = await hold(batcher, doubler)
        call.cancel()
        await asyncio.wait([call])

    assert names(spans_of(scenario))[:2] == ["queue", "run"]


def test_rows_that_are_late_when_a_batch_begins_have_only_waited() -> None:
    async def scenario(batcher: Lists, doubler: Doubler) -> None:
        held = await unrecorded(batcher, doubler)
        late = asyncio.create_task(submit(batcher, Numbers([1]), 0.05))
        await asyncio.sleep(0)  # its time begins
        await asyncio.sleep(0.1)
        doubler.free.set()
        await held
        with pytest.raises(DeadlinePassed):
            await late

    [queue] = spans_of(scenario)
    assert queue.name == "queue"


def test_rows_that_are_late_when_their_thread_begins_have_only_waited() -> None:
    async def scenario(_: Lists, doubler: Doubler) -> None:
        device, blocked = Device(), threading.Event()
        batcher: Lists = Batcher(doubler, device, batch_rows=4, queue_rows=100, inline_seconds=0)
        thread = asyncio.create_task(device.run(blocked.wait, 60))
        late = asyncio.create_task(submit(batcher, Numbers([1]), 0.05))
        await asyncio.sleep(0)  # its time begins
        await asyncio.sleep(0.1)
        blocked.set()
        with pytest.raises(DeadlinePassed):
            await late
        await thread
        await batcher.close()
        device.close()

    [queue] = spans_of(scenario)
    assert queue.name == "queue"


def test_rows_that_a_thread_leaves_out_have_only_waited_and_the_batch_is_not_theirs() -> None:
    async def scenario(batcher: Lists, doubler: Doubler) -> None:
        span, loop = current_span.get(), asyncio.get_running_loop()
        assert span is not None
        calls = [Call(Numbers([1]), loop.create_future(), 0.0, spans=span.queue(1), start_by=0.0) for _ in range(2)]
        batch: Batch[Numbers, list[int]] = Batch([Piece(call, 0, call.rows) for call in calls])
        calls[0].future.cancel()
        note_begin(batch)
        batch.started = 1.0
        batch.leave_out_unwanted(1.0)
        note_left_out(batch)
        note_end(batch, 2.0)
        for call in calls:
            assert call.spans is not None
            call.spans.end()

    spans = spans_of(scenario)
    assert names(spans) == ["batch", "queue", "queue", "run"]
    assert len(spans[0].links) == 1
