"""A front in this process, and a channel to it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import grpc

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.transport.admission import CallAdmission
from serving.transport.front import Front, Handler

Scenario = Callable[[grpc.aio.Channel, Front], Awaitable[None]]


def play_front(
    scenario: Scenario,
    handlers: Mapping[str, Handler],
    admission: CallAdmission | None = None,
    *,
    stops: bool = True,
) -> None:
    """Plays with a front and a channel to it. `handlers` are those of a.Service; names with a slash are whole paths."""

    async def run() -> None:
        paths = {name if "/" in name else f"/a.Service/{name}": handler for name, handler in handlers.items()}
        admit = admission or CallAdmission(None, 0, Calls(), CallTally())
        front = Front(admit, paths, [("grpc.so_reuseport", 0)], lambda: None)
        port = front.add_port("127.0.0.1:0", None)
        front.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await scenario(channel, front)
        if stops:
            await asyncio.wait_for(front.stop(0), 60)

    asyncio.run(run())


def unary(channel: grpc.aio.Channel, name: str) -> "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]":
    """Returns a method of a.Service that takes and returns bytes."""
    return channel.unary_unary(f"/a.Service/{name}")


def streaming(channel: grpc.aio.Channel, name: str) -> "grpc.aio.StreamStreamMultiCallable[bytes, bytes]":
    """Returns a method of a.Service that takes and returns streams of bytes."""
    return channel.stream_stream(f"/a.Service/{name}")
