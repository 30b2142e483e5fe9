"""Streams over a real connection: order, errors of single calls, backpressure, and how they end."""

import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

import grpc
import numpy as np
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, RetryInfo

from tests.support.servers import RunningServer, StartServer, ends_with, read_metrics, status_of, until, until_in_flight
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

LATENT = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
INVALID, CANCELLED, LATE, FULL = (
    code.value[0]
    for code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
)


def decode(number: int, rows: int = 1, **fields: object) -> pb.Call:
    latent = np.resize(LATENT, (rows, 3))
    return pb.Call(id=number, decode=pb.DecodeRequest(latent=to_message(latent)), **fields)  # type: ignore[arg-type]


class Talk:
    """A CallStream, spoken by hand."""

    def __init__(self, stub: VaeServiceStub, *, any_order: bool = False, vae_class: str = "bulk") -> None:
        self._sent: SimpleQueue[pb.CallStreamRequest | None] = SimpleQueue()
        self._any_order = any_order
        self.call = stub.CallStream(iter(self._sent.get, None), metadata=(("vae-class", vae_class),), timeout=60)

    def send(self, *calls: pb.Call, cancelled_ids: Sequence[int] = ()) -> None:
        self._sent.put(
            pb.CallStreamRequest(calls=calls, cancelled_ids=cancelled_ids, any_order=self._any_order),
        )

    def close(self) -> None:
        self._sent.put(None)

    def replies(self) -> Iterator[pb.Reply]:
        for message in self.call:
            yield from message.replies


def detail(error: pb.Error, kind: type[BadRequest] | type[RetryInfo]) -> BadRequest | RetryInfo:
    found = kind()
    packed: AnyMessage = error.details[0]
    assert packed.Unpack(found)
    return found


def field_at_fault(error: pb.Error) -> str:
    assert error.code == INVALID
    violations = detail(error, BadRequest)
    assert isinstance(violations, BadRequest)
    return str(violations.field_violations[0].field)


def test_a_call_is_answered_as_the_unary_rpc_does(stub: VaeServiceStub) -> None:
    talk = Talk(stub)
    talk.send(decode(7, 5))
    talk.close()
    (reply,) = talk.replies()
    expected = stub.Decode(decode(7, 5).decode)
    assert (reply.id, reply.decode.data, reply.decode.fingerprint) == (7, expected.data, expected.fingerprint)
    assert reply.decode.timing.batch_rows >= 5
    assert talk.call.code() == grpc.StatusCode.OK


def test_calls_of_every_verb_share_a_stream_and_are_answered_in_kind(stub: VaeServiceStub) -> None:
    data = to_message(np.full((3, 4, 4, 1), 9, np.uint8))
    encode = pb.EncodeRequest(data=data, output=pb.ENCODE_OUTPUT_MOMENTS)
    sample = pb.SampleRequest(count=2, seed=3, output=pb.DECODE_OUTPUT_PNG)
    reconstruct = pb.ReconstructRequest(data=data)
    talk = Talk(stub)
    talk.send(
        pb.Call(id=1, encode=encode),
        decode(2),
        pb.Call(id=3, sample=sample),
        pb.Call(id=4, reconstruct=reconstruct),
        pb.Call(id=5, reconstruct=pb.ReconstructRequest(data=data, latent=9)),  # type: ignore[arg-type]  # wrong on purpose
    )
    talk.close()
    encoded, decoded, sampled, reconstructed, refused = talk.replies()
    assert encoded.encode.log_variance == stub.Encode(encode).log_variance
    assert decoded.decode.data == stub.Decode(decode(2).decode).data
    assert sampled.sample.images == stub.Sample(sample).images
    assert reconstructed.reconstruct.elbo == stub.Reconstruct(reconstruct).elbo
    assert field_at_fault(refused.error) == "latent"


@pytest.mark.parametrize("any_order", [False, True])
def test_replies_keep_the_order_of_the_calls_unless_the_caller_waives_it(stub: VaeServiceStub, any_order: bool) -> None:
    talk = Talk(stub, any_order=any_order)
    talk.send(decode(9, 8000), decode(3), decode(5))
    talk.send(decode(1))
    talk.close()
    numbers = [reply.id for reply in talk.replies()]
    assert sorted(numbers) == [1, 3, 5, 9]
    if any_order:
        assert numbers.index(9) > max(numbers.index(3), numbers.index(5))
    else:
        assert numbers == [9, 3, 5, 1]


def test_replies_that_are_ready_together_share_a_message(stub: VaeServiceStub) -> None:
    talk = Talk(stub)
    talk.send(*[decode(number) for number in range(1, 501)])
    talk.close()
    messages = list(talk.call)
    assert [reply.id for message in messages for reply in message.replies] == list(range(1, 501))
    assert len(messages) < 100


def test_replies_that_are_ready_together_are_cut_into_messages_of_a_mebibyte(stub: VaeServiceStub) -> None:
    talk = Talk(stub)
    # They take turns, so the others are ready when the first is. A row counts for 256 bytes at least.
    talk.send(decode(1, 8000), *[decode(number, 500) for number in range(2, 18)])
    talk.close()
    messages = [[reply.id for reply in message.replies] for message in talk.call]
    assert messages == [[1], [*range(2, 9)], [*range(9, 16)], [16, 17]]


def test_what_is_wrong_with_a_call_is_its_own(start_server: StartServer) -> None:
    server = start_server("--wait-milliseconds", "1000", "--batch-rows", "2")  # the first waits for the last
    missing, infinite, past = pb.Call(id=2, decode=pb.DecodeRequest()), decode(3), decode(4, timeout_microseconds=-1)
    infinite.decode.latent.data = b"\0\0\x80\x7f" * 3
    with grpc.insecure_channel(server.target) as channel:
        talk = Talk(VaeServiceStub(channel))
        talk.send(decode(1), missing, infinite, past, decode(1), decode(5))
        talk.close()
        first, *wrong, last = talk.replies()
        assert talk.call.code() == grpc.StatusCode.OK
    assert (first.id, last.id) == (1, 5)
    assert first.decode.data == last.decode.data
    assert [reply.id for reply in wrong] == [2, 3, 4, 1]
    assert [field_at_fault(reply.error) for reply in wrong] == ["latent", "latent.data", "timeout_microseconds", "id"]


def test_a_message_that_cannot_be_read_is_answered_and_the_stream_goes_on(server: RunningServer) -> None:
    sound, other = (pb.CallStreamRequest(calls=[decode(number)]).SerializeToString() for number in (6, 7))
    with grpc.insecure_channel(server.target) as channel:
        rpc: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/vae.v1.VaeService/CallStream")
        answers = [pb.CallStreamResponse.FromString(content) for content in rpc(iter([sound, b"\x58", other]))]
    replies = [reply for answer in answers for reply in answer.replies]
    assert [reply.id for reply in replies] == [6, 0, 7]
    assert field_at_fault(replies[1].error) == "request"
    assert replies[0].decode.data == replies[2].decode.data


def test_a_message_of_too_many_cancelled_ids_is_refused_and_the_stream_goes_on(server: RunningServer) -> None:
    with grpc.insecure_channel(server.target) as channel:
        talk = Talk(VaeServiceStub(channel))
        talk.send(decode(1), cancelled_ids=range(65_537))
        talk.send(decode(2), cancelled_ids=range(3, 65_539))
        talk.close()
        refused, answered = talk.replies()
        assert (refused.id, field_at_fault(refused.error)) == (0, "cancelled_ids")
        assert (answered.id, answered.WhichOneof("result")) == (2, "decode")


def test_a_call_without_a_request_and_one_of_no_class_are_refused(stub: VaeServiceStub) -> None:
    talk = Talk(stub)
    talk.send(pb.Call(id=1), decode(2, call_class=9), decode(3, call_class=pb.CALL_CLASS_BULK))
    talk.close()
    empty, wrong, sound = talk.replies()
    assert field_at_fault(empty.error) == "request"
    assert field_at_fault(wrong.error) == "call_class"
    assert sound.HasField("decode")


def test_a_call_has_its_own_class_or_that_of_its_stream(start_server: StartServer) -> None:
    server = start_server("--batch-rows", "1", "--queue-rows", "1000", "--call-rows", "1000")
    with grpc.insecure_channel(server.target) as channel:
        for stream, own in (("bulk", pb.CALL_CLASS_INTERACTIVE), ("interactive", pb.CALL_CLASS_BULK)):
            talk = Talk(VaeServiceStub(channel), any_order=True, vae_class=stream)
            large = decode(1, 1000), decode(2, 1000, call_class=own), decode(3, 1000)
            talk.send(*large)
            first = next(talk.replies())  # bulk waits for room in the queue, interactive is refused
            assert (first.id, first.error.code) == (2 if stream == "bulk" else 3, FULL)
            talk.call.cancel()


def test_lines_about_a_call_have_its_id_or_that_of_its_stream(start_server: StartServer) -> None:
    server = start_server("--log-level", "debug")
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        calls = decode(1, request_id="mine"), decode(2), decode(3, request_id="for\nged"), pb.Call(id=4)
        message = pb.CallStreamRequest(calls=calls)
        replies = [*stub.CallStream(iter([message]), metadata=(("x-request-id", "whole"),))]
        assert [reply.id for reply in replies[0].replies] == [1, 2, 3, 4]
    log = server.stop()
    for line in (
        r"Decode over a stream OK in \d+\.\d ms \[mine\]",
        r"Decode over a stream OK in \d+\.\d ms \[whole\]",
        r"Decode over a stream OK in \d+\.\d ms \[[0-9a-f]{16}\]",
        r"CallStream over a stream INVALID_ARGUMENT in \d+\.\d ms \[whole\]",
        r"CallStream OK in \d+\.\d ms \[whole\]",
    ):
        assert len(re.findall(f"DEBUG   {line}\n", log)) == 1, (line, log)


def test_a_late_call_is_answered_when_its_time_is_over(start_server: StartServer) -> None:
    server = start_server("--batch-rows", "1")
    with grpc.insecure_channel(server.target) as channel:
        talk = Talk(VaeServiceStub(channel), any_order=True)
        # Nothing has run yet, so nobody can know that it will be late.
        talk.send(decode(999, 8000, timeout_microseconds=1000), *[decode(number, 100) for number in range(1, 101)])
        first = next(talk.replies())
        assert (first.id, first.error.code) == (999, LATE)
        talk.call.cancel()


def test_interactive_calls_are_refused_when_the_queue_is_full(start_server: StartServer) -> None:
    server = start_server("--batch-rows", "1", "--queue-rows", "1000", "--call-rows", "1000")
    with grpc.insecure_channel(server.target) as channel:
        talk = Talk(VaeServiceStub(channel), any_order=True, vae_class="interactive")
        talk.send(decode(1, 1000), decode(2, 1000))
        refused = next(talk.replies())
        assert (refused.id, refused.error.code) == (2, FULL)
        assert isinstance(detail(refused.error, RetryInfo), RetryInfo)
        talk.call.cancel()


def test_a_class_that_does_not_exist_is_refused(stub: VaeServiceStub) -> None:
    wrong = (("vae-class", "urgent"),)
    sampled = pb.SampleStreamRequest(request=pb.SampleRequest(count=1))
    uses: list[Callable[[], object]] = [
        lambda: stub.Decode(decode(1).decode, metadata=wrong),
        lambda: list(stub.CallStream(iter([]), metadata=wrong)),
        lambda: list(stub.SampleStream(sampled, metadata=wrong)),
    ]
    for use in uses:
        with pytest.raises(grpc.RpcError) as refused:
            use()
        assert refused.value.details() == "vae-class: is 'urgent', must be interactive or bulk"
        assert status_of(refused.value).code == INVALID
    assert stub.Decode(decode(1).decode, metadata=(("vae-class", "bulk"),)).data.shape[0] == 1


def test_the_smallest_window_holds_a_call(start_server: StartServer) -> None:
    server = start_server("--stream-bytes", "1")
    with grpc.insecure_channel(server.target) as channel:
        talk = Talk(VaeServiceStub(channel))
        talk.send(*[decode(number) for number in range(1, 51)])
        talk.close()
        assert {reply.decode.timing.batch_rows for reply in talk.replies()} == {1}


class Flood:
    """Messages of one call each, counted as gRPC takes them."""

    def __init__(self, call: pb.Call, messages: int) -> None:
        self._call = call
        self._messages = messages
        self.taken = 0

    def __iter__(self) -> Iterator[pb.CallStreamRequest]:
        while self.taken < self._messages:
            self.taken += 1
            self._call.id = self.taken
            yield pb.CallStreamRequest(calls=[self._call])


def resident_mebibytes(server: RunningServer) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def test_who_does_not_read_is_not_read_from(start_server: StartServer) -> None:
    server = start_server()
    call = decode(1, 8000)  # its reply takes 500 KiB, its message 94 KiB
    call.decode.output = pb.DECODE_OUTPUT_EXPECTATION
    flood = Flood(call, 2000)
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        list(stub.CallStream(iter([pb.CallStreamRequest(calls=[call])])))
        before = resident_mebibytes(server)
        silent = stub.CallStream(iter(flood))
        grown, seen = [0.0], -1
        while seen != flood.taken:  # until it is held back
            seen = flood.taken
            time.sleep(0.5)
            grown.append(resident_mebibytes(server) - before)
        assert flood.taken < 1000
        assert max(grown) < 64  # the window, some of it twice; 2,000 replies take 1,000 MiB
        assert stub.Decode(decode(1).decode).data.shape[0] == 1  # the others are served all the while
        silent.cancel()
    assert "Traceback" not in server.stop()


def test_who_sends_faster_than_the_device_works_is_held_back(start_server: StartServer) -> None:
    server = start_server()
    flood = Flood(decode(1, 4000), 100_000)
    with grpc.insecure_channel(server.target) as channel:
        before = resident_mebibytes(server)
        reading = VaeServiceStub(channel).CallStream(iter(flood))
        end = time.monotonic() + 1.5
        answered = 0
        while time.monotonic() < end:
            answered += len(next(reading).replies)
        assert flood.taken < answered + 1000  # the window, and what HTTP/2 holds on both sides
        assert resident_mebibytes(server) - before < 64
        reading.cancel()


def test_what_a_client_leaves_behind_never_runs(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, "--batch-rows", "1", "--grace-seconds", "100")
    with grpc.insecure_channel(server.target) as channel:
        talk = Talk(VaeServiceStub(channel), any_order=True)
        talk.send(decode(1), *[decode(number, 8000) for number in range(2, 9)])
        assert next(talk.replies()).id == 1
        talk.call.cancel()
        until_in_flight(port, 0)
        until(lambda: not read_metrics(port)["vae_queue_rows", "decoder", "tiny", "1"])
        assert read_metrics(port)["vae_dropped_rows_total", "decoder", "tiny", "cancelled", "1"] > 0
        server.stop()


def test_what_is_read_when_its_stream_is_over_is_not_waited_for(start_server: StartServer, port: str) -> None:
    flags = ("--stream-bytes", "1", "--wait-milliseconds", "1000", "--batch-rows", "10000", "--grace-seconds", "100")
    server = start_server("--metrics-port", port, *flags)
    sent: SimpleQueue[bytes] = SimpleQueue()
    with grpc.insecure_channel(server.target) as channel:
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/vae.v1.VaeService/CallStream")
        call = stream(iter(sent.get, b""), timeout=60)
        sent.put(pb.CallStreamRequest(calls=[decode(1)]).SerializeToString())
        sent.put(b"no message")  # for which there is no room
        until_in_flight(port, 1)
        time.sleep(0.3)  # nobody can tell that it was read
        call.cancel()
        until_in_flight(port, 0)
        server.stop()  # which takes less than the grace


def test_an_orderly_stop_answers_what_was_accepted(start_server: StartServer, port: str) -> None:
    flags = ("--wait-milliseconds", "1000", "--batch-rows", "10000", "--grace-seconds", "100")
    server = start_server("--metrics-port", port, *flags)
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        idle, talk = Talk(stub), Talk(stub)
        talk.send(*[decode(number) for number in range(1, 101)])
        until_in_flight(port, 100)  # they wait for company for a second
        server.process.send_signal(signal.SIGTERM)
        answered = ends_with(grpc.StatusCode.UNAVAILABLE, talk.replies())
        assert [reply.id for reply in answered if reply.HasField("decode")] == list(range(1, 101))
        assert ends_with(grpc.StatusCode.UNAVAILABLE, idle.replies()) == []
    assert server.process.wait(60) == 0
    assert server.process.stderr is not None
    assert "Traceback" not in server.process.stderr.read()


def test_a_stop_amid_a_message_is_not_the_streams_good_end(start_server: StartServer, port: str) -> None:
    """A stream has at most 1024 calls in flight, so the server has not begun the others when it stops."""
    flags = ("--wait-milliseconds", "1000", "--batch-rows", "10000", "--grace-seconds", "100")
    server = start_server("--metrics-port", port, *flags)
    with grpc.insecure_channel(server.target) as channel:
        talk = Talk(VaeServiceStub(channel))
        talk.send(*[decode(number, rows=8) for number in range(2000)])  # more replies than a message takes
        until_in_flight(port, 1024)
        server.process.send_signal(signal.SIGTERM)
        answered = ends_with(grpc.StatusCode.UNAVAILABLE, talk.replies())
    assert [reply.id for reply in answered if reply.HasField("decode")] == list(range(1024))


def test_an_oversized_message_ends_its_stream_alone(start_server: StartServer) -> None:
    server = start_server("--message-bytes", "65536")
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        large, other = Talk(stub), Talk(stub)
        other.send(decode(1))
        large.send(decode(2, 20_000))
        assert ends_with(grpc.StatusCode.RESOURCE_EXHAUSTED, large.replies()) == []
        other.send(decode(3))
        other.close()
        assert [reply.id for reply in other.replies()] == [1, 3]
