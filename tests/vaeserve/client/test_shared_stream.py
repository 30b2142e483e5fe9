"""The messages of the stream that calls share."""

import asyncio
from typing import Any

from vaeserve.client.shared_stream import _OneStream
from vaeserve.v1 import vae_pb2 as pb


class SilentCall:
    """An RPC whose server answers nothing."""

    async def read(self) -> None:
        await asyncio.Event().wait()

    def cancel(self) -> None: ...


def test_no_message_cancels_more_calls_than_a_server_takes() -> None:
    async def run() -> list[list[int]]:
        call: Any = SilentCall()
        stream = _OneStream(call)
        requests = [asyncio.create_task(stream.call(pb.SampleRequest(count=1), 60)) for _ in range(70_000)]
        await asyncio.sleep(0)
        while stream._take_message() is not None:
            pass
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        messages = list[list[int]]()
        while (message := stream._take_message()) is not None:
            messages.append(list(message.cancelled_ids))
        return messages

    first, second = asyncio.run(run())
    assert len(first) == 65_536
    assert first + second == list(range(1, 70_001))
