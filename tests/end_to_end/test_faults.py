"""What callers, signals and crashes do at the worst moment, and what the others then get."""

import asyncio
import random
import signal
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tests.support.servers import RunningServer, StartServer, read_metrics
from vaeserve import Client
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub

LATENTS = np.random.default_rng(3).normal(size=(200, 20, 3)).astype(np.float32)
Outcome = pb.DecodeResponse | BaseException


def _request(caller: int) -> pb.DecodeRequest:
    return pb.DecodeRequest(latent=to_message(LATENTS[caller]), output=pb.DECODE_OUTPUT_EXPECTATION)


@pytest.fixture(scope="module")
def alone(server: RunningServer) -> list[bytes]:
    """What every caller gets with nobody else there."""
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        return [stub.Decode(_request(caller)).expectation.data for caller in range(len(LATENTS))]


async def _is_soon(port: str, queue_rows: float, in_flight: float) -> None:
    """Waits until a server has as many rows in its decoder's queue, and calls in flight, as it should."""
    deadline = time.monotonic() + 60
    while True:
        told = await asyncio.to_thread(read_metrics, port)
        found = told["vae_queue_rows", "decoder", "tiny", "1"], told["vae_calls_in_flight",]
        if found == (queue_rows, in_flight):
            return
        assert time.monotonic() < deadline, f"{found} rows and calls"
        await asyncio.sleep(0.02)


async def _leave_at_random(call: Awaitable[pb.DecodeResponse], within_seconds: float) -> pb.DecodeResponse:
    async with asyncio.timeout(random.uniform(0, within_seconds)):
        return await call


def test_callers_who_leave_at_any_moment_change_no_answer(
    start_server: StartServer, port: str, alone: list[bytes]
) -> None:
    server = start_server("--metrics-port", port, "--batch-rows", "8")

    async def storm() -> list[Outcome]:
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = VaeServiceStub(channel)
            calls: list[Awaitable[pb.DecodeResponse]] = [stub.Decode(_request(caller)) for caller in range(200)]
            calls[::2] = [_leave_at_random(call, 0.2 * (caller > 0)) for caller, call in enumerate(calls[::2])]
            replies = await asyncio.gather(*calls, return_exceptions=True)
            await _is_soon(port, 0, 0)
            return replies

    replies = asyncio.run(storm())
    for caller, reply in enumerate(replies):
        if isinstance(reply, BaseException):
            assert caller % 2 == 0
            assert isinstance(reply, TimeoutError)
        else:
            assert reply.expectation.data == alone[caller]
    assert any(isinstance(reply, BaseException) for reply in replies)
    assert "Traceback" not in server.stop()


def _is_about_time(code: int, details: Iterable[AnyMessage]) -> bool:
    """Whether a call failed because its time ran out, or was going to."""
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]:
        info = ErrorInfo()
        return any(detail.Unpack(info) and info.reason == "DEADLINE_UNREACHABLE" for detail in details)
    return code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


async def _stream_with_deadlines(stub: "VaeServiceAsyncStub", alone: list[bytes]) -> int:
    """Sends every caller's rows over one stream, and returns how many were answered in time."""
    calls = [
        pb.Call(id=caller, decode=_request(caller), timeout_microseconds=random.randint(1, 30_000))
        for caller in range(len(LATENTS))
    ]
    answered: dict[int, bool] = {}
    async for message in stub.CallStream(iter([pb.CallStreamRequest(calls=calls, any_order=True)])):
        for reply in message.replies:
            answered[reply.id] = reply.HasField("decode")
            if answered[reply.id]:
                assert reply.decode.expectation.data == alone[reply.id]
            else:
                assert _is_about_time(reply.error.code, reply.error.details), reply.error
    assert len(answered) == len(calls)
    return sum(answered.values())


def test_deadlines_that_can_hardly_be_met_harm_nobody_else(
    start_server: StartServer, port: str, alone: list[bytes]
) -> None:
    server = start_server("--metrics-port", port, "--batch-rows", "8")

    async def storm() -> None:
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = VaeServiceStub(channel)

            async def call(caller: int) -> None:
                timeout = random.uniform(0.0001, 0.03) if caller % 4 else None
                try:
                    reply = await stub.Decode(_request(caller), timeout=timeout)
                except grpc.aio.AioRpcError as error:
                    assert timeout is not None
                    trailers = dict(error.trailing_metadata() or ())
                    status = Status.FromString(trailers.get("grpc-status-details-bin", b""))
                    assert _is_about_time(error.code().value[0], status.details), error
                else:
                    assert reply.expectation.data == alone[caller]

            for _ in range(3):
                await asyncio.gather(_stream_with_deadlines(stub, alone), *(call(caller) for caller in range(200)))
            await _is_soon(port, 0, 0)

    asyncio.run(storm())
    assert "Traceback" not in server.stop()


def test_a_signal_in_mid_load_loses_nothing_that_was_accepted(
    start_server: StartServer, port: str, alone: list[bytes]
) -> None:
    server = start_server("--metrics-port", port, "--wait-milliseconds", "1000", "--batch-rows", "10000")
    calls = [pb.Call(id=caller, decode=_request(caller)) for caller in range(100, 200)]

    async def load() -> None:
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = VaeServiceStub(channel)
            stream = stub.CallStream()
            await stream.write(pb.CallStreamRequest(calls=calls))  # and it stays open
            unary = [asyncio.ensure_future(_awaited(stub.Decode(_request(caller)))) for caller in range(100)]
            await _is_soon(port, 200 * 20, 200)
            server.process.send_signal(signal.SIGTERM)
            assert [reply.decode.expectation.data async for reply in _replies(stream)] == alone[100:]
            assert [reply.expectation.data for reply in await asyncio.gather(*unary)] == alone[:100]

    asyncio.run(load())
    assert "Traceback" not in server.stop()


async def _awaited(call: Awaitable[pb.DecodeResponse]) -> pb.DecodeResponse:
    return await call


async def _replies(messages: AsyncIterable[pb.CallStreamResponse]) -> AsyncIterator[pb.Reply]:
    """Yields a stream's replies until the server has stopped."""
    try:
        async for message in messages:
            for reply in message.replies:
                yield reply
    except grpc.aio.AioRpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE


def test_calls_outlive_a_server_that_is_killed_where_there_is_another(
    start_server: StartServer, alone: list[bytes]
) -> None:
    servers = [start_server(), start_server()]
    began, answered = threading.Barrier(9), 0

    with Client(f"ipv4:{','.join(one.target for one in servers)}") as client, ThreadPoolExecutor(8) as pool:

        def job(first: int) -> list[bytes]:
            nonlocal answered
            client.get_model()
            began.wait(20)
            data = []
            for caller in range(first, 200, 8):
                data.append(client.decode(LATENTS[caller], output="expectation").output.tobytes())
                answered += 1
            return data

        jobs = [pool.submit(job, first) for first in range(8)]
        began.wait(20)
        while answered < 20:
            time.sleep(0.001)
        servers[0].process.kill()
        for first, one in enumerate(jobs):
            assert one.result(60) == alone[first::8]
    servers[1].stop()
