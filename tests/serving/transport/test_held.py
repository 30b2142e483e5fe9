"""What callers may hold, all of them together: the rule, and a server whose callers do not read or send half."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo

from serving.in_flight import Calls
from serving.transport.held import CallMemory, Held
from tests.support.servers import RunningServer, StartServer, read_metrics, status_of, until
from tests.support.silent_peer import connect
from vaeserve import Client
from vaeserve.errors import Overloaded
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

_LIMIT = 2**24
_ROWS = 16_384  # of the tiny model, as expectations and latents: a reply of 1.2 MB
_LARGE = pb.SampleRequest(count=_ROWS, output=pb.DECODE_OUTPUT_EXPECTATION, include_latent=True)


def test_requests_leave_room_for_replies_and_large_ones_for_small_ones() -> None:
    held = Held(2**20)
    held.add(2**18)  # which takes twice as much: half
    assert held.fits(2**16, is_request=True)  # up to five eighths
    assert not held.fits(2**16 + 1, is_request=True)
    assert held.fits(3 * 2**16)  # up to seven eighths
    assert not held.fits(3 * 2**16 + 1)
    held.add(3 * 2**16)
    assert held.fits(2**9, is_request=True)
    assert not held.fits(2**9 + 1)


def test_any_call_fits_where_little_is_held() -> None:
    held = Held(2**20)
    calls = Calls()
    held.add(2**16)
    calls.open_unary()
    memory = CallMemory(held, calls)
    memory.enter()
    memory.take(2**30)
    assert held.take_peak() == held.bytes == 2 * (2**16 + 2**30)
    with pytest.raises(Overloaded, match=r"^callers hold 2147614720 bytes of 1048576$"):
        held.take(1)
    assert held.refused == 1
    assert (calls.open, calls.in_flight) == (1, 1)
    memory.give_back("context")
    assert (calls.open, calls.in_flight) == (0, 0)
    assert held.bytes == 2 * 2**16


def test_who_waits_gets_room_in_turn_and_who_needs_too_much_is_refused() -> None:
    async def scenario() -> None:
        held, is_over = Held(2**20), False
        held.add(2**19)
        waiting = [asyncio.create_task(held.wait_for_room(2**10, lambda: is_over)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await held.wait_for_room(2**18, lambda: False)
        assert not any(task.done() for task in waiting)
        held.add(-(2**17))
        await asyncio.gather(*waiting)
        held.add(2**17)
        last = asyncio.create_task(held.wait_for_room(2**10, lambda: is_over))
        await asyncio.sleep(0)
        is_over = True
        held.wake_waiting()
        await last

    asyncio.run(scenario())


def test_replies_do_not_wait_behind_requests() -> None:
    async def scenario() -> None:
        held = Held(2**20)
        held.add(7 * 2**16)
        request = asyncio.create_task(held.wait_for_room(2**10, lambda: False, is_request=True))
        reply = asyncio.create_task(held.wait_for_room(2**10, lambda: False))
        await asyncio.sleep(0)
        held.add(-(2**10))  # too little for the request
        await reply
        assert not request.done()
        held.add(-(2**17))
        await request

    asyncio.run(scenario())


@pytest.fixture
def narrow(start_server: StartServer, port: str) -> RunningServer:
    flags = ("--held-bytes", str(_LIMIT), "--queue-rows", "10000000", "--metrics-port", port)
    return start_server(*flags)


def wait_for(port: str, condition: Callable[[dict[tuple[str, ...], float]], bool]) -> dict[tuple[str, ...], float]:
    """Waits until the metrics are so, and returns them."""

    def look() -> dict[tuple[str, ...], float]:
        told = read_metrics(port)
        return told if condition(told) else {}

    return until(look)


def test_replies_that_nobody_reads_are_held_up_to_the_limit(narrow: RunningServer, port: str) -> None:
    with connect(narrow) as silent, grpc.insecure_channel(narrow.target) as channel, Client(narrow.target) as client:
        for _ in range(20):
            silent.call("Sample", _LARGE)
        told = wait_for(port, lambda told: told["vae_held_refused_calls_total",] >= 14)
        assert _LIMIT / 2 < told["vae_held_bytes",] <= told["vae_held_limit_bytes",] == _LIMIT
        with pytest.raises(grpc.RpcError) as refused:
            VaeServiceStub(channel).Sample(_LARGE)
        status, retry, info = status_of(refused.value), RetryInfo(), ErrorInfo()
        assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert status.details[0].Unpack(retry)
        assert retry.retry_delay.ToMilliseconds() == 500
        assert status.details[1].Unpack(info)
        assert info.reason == "MEMORY_FULL"
        assert client.sample(1, seed=4).seed == 4  # small calls go on
    wait_for(port, lambda told: told["vae_held_bytes",] == 0)


def test_streams_that_nobody_reads_wait_for_memory(narrow: RunningServer, port: str) -> None:
    with connect(narrow) as silent, Client(narrow.target) as client:
        for _ in range(40):
            silent.call("SampleStream", pb.SampleStreamRequest(request=pb.SampleRequest(count=2**40)))
        told = wait_for(port, lambda told: told["vae_held_bytes",] > _LIMIT / 2)
        assert told["vae_held_bytes",] <= _LIMIT
        assert told["vae_held_refused_calls_total",] == 0
        assert client.sample(1, seed=4).seed == 4
    wait_for(port, lambda told: told["vae_held_bytes",] == 0)
    with Client(narrow.target) as client:
        assert sum(len(part.output) for part in client.sample_stream(100_000)) == 100_000


def test_streams_wait_for_each_other(start_server: StartServer, port: str) -> None:
    server = start_server(
        *("--held-bytes", str(_LIMIT), "--metrics-port", port, "--wait-milliseconds", "300", "--batch-rows", "65536")
    )
    latent = np.zeros((500, 3), np.float32)
    call = pb.Call(decode=pb.DecodeRequest(latent=to_message(latent), output=pb.DECODE_OUTPUT_EXPECTATION))
    with grpc.insecure_channel(server.target) as channel, ThreadPoolExecutor(1) as pool:
        request, stub = pb.CallStreamRequest(calls=[call]), VaeServiceStub(channel)
        streams = [stub.CallStream(iter([request])) for _ in range(200)]
        replies = pool.submit(lambda: [len(message.replies) for stream in streams for message in stream])
        most = 0.0
        while not replies.done():
            most = max(most, read_metrics(port)["vae_held_bytes",])
        assert replies.result() == [1] * 200
    assert 0 < most <= _LIMIT
    wait_for(port, lambda told: told["vae_held_bytes",] == 0)


def test_streams_of_many_messages_are_all_answered(narrow: RunningServer, port: str) -> None:
    latent = np.zeros((500, 3), np.float32)  # 6 kB, and a reply of 128 kB as it is counted
    request = pb.DecodeRequest(latent=to_message(latent), output=pb.DECODE_OUTPUT_EXPECTATION)
    message = pb.CallStreamRequest(
        calls=[pb.Call(id=number, decode=request) for number in range(1, 161)], any_order=True
    )
    with grpc.insecure_channel(narrow.target) as channel, ThreadPoolExecutor(20) as pool:

        def use(_: int) -> int:
            while True:
                stream = VaeServiceStub(channel).CallStream(iter([message] * 3), timeout=300)
                try:
                    return sum(len(part.replies) for part in stream)
                except grpc.RpcError as error:  # a message came when the memory was full
                    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

        assert list(pool.map(use, range(20))) == [480] * 20
    wait_for(port, lambda told: told["vae_held_bytes",] == 0)


@pytest.mark.parametrize("method", ["Encode", "CallStream"])
def test_messages_half_sent_are_given_up_when_they_fill_the_memory(
    narrow: RunningServer, port: str, method: str
) -> None:
    before = read_metrics(port)["process_resident_memory_bytes",]
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        silent = [stack.enter_context(connect(narrow)) for _ in range(3)]
        for half in [pool.submit(one.half_call, method, 60_000_000) for one in silent]:
            half.result()
        wait_for(port, lambda told: told["vae_held_refused_calls_total",] >= 1)
        with Client(narrow.target) as client:
            assert client.sample(1, seed=4).seed == 4
        # Two of the three would be twice as much. What is freed goes back to the system while they are still there.
        wait_for(port, lambda told: told["process_resident_memory_bytes",] < before + 80e6)


def test_a_stream_that_is_given_up_while_its_replies_are_not_read_ends_without_a_word(
    start_server: StartServer, port: str
) -> None:
    server = start_server("--held-bytes", str(_LIMIT), "--in-flight-calls", "1", "--metrics-port", port)
    latent = np.zeros((8000, 3), np.float32)  # whose reply is more than gRPC takes from a writer who is not read
    request = pb.DecodeRequest(latent=to_message(latent), output=pb.DECODE_OUTPUT_EXPECTATION)
    first = pb.CallStreamRequest(calls=[pb.Call(id=1, decode=request)])
    with connect(server) as silent:
        silent.half_call("CallStream", 60_000_000, first)  # which returns when the stream's end is told
        wait_for(port, lambda told: told["vae_held_refused_calls_total",] >= 1)
    wait_for(port, lambda told: told["vae_held_bytes",] == told["vae_calls_in_flight",] == 0)
    with grpc.insecure_channel(server.target) as channel:
        sampling = VaeServiceStub(channel).Sample
        until(lambda: sampling.future(pb.SampleRequest(count=1)).exception() is None)  # the stream has ended
    assert "Traceback" not in server.stop()


def test_a_burst_is_answered_and_not_dropped(start_server: StartServer) -> None:
    server, codes = start_server(), Counter[str]()
    with ExitStack() as stack:
        own = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
        channels = [stack.enter_context(grpc.insecure_channel(server.target, own)) for _ in range(4)]
        for channel in channels:
            VaeServiceStub(channel).GetModel(pb.GetModelRequest())
        calls = [
            VaeServiceStub(channel).Sample.future(pb.SampleRequest(count=1), timeout=120)
            for _ in range(1000)
            for channel in channels
        ]
        for call in calls:
            error = call.exception()
            codes[error.code().name if isinstance(error, grpc.RpcError) else "OK"] += 1
    assert codes == {"OK": 4000}
