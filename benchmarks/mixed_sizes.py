"""One-row calls of six picture sizes, 64 in flight: rows/s beside the same rows sorted by size in a bare loop.

    python -m benchmarks.mixed_sizes [--callers 64]

The bare loop runs each size in the batches that suit it best, on one thread. The ratio is computed from processor time
per row, so a host that takes the core away affects both sides alike.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import grpc
import numpy as np

from benchmarks.calls import ANY_SIZE, SERVICE
from benchmarks.clocks import clock, since, steal_of
from benchmarks.harness import Load, Server, Side, alternate, arguments, percentile, serve
from benchmarks.limits import bare
from benchmarks.packages import PICTURES, package
from benchmarks.printing import claim, print_loads
from vaeserve.package.directory import ModelPackage
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

SIZES = tuple(PictureSize(*sides) for sides in ((128, 128), (128, 192), (192, 128), (192, 192), (256, 192), (256, 256)))
BATCHES = (1, 2, 4, 8)
SERVED = "vae serve, Decode"


def main() -> None:
    parser = arguments(__doc__, seconds=10.0)
    parser.add_argument("--package", type=Path, help="of pictures of any size (default: a small AutoencoderKL)")
    parser.add_argument("--callers", type=int, default=64)
    options = parser.parse_args()
    directory = options.package or package(PICTURES)
    with serve(directory, "--threads", "1") as server:
        sides: dict[str, Side] = {SERVED: partial(measure, server, directory, options.callers, options.seconds)}
        for size in SIZES:
            for rows in BATCHES:
                sides[_run_of(size, rows)] = partial(bare, directory, rows, min(options.seconds, 1.0), size)
        loads = alternate(sides, options.repeats)
    print_loads(loads, [1] + list(BATCHES) * len(SIZES))
    best = statistics.fmean(
        min(loads[_run_of(size, rows)].server_microseconds / rows for rows in BATCHES) for size in SIZES
    )
    claim(f"rows/s, {SERVED} over session.run by size", best / loads[SERVED].server_microseconds, 0.9)


def measure(server: Server, directory: Path, callers: int, seconds: float) -> Load:
    """Loads a server, each caller sending its next call when the last is answered."""
    return asyncio.run(crowd(server, requests_of(directory), callers, seconds))


def requests_of(directory: Path) -> list[bytes]:
    """Returns a serialised Decode request of one row of each size."""
    latent, noise = ModelPackage.open(directory).manifest.latent, np.random.default_rng(0)
    rows = [noise.normal(size=(1, *latent.at(size).shape)).astype(np.float32) for size in SIZES]
    return [pb.DecodeRequest(latent=to_message(row)).SerializeToString() for row in rows]


async def crowd(server: Server, requests: Sequence[bytes], callers: int, seconds: float) -> Load:
    """Warms up, and then sends as many calls as take about so long: equally many of each size, in random order."""
    async with grpc.aio.insecure_channel(server.target, options=ANY_SIZE) as channel:
        decode = channel.unary_unary(f"/{SERVICE}/Decode", request_serializer=bytes, response_deserializer=len)

        async def caller(waiting: Iterator[bytes], took: list[float]) -> None:
            for request in waiting:
                sent = time.perf_counter()
                await decode(request, timeout=60)
                took.append((time.perf_counter() - sent) * 1e3)

        async def run(calls: int) -> list[float]:
            took: list[float] = []
            order = list(requests) * max(1, round(calls / len(requests)))
            random.Random(0).shuffle(order)
            waiting = iter(order)
            await asyncio.gather(*(caller(waiting, took) for _ in range(callers)))
            return took

        began = time.perf_counter()
        warm_up = len(await run(4 * callers))
        pace = (time.perf_counter() - began) / warm_up
        before = clock(server.pid)
        took = await run(round(seconds / pace))
        spent = since(server.pid, before)
    calls = len(took)
    p50, p99 = percentile(took, 50), percentile(took, 99)
    return Load(spent.processor / calls * 1e6, calls / spent.wall, p50, p99, steal_of(spent))


def _run_of(size: PictureSize, rows: int) -> str:
    return f"session.run of {rows}, {size}"


if __name__ == "__main__":
    main()
