"""What a caller finds in his trace about calls of every kind, and about the batches that they ran in."""

import asyncio
from collections.abc import Awaitable

import grpc
import numpy as np
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tests.serving.tracing.conftest import Play, Record, Recorded, facts, ids
from tests.support.servers import eventually
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

DATA = to_message(np.zeros((2, 4, 4, 1), np.uint8))
LATENT = to_message(np.zeros((2, 3), np.float32))
ENCODE = pb.EncodeRequest(data=DATA)
REQUESTS = {
    "Encode": ENCODE,
    "Decode": pb.DecodeRequest(latent=LATENT),
    "Sample": pb.SampleRequest(count=2),
    "Reconstruct": pb.ReconstructRequest(data=DATA),
}
SPANS = (0x1111111111111111, 0x2222222222222222, 0x3333333333333333)
TRACES = (0x0AF7651916CD43DD8448EB211C80319C, 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x11F92F3577B34DA6A3CE929D0E0E4736)


def parent(number: int, flags: str = "01") -> str:
    return f"00-{TRACES[number]:032x}-{SPANS[number]:016x}-{flags}"


def metadata(number: int, flags: str = "01") -> tuple[tuple[str, str], ...]:
    return (("traceparent", parent(number, flags)),)


def assert_lies_in(spans: Recorded, number: int) -> None:
    assert {ids(span)[0] for span in spans} == {TRACES[number]}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_unary_call_of_every_verb_has_a_span_with_queue_and_run_under_it(record: Record, name: str) -> None:
    async def scenario(play: Play) -> None:
        beside = ("tracestate", "congo=t61rcWkgMzE"), ("tracestate", "rojo=1"), ("x-request-id", "mine")
        await getattr(play.stub, name)(REQUESTS[name], metadata=(*metadata(0), *beside))

    spans = record(scenario)
    assert len(spans) == 4
    assert_lies_in(spans, 0)
    [call] = spans.named(name)
    assert (call.name, call.kind) == (f"vae.v1.VaeService/{name}", SpanKind.SERVER)
    assert call.parent is not None
    assert (call.parent.span_id, call.parent.is_remote) == (SPANS[0], True)
    assert call.context is not None
    assert call.context.trace_state.to_header() == "congo=t61rcWkgMzE,rojo=1"
    model = {"vae.model": "tiny", "vae.version": 1}
    rpc = {"rpc.system.name": "grpc", "rpc.method": call.name, "rpc.response.status_code": "OK"}
    assert facts(call) == {**rpc, **model, "vae.over": "unary", "vae.request_id": "mine"}
    assert call.status.status_code is StatusCode.UNSET
    assert not call.events
    under = spans.under(call)
    assert under.keys() == {"queue", "run", "batch"}
    assert all(facts(span) == {**model, "vae.rows": 2} for span in under.values())
    queue, run, batch = under["queue"], under["run"], under["batch"]
    times = [call.start_time, queue.start_time, queue.end_time, run.end_time, call.end_time]
    assert times == sorted(times, key=lambda time: time or 0)
    assert batch.end_time == run.end_time
    assert [(link.context.trace_id, link.context.span_id) for link in run.links] == [ids(batch)]
    assert [(link.context.trace_id, link.context.span_id) for link in batch.links] == [ids(call)]


def test_a_call_without_a_trace_begins_one_and_calls_without_rows_have_a_span_too(record: Record) -> None:
    async def scenario(play: Play) -> None:
        await play.stub.ListModels(pb.ListModelsRequest(), metadata=(("traceparent", "00-bad"),))
        await play.stub.GetModel(pb.GetModelRequest())

    models, model = record(scenario)
    assert [span.name for span in (models, model)] == ["vae.v1.VaeService/ListModels", "vae.v1.VaeService/GetModel"]
    assert models.parent is model.parent is None
    assert ids(models)[0] != ids(model)[0]


def test_a_batch_of_calls_from_two_traces_is_linked_to_both_and_both_to_it(record: Record) -> None:
    async def scenario(play: Play) -> None:
        await play.device.take(1)
        calls = [play.stub.Encode(ENCODE, metadata=metadata(number)) for number in (0, 1)]
        unrecorded = play.stub.Encode(ENCODE, metadata=metadata(2, "00"))
        await eventually(lambda: play.models.find("", 0).encoder.waiting_rows == 6)
        play.device.give(1)
        await asyncio.gather(*calls, unrecorded)

    spans = record(scenario)
    [batch], calls = spans.named("batch"), spans.named("Encode")
    assert {ids(call)[0] for call in calls} == set(TRACES[:2])
    assert facts(batch)["vae.rows"] == 6
    assert {(link.context.trace_id, link.context.span_id) for link in batch.links} == {ids(call) for call in calls}
    assert [dict(link.attributes or {}) for link in batch.links] == [{"vae.rows": 2}] * 2
    for call in calls:
        run = spans.under(call)["run"]
        assert [(link.context.trace_id, link.context.span_id) for link in run.links] == [ids(batch)]


def test_what_the_caller_does_not_sample_is_not_recorded(record: Record) -> None:
    async def scenario(play: Play) -> None:
        await play.stub.Encode(ENCODE, metadata=metadata(0, "00"))
        stream = play.stub.CallStream()
        calls = [pb.Call(id=1, encode=ENCODE, traceparent=parent(1, "00")), pb.Call(id=2)]
        await stream.write(pb.CallStreamRequest(calls=calls))
        await stream.done_writing()
        assert sum([len(message.replies) async for message in stream]) == 2
        await play.stub.Encode(ENCODE, metadata=metadata(2))

    spans = record(scenario, samples=False)
    assert len(spans) == 4
    assert_lies_in(spans, 2)


def test_each_call_of_a_stream_has_a_span_under_its_own_parent_or_the_streams(record: Record) -> None:
    async def scenario(play: Play) -> None:
        stream = play.stub.CallStream(metadata=(*metadata(0), ("x-request-id", "streams")))
        bodies = [{name.lower(): request} for name, request in REQUESTS.items()]
        calls = [pb.Call(id=1 + i, traceparent=parent(1), **body) for i, body in enumerate(bodies)]  # type: ignore[arg-type]
        calls.append(pb.Call(id=5, encode=ENCODE, request_id="own"))
        calls.append(pb.Call(id=6, encode=ENCODE, traceparent="no trace at all"))
        calls.append(pb.Call(id=7, encode=pb.EncodeRequest(), traceparent=parent(2), tracestate="a=1"))
        calls.append(pb.Call(id=8))
        await stream.write(pb.CallStreamRequest(calls=calls, cancelled_ids=[6]))
        await stream.done_writing()
        assert sum([len(message.replies) async for message in stream]) == 8

    spans = record(scenario)
    calls = [span for span in spans if span.kind is SpanKind.SERVER]
    by_trace = [[span.name.rpartition("/")[2] for span in calls if ids(span)[0] == trace] for trace in TRACES]
    assert list(map(sorted, by_trace)) == [["CallStream", "Encode"], sorted(REQUESTS), ["Encode"]]
    assert all(facts(span)["vae.over"] == "stream" for span in calls)
    for call in calls:
        code = facts(call)["rpc.response.status_code"]
        assert spans.under(call).keys() - {"batch"} == ({"queue", "run"} if code == "OK" else set())
        assert code == "OK" or call.end_time is not None
    [own] = [call for call in calls if facts(call)["vae.request_id"] == "own"]
    assert own.parent is not None
    assert own.parent.span_id == SPANS[0]
    [alone] = [call for call in calls if ids(call)[0] not in TRACES]
    assert (alone.parent, facts(alone)["rpc.response.status_code"]) == (None, "CANCELLED")
    [wrong] = [call for call in calls if ids(call)[0] == TRACES[2]]
    assert facts(wrong)["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert wrong.context is not None
    assert wrong.context.trace_state.to_header() == "a=1"


def test_a_stream_of_samples_is_one_call_with_a_queue_and_a_run_for_each_message(record: Record) -> None:
    async def scenario(play: Play) -> None:
        request = pb.SampleStreamRequest(request=pb.SampleRequest(count=5), message_rows=2)
        assert len([message async for message in play.stub.SampleStream(request, metadata=metadata(0))]) == 3

    spans = record(scenario)
    assert_lies_in(spans, 0)
    [call] = spans.named("SampleStream")
    assert (facts(call)["rpc.response.status_code"], facts(call)["vae.model"]) == ("OK", "tiny")
    for name in ("queue", "run"):
        assert [facts(span)["vae.rows"] for span in spans.named(name)] == [2, 2, 1]
        assert all(span.parent and span.parent.span_id == ids(call)[1] for span in spans.named(name))


@pytest.mark.parametrize("name", ["Encode", "SampleStream"])
def test_an_error_is_recorded_once(record: Record, name: str) -> None:
    async def scenario(play: Play) -> None:
        reply: Awaitable[object]
        if name == "SampleStream":
            reply = play.stub.SampleStream(pb.SampleStreamRequest(), metadata=metadata(0)).read()
        else:
            reply = play.stub.Encode(pb.EncodeRequest(), metadata=metadata(0))
        with pytest.raises(grpc.aio.AioRpcError):
            await reply

    [call] = record(scenario)
    assert facts(call)["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert call.status.status_code is StatusCode.UNSET, "the fault is the caller's"
    [event] = call.events
    assert (event.attributes or {})["exception.type"] == "INVALID_ARGUMENT"
    field = {"Encode": "data", "SampleStream": "count"}[name]
    assert str((event.attributes or {})["exception.message"]).startswith(field)


def test_the_servers_own_faults_are_errors_and_reveal_nothing(record: Record) -> None:
    async def scenario(play: Play) -> None:
        play.models.find = None  # type: ignore[assignment, method-assign]  # a bug
        with pytest.raises(grpc.aio.AioRpcError):
            await play.stub.Encode(ENCODE, metadata=metadata(0))

    [call] = record(scenario)
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, "internal error")
    assert facts(call)["error.type"] == facts(call)["rpc.response.status_code"] == "INTERNAL"
    assert len(call.events) == 1


def test_a_call_whose_caller_leaves_ends_its_spans(record: Record) -> None:
    async def scenario(play: Play) -> None:
        await play.device.take(1)
        call = play.stub.Encode(ENCODE, metadata=metadata(0))
        await eventually(lambda: play.models.find("", 0).encoder.waiting_rows == 2)
        call.cancel()
        stream = play.stub.CallStream()
        await stream.write(pb.CallStreamRequest(calls=[pb.Call(id=1, encode=ENCODE, traceparent=parent(1))]))
        await eventually(lambda: play.models.find("", 0).encoder.waiting_rows == 2 and len(play.recorded()) == 2)
        stream.cancel()
        await eventually(lambda: len(play.recorded()) == 4)
        play.device.give(1)

    spans = record(scenario)
    for number, call in enumerate(spans.named("Encode")):
        assert ids(call)[0] == TRACES[number]
        assert facts(call)["rpc.response.status_code"] == "CANCELLED"
        assert (call.status.status_code, len(call.events)) == (StatusCode.UNSET, 0)
        assert spans.under(call).keys() == {"queue"}


def test_a_late_call_ends_its_spans(record: Record) -> None:
    async def scenario(play: Play) -> None:
        await play.device.take(1)
        stream = play.stub.CallStream()
        late = pb.Call(id=1, encode=ENCODE, traceparent=parent(0), timeout_microseconds=1000)
        await stream.write(pb.CallStreamRequest(calls=[late]))
        await stream.done_writing()
        assert [[reply.error.code for reply in message.replies] async for message in stream] == [[4]]
        play.device.give(1)

    spans = record(scenario)
    assert_lies_in(spans, 0)
    [call] = spans.named("Encode")
    assert (facts(call)["error.type"], call.status.status_code) == ("DEADLINE_EXCEEDED", StatusCode.ERROR)
    assert spans.under(call).keys() == {"queue"}


def test_a_call_of_several_batches_is_linked_to_each(record: Record) -> None:
    async def scenario(play: Play) -> None:
        await play.stub.Sample(pb.SampleRequest(count=150), metadata=metadata(0))

    spans = record(scenario)
    batches, [run] = spans.named("batch"), spans.named("run")
    assert [facts(batch)["vae.rows"] for batch in batches] == [64, 64, 22]
    assert [link.context.span_id for link in run.links] == [ids(batch)[1] for batch in batches]
    assert run.end_time == batches[-1].end_time
