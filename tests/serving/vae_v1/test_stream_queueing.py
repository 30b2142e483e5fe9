"""How the rows of a stream's call come to the batcher."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from serving.engine.rows import PriorRows
from serving.transport.held import Held
from serving.transport.request_ids import RequestId
from serving.vae_v1.flow_window import FlowWindow
from serving.vae_v1.images import Images
from serving.vae_v1.stream_queueing import StreamQueueing
from serving.vae_v1.streams import StreamCall
from vaeserve.package.row_spec import LatentSpec
from vaeserve.rows.noise import RowRange
from vaeserve.v1 import vae_pb2 as pb

LIMIT = 2**20
SERVED: Any = SimpleNamespace(manifest=SimpleNamespace(data=LatentSpec((1,))), limits=None)


class LongResponses:
    """An RPC with long responses, which notes how much time it is left."""

    timeout_seconds = 0.0

    def parse(self, request: object, manifest: object, limits: object) -> PriorRows:
        return PriorRows(RowRange(0, 0, 1), 1.0, "data")

    def takes_bytes(self, request: object, rows: object, manifest: object) -> int:
        return LIMIT // 16

    def writes_images(self, request: object) -> bool:
        return False

    def is_long(self, rows: object, manifest: object) -> bool:
        return True

    async def respond(
        self, request: object, rows: object, served: object, images: object, timeout_seconds: float, **_: bool
    ) -> pb.EncodeResponse:
        self.timeout_seconds = timeout_seconds
        return pb.EncodeResponse()


def test_a_wait_for_memory_counts_towards_the_deadline() -> None:
    rpc: Any = LongResponses()

    async def run() -> float:
        held = Held(LIMIT)
        held.add(LIMIT // 2)
        queueing = StreamQueueing(Images(1), held, FlowWindow(LIMIT, held))
        call = StreamCall(1, 0, "encode", RequestId(None), deadline=time.monotonic() + 60)
        answer, _ = queueing.queue(call, rpc, pb.EncodeRequest(), SERVED, is_bulk=False)
        await asyncio.sleep(0.01)
        assert not answer.done()
        left = call.deadline - time.monotonic()
        held.add(-LIMIT // 2)
        await answer
        return left

    left = asyncio.run(run())
    assert 0 < rpc.timeout_seconds <= left
