"""What callers who share a server must never notice of one another."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from tests.support.servers import RunningServer, StartServer, until_in_flight
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.tensors import to_array, to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub

CALLERS = 64
LATENTS = np.random.default_rng(3).normal(size=(256, 3)).astype(np.float32)


def _alone(target: str) -> list[bytes]:
    """Decodes row by row with nobody else there."""
    with grpc.insecure_channel(target) as channel:
        stub = VaeServiceStub(channel)
        requests = (
            pb.DecodeRequest(latent=to_message(LATENTS[i : i + 1]), output=pb.DECODE_OUTPUT_EXPECTATION)
            for i in range(len(LATENTS))
        )
        return [stub.Decode(request).expectation.data for request in requests]


async def _decode(stub: "VaeServiceAsyncStub", row: int) -> pb.DecodeResponse:
    return await stub.Decode(
        pb.DecodeRequest(latent=to_message(LATENTS[row : row + 1]), output=pb.DECODE_OUTPUT_EXPECTATION)
    )


def test_64_callers_share_batches_and_each_gets_its_own_answer(server: RunningServer) -> None:
    alone = _alone(server.target)

    async def crowd() -> list[pb.DecodeResponse]:
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = VaeServiceStub(channel)

            async def caller(first: int) -> list[pb.DecodeResponse]:
                return [await _decode(stub, row) for _ in range(10) for row in range(first, len(LATENTS), 64)]

            return [reply for replies in await asyncio.gather(*map(caller, range(64))) for reply in replies]

    replies = asyncio.run(crowd())
    rows = [row for first in range(64) for _ in range(10) for row in range(first, len(LATENTS), 64)]
    for row, reply in zip(rows, replies, strict=True):
        assert reply.expectation.data == alone[row]
    assert max(reply.timing.batch_rows for reply in replies) > 1


def test_cancelling_every_other_caller_changes_no_answer(
    server: RunningServer, start_server: StartServer, port: str
) -> None:
    alone = _alone(server.target)
    patient = start_server("--metrics-port", port, "--wait-milliseconds", "1000", "--batch-rows", "10000")

    async def storm() -> list[pb.DecodeResponse | BaseException]:
        async with grpc.aio.insecure_channel(patient.target) as channel:
            stub = VaeServiceStub(channel)
            await stub.GetModel(pb.GetModelRequest())  # the connection stands before the storm begins
            tasks = [asyncio.create_task(_decode(stub, row)) for row in range(CALLERS)]
            await asyncio.to_thread(until_in_flight, port, CALLERS)  # they wait for company for a second
            for task in tasks[::2]:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    for row, reply in enumerate(asyncio.run(storm())):
        if row % 2:
            assert isinstance(reply, pb.DecodeResponse)
            assert reply.expectation.data == alone[row]
            assert reply.timing.batch_rows <= CALLERS // 2, "cancelled rows ran"
        else:
            assert isinstance(reply, asyncio.CancelledError)


@pytest.mark.parametrize("cuts", [[64], [1, 63], [13, 20, 31], [1] * 64])
def test_a_sample_is_the_same_however_it_is_split_over_servers(
    server: RunningServer, start_server: StartServer, cuts: list[int]
) -> None:
    other = start_server("--threads", "1", "--batch-rows", "7")
    whole = _sample(server.target, 0, 64)
    parts, first = [], 0
    for index, count in enumerate(cuts):
        parts.append(_sample((server.target, other.target)[index % 2], first, count))
        first += count
    for name in ("latent", "data"):
        assert getattr(whole, name).data == b"".join(getattr(part, name).data for part in parts)
    noise = standard_normals(Purpose.PRIOR, [RowRange(7, 0, 64)], 3)
    np.testing.assert_array_equal(to_array(whole.latent, "latent", "float32", (3,)), noise)


def _sample(target: str, first_row: int, count: int) -> pb.SampleResponse:
    with grpc.insecure_channel(target) as channel:
        request = pb.SampleRequest(count=count, seed=7, first_row=first_row, include_latent=True)
        return VaeServiceStub(channel).Sample(request)


def test_a_signal_under_load_answers_or_says_unavailable(start_server: StartServer) -> None:
    server = start_server("--drain-seconds", "0")

    async def storm() -> list[pb.SampleResponse | BaseException]:
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = VaeServiceStub(channel)
            await stub.GetModel(pb.GetModelRequest())

            async def call() -> pb.SampleResponse:
                return await stub.Sample(pb.SampleRequest(count=3))

            tasks = [asyncio.create_task(call()) for _ in range(200)]
            await asyncio.sleep(0.02)
            server.process.terminate()
            return await asyncio.gather(*tasks, return_exceptions=True)

    for result in asyncio.run(storm()):
        if isinstance(result, BaseException):
            assert isinstance(result, grpc.aio.AioRpcError)
            assert result.code() == grpc.StatusCode.UNAVAILABLE
    assert server.process.wait(60) == 0


def test_a_full_queue_refuses_and_says_when_to_return(start_server: StartServer, tiny: Path) -> None:
    server = start_server("--queue-rows", "4", "--call-rows", "4", "--wait-milliseconds", "1000")

    async def crowd() -> list[pb.SampleResponse | BaseException]:
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = VaeServiceStub(channel)

            async def call() -> pb.SampleResponse:
                return await stub.Sample(pb.SampleRequest(count=3))

            return await asyncio.gather(*(call() for _ in range(6)), return_exceptions=True)

    results = asyncio.run(crowd())
    refused = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert len(refused) == 5
    for error in refused:
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-status-details-bin" in dict(error.trailing_metadata())
