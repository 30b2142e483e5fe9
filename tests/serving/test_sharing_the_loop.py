"""What one stream asks in one message, on a real server whose event loop is watched turn by turn."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import grpc
import numpy as np

from serving.batching.device import Device
from serving.models.registry import Models
from serving.models.reloading import Reloader
from serving.settings import Settings
from serving.transport.answering import Answering
from serving.turns import Turns
from tests.support.in_process import server_of
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub

CALLS = 200
STEP = 2  # between two looks: one is done in each turn, and a look may come first in its turn and last in the next
Stream = grpc.aio.StreamStreamCall[pb.CallStreamRequest, pb.CallStreamResponse]


def _play(settings: Settings, scenario: Callable[[Answering, "VaeServiceAsyncStub"], Awaitable[None]]) -> None:
    """Runs a scenario and the server on one event loop, which does one piece of work a turn."""
    settings = settings.model_copy(update={"watch": "off"})

    async def run() -> None:
        turns, models = Turns(share_seconds=0), Models()
        await Reloader(settings, models, Device(1, turns)).start()
        server, answering = server_of(models, settings, turns)
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            await scenario(answering, VaeServiceStub(channel))

    asyncio.run(run())


def _calls() -> list[pb.Call]:
    latent = to_message(np.zeros((1, 3), np.float32))
    return [pb.Call(id=number, decode=pb.DecodeRequest(latent=latent)) for number in range(1, CALLS + 1)]


def _largest_step(seen: list[int]) -> int:
    return max(after - before for before, after in pairwise(seen))


async def _watch(
    answering: Answering, stream: Stream, message: pb.CallStreamRequest, code: str
) -> tuple[list[int], list[int]]:
    """Writes a message and reads until every call is answered.

    Returns the numbers of calls in flight, and answered, turn by turn, also in those that the writing takes.
    """
    writing = asyncio.ensure_future(stream.write(message))
    in_flight, answered, replies = [0], [0], 0
    while replies < CALLS:
        reading = asyncio.ensure_future(stream.read())
        while not reading.done():
            in_flight.append(answering.calls.in_flight)
            seconds = answering.tally.seconds.get(("Decode", "stream", code))
            answered.append(sum(seconds.counts) if seconds else 0)
            await asyncio.sleep(0)
        received = reading.result()
        assert isinstance(received, pb.CallStreamResponse)
        replies += len(received.replies)
    await writing
    assert answered[-1] == CALLS
    return in_flight, answered


def test_the_calls_of_a_message_begin_and_are_answered_turn_by_turn(settings: Settings) -> None:
    async def scenario(answering: Answering, stub: "VaeServiceAsyncStub") -> None:
        stream = stub.CallStream()
        in_flight, answered = await _watch(answering, stream, pb.CallStreamRequest(calls=_calls()), "OK")
        assert max(_largest_step(in_flight), _largest_step(answered)) <= STEP
        stream.cancel()

    _play(settings, scenario)


def test_the_calls_that_a_message_cancels_are_answered_turn_by_turn(settings: Settings) -> None:
    async def scenario(answering: Answering, stub: "VaeServiceAsyncStub") -> None:
        stream = stub.CallStream()
        await stream.write(pb.CallStreamRequest(calls=_calls()))
        while answering.calls.in_flight < CALLS:  # noqa: ASYNC110, they wait for company
            await asyncio.sleep(0)
        cancelling = pb.CallStreamRequest(cancelled_ids=range(1, CALLS + 1))
        _, answered = await _watch(answering, stream, cancelling, "CANCELLED")
        assert _largest_step(answered) <= STEP
        stream.cancel()

    _play(settings.model_copy(update={"wait_milliseconds": 1000.0, "batch_rows": 10_000}), scenario)
