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
from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.noise import RowRange
from vaeserve.v1 import vae_pb2 as pb

LIMIT = 2**25
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


class ShortResponses(LongResponses):
    """An RPC with short responses to large pictures."""

    def parse(self, request: object, manifest: object, limits: object) -> PriorRows:
        return PriorRows(RowRange(0, 0, 3), 1.0, "data", size=PictureSize(32, 32))

    def takes_bytes(self, request: object, rows: object, manifest: object) -> int:
        return 1

    def queue(self, served: object) -> Any:  # noqa: ANN401, all that it does is to take rows
        return SimpleNamespace(enqueue=lambda *_, **__: asyncio.get_running_loop().create_future())

    def render(self) -> None:
        """Is not asked for."""


def test_rows_take_of_the_window_as_much_as_they_count_for() -> None:
    rpc: Any = ShortResponses()
    sizes = PictureSizes(multiple=16, minimum=16, maximum=64, default=PictureSize(16, 16))
    data = LatentSpec(("height", "width"), sizes)

    async def run() -> int:
        held = Held(LIMIT)
        call = StreamCall(1, 0, "sample", RequestId(None))
        served: Any = SimpleNamespace(manifest=SimpleNamespace(data=data), limits=None)
        StreamQueueing(Images(1), held, FlowWindow(LIMIT, held)).queue(
            call, rpc, pb.SampleRequest(), served, is_bulk=False
        )
        return call.size

    assert asyncio.run(run()) == 3 * 4 * 256
