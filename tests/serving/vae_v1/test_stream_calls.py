"""A call that could be answered twice, on a real server whose pieces of work are done one by one."""

import asyncio
from collections.abc import Callable
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

    Stream = grpc.aio.StreamStreamCall[pb.CallStreamRequest, pb.CallStreamResponse]

CANCELLED = grpc.StatusCode.CANCELLED.value[0]
LATENT = to_message(np.zeros((1, 3), np.float32))


async def eventually(is_so: Callable[[], bool]) -> None:
    """Lets the event loop turn until something is so."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110, it may be true in any turn
            await asyncio.sleep(0.001)


class HeldTurns(Turns):
    """Turns whose pieces of work wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Callable[[], None]] = []

    def do(self, piece: Callable[[], None]) -> None:
        self.pieces.append(piece)

    async def take(self, count: int) -> list[Callable[[], None]]:
        """Waits until so many pieces are held, and takes them."""
        await eventually(lambda: len(self.pieces) >= count)
        taken, self.pieces = self.pieces, []
        return taken


def test_a_call_whose_deadline_passes_while_its_answer_waits_to_be_rendered_is_answered_once(
    settings: Settings,
) -> None:
    async def scenario(answering: Answering, turns: HeldTurns, stub: "VaeServiceAsyncStub") -> None:
        stream = stub.CallStream()
        request = pb.DecodeRequest(latent=LATENT)
        in_time, late = pb.Call(id=1, decode=request, timeout_microseconds=500_000), pb.Call(id=2, decode=request)
        await stream.write(pb.CallStreamRequest(calls=[in_time]))
        answer, expiry = await turns.take(2)
        answer()
        first = await stream.read()
        expiry()  # its reply is written, and no longer here
        await stream.write(pb.CallStreamRequest(calls=[late]))
        (answer,) = await turns.take(1)
        answer()
        second = await stream.read()
        for message, number in ((first, 1), (second, 2)):
            assert isinstance(message, pb.CallStreamResponse)
            assert [reply.id for reply in message.replies] == [number]
        await eventually(lambda: answering.calls.in_flight == 0)
        counts = [sum(histogram.counts) for histogram in answering.tally.seconds.values()]
        assert sum(counts) == 2
        stream.cancel()

    async def run() -> None:
        turns, models = HeldTurns(), Models()
        await Reloader(settings, models, Device(1, Turns())).start()
        server, answering = server_of(models, settings, turns)
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            await scenario(answering, turns, VaeServiceStub(channel))

    asyncio.run(run())


def test_cancelled_calls_are_answered_at_once_and_never_run(settings: Settings) -> None:
    async def scenario(stub: "VaeServiceAsyncStub", device: Device, waiting: Callable[[], int]) -> None:
        await device.take(1)  # nothing runs until it is given back
        stream = stub.CallStream()
        calls = {number: pb.Call(id=number, decode=pb.DecodeRequest(latent=LATENT)) for number in range(1, 6)}
        await stream.write(pb.CallStreamRequest(calls=[calls[1], calls[2]], any_order=True))
        await eventually(lambda: waiting() == 2)
        await stream.write(
            pb.CallStreamRequest(calls=[calls[3], calls[4], calls[5]], cancelled_ids=[1, 3, 99], any_order=True)
        )
        cancelled = await _replies(stream, 2)
        assert {reply.id: reply.error.code for reply in cancelled} == dict.fromkeys((1, 3), CANCELLED)
        await eventually(lambda: waiting() == 3)
        device.give(1)
        run = await _replies(stream, 3)
        assert {reply.id: reply.decode.timing.batch_rows for reply in run} == {2: 3, 4: 3, 5: 3}
        stream.cancel()

    async def run() -> None:
        models, device = Models(), Device(1, Turns())
        await Reloader(settings, models, device).start()
        server, _ = server_of(models, settings, device.turns)
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            await scenario(VaeServiceStub(channel), device, lambda: models.find("", 0).decoder.waiting_rows)

    asyncio.run(run())


async def _replies(stream: "Stream", count: int) -> list[pb.Reply]:
    """Reads messages until there are so many replies."""
    replies: list[pb.Reply] = []
    while len(replies) < count:
        message = await stream.read()
        assert isinstance(message, pb.CallStreamResponse)
        replies.extend(message.replies)
    return replies
