"""64 concurrent one-row calls from one Python process: what each call costs the server when they share a stream.

    python -m benchmarks.shared_stream [--package mlp] [--callers 64]

Both sides are `AsyncClient.decode`, unary and with `share_stream=True`, on the same server.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import numpy as np

from benchmarks.clocks import clock, since, steal_of
from benchmarks.harness import Load, Server, Side, alternate, arguments, percentile, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, print_loads
from vaeserve import AsyncClient

WARM_UP_SECONDS = 0.5
UNARY, SHARED = "unary", "one shared stream"


def main() -> None:
    parser = arguments(__doc__, seconds=3.0)
    parser.add_argument("--package", choices=NAMES, default="mlp")
    parser.add_argument("--callers", type=int, default=64)
    options = parser.parse_args()
    with serve(package(options.package), "--threads", "1") as server:
        sides: dict[str, Side] = {
            name: partial(measure, server, name == SHARED, options.callers, options.seconds) for name in (UNARY, SHARED)
        }
        loads = alternate(sides, options.repeats)
    print(f"{options.package}, one-row calls, {options.callers} in flight")
    print_loads(loads, 1)
    ratio = loads[SHARED].server_microseconds / loads[UNARY].server_microseconds
    claim("server us a call, shared over unary", ratio, 0.7, 0.4, is_limit=True)


def measure(server: Server, share_stream: bool, callers: int, seconds: float) -> Load:
    """Loads a server from one client."""

    async def run() -> Load:
        async with AsyncClient(server.target, share_stream=share_stream) as client:
            latent = np.zeros((1, *(await client.get_model()).latent.shape), np.float32)
            return await crowd(server, partial(client.decode, latent), callers, seconds)

    return asyncio.run(run())


async def crowd(server: Server, call: Callable[[], Awaitable[object]], callers: int, seconds: float) -> Load:
    """Warms a server up, then loads it, each caller sending its next call when the last is answered."""

    async def caller(end: float, took: list[float]) -> None:
        while (sent := time.perf_counter()) < end:
            await call()
            took.append((time.perf_counter() - sent) * 1e3)

    async def run(seconds: float) -> list[float]:
        took: list[float] = []
        end = time.perf_counter() + seconds
        await asyncio.gather(*(caller(end, took) for _ in range(callers)))
        return took

    await run(WARM_UP_SECONDS)
    before = clock(server.pid)
    took = await run(seconds)
    spent = since(server.pid, before)
    calls = len(took)
    p50, p99 = percentile(took, 50), percentile(took, 99)
    return Load(spent.processor / calls * 1e6, calls / spent.wall, p50, p99, steal_of(spent))


if __name__ == "__main__":
    main()
