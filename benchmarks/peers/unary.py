"""One-row calls from one Python process: a shared stream of `vae serve` beside unary calls of Triton."""

import asyncio
from functools import partial

import grpc
import numpy as np

from benchmarks.h2load import FRAME_BYTES
from benchmarks.harness import Load, Side
from benchmarks.peers.joined import Rows
from benchmarks.peers.served import Served
from benchmarks.shared_stream import crowd
from vaeserve import AsyncClient

SHARED = "vae serve, shared stream, one process"
UNARY, UNARY_H2LOAD = "Triton, unary, one process", "Triton, unary, h2load"


def sides_of(ours: Served, triton: Served, latent: Rows, callers: int, seconds: float) -> dict[str, Side]:
    """Returns the stream, and Triton's unary calls from one process and from h2load."""
    return {
        SHARED: lambda: asyncio.run(share(ours, latent, callers, seconds)),
        UNARY: lambda: triton.once_more(lambda: asyncio.run(call(triton, latent, callers, seconds))),
        UNARY_H2LOAD: partial(triton.load, latent, callers, seconds),
    }


async def share(ours: Served, latent: Rows, callers: int, seconds: float) -> Load:
    """Loads `vae serve` through one stream of one client."""
    async with AsyncClient(ours.server.target, share_stream=True) as client:
        decode = partial(client.decode, latent, output="expectation")
        answer = np.asarray((await decode()).output)
        if not np.array_equal(answer.ravel(), ours.dialect.decode(ours.server, latent)):
            raise SystemExit("the stream answers something else than a unary call")
        return await crowd(ours.server, decode, callers, seconds)


async def call(triton: Served, latent: Rows, callers: int, seconds: float) -> Load:
    """Loads Triton with unary calls over one channel. They are serialised beforehand, and answers are not parsed."""
    request = triton.dialect.request(latent)
    async with grpc.aio.insecure_channel(triton.server.target) as channel:
        method = channel.unary_unary(request.path, request_serializer=bytes, response_deserializer=bytes)
        return await crowd(triton.server, partial(method, request.body[FRAME_BYTES:]), callers, seconds)
