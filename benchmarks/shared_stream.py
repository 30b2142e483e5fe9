"""What does a call cost the server when 64 concurrent ones share a stream, beside 64 unary ones?

    python benchmarks/shared_stream.py [--package DIR] [--callers 64] [--seconds 3] [--rounds 5]

One Python process makes one-row Decode calls through `AsyncClient`, unary and with `share_stream=True` in turn, on the
same server. The server is pinned to core 0 and the load to core 1. The default package is the tests' tiny one. The
figure is the server's own processor time a call (user + system); steal is what the host took of both cores.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae import AsyncClient

ROOT = Path(__file__).parent.parent


class Point(NamedTuple):
    """What one load saw."""

    microseconds_a_call: float
    calls_a_second: float
    p50_milliseconds: float
    rows_a_batch: float
    steal_percent: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, default=ROOT / "tests" / "data" / "tiny")
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    points = measure(options.package, options.callers, options.seconds, options.rounds)
    print("calls    us of server a call  calls/s  p50 ms  rows a batch  steal %")
    medians = {}
    for name, seen in points.items():
        medians[name] = point = Point(*map(statistics.median, zip(*seen, strict=True)))
        print(f"{name:8} {point[0]:19.0f}  {point[1]:7.0f}  {point[2]:6.2f}  {point[3]:12.1f}  {point[4]:7.1f}")
    print(f"ratio    {medians['shared'].microseconds_a_call / medians['unary'].microseconds_a_call:19.2f}")


def measure(package: Path, callers: int, seconds: float, rounds: int) -> dict[str, list[Point]]:
    """Serves the package on one core and loads it from another, both ways in turn."""
    serve = [sys.executable, "-c", "from vae.cli import main; main()", "serve", str(package), "--port", "0"]
    command = ["taskset", "-c", "0", *serve, "--log-level", "warning"]
    points: dict[str, list[Point]] = {"unary": [], "shared": []}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"on (\S+:\d+),", server.stdout.readline())
        assert found is not None, "the server did not start"
        os.sched_setaffinity(0, {1})
        try:
            for _ in range(rounds):
                for name, seen in points.items():
                    seen.append(asyncio.run(load(found[1], server.pid, name == "shared", callers, seconds)))
        finally:
            server.terminate()
    return points


async def load(target: str, pid: int, share_stream: bool, callers: int, seconds: float) -> Point:
    latencies: list[float] = []
    batch_shares: list[float] = []
    async with AsyncClient(target, share_stream=share_stream) as client:
        latent = np.zeros((1, *(await client.get_model()).latent_shape), np.float32)

        async def caller(end: float) -> None:
            while (sent := time.perf_counter()) < end:
                decoded = await client.decode(latent)
                latencies.append(time.perf_counter() - sent)
                batch_shares.append(1 / decoded.timing.batch_rows)

        async def crowd(seconds: float) -> None:
            end = time.perf_counter() + seconds
            await asyncio.gather(*(caller(end) for _ in range(callers)))

        await crowd(0.5)  # warms up
        latencies.clear()
        batch_shares.clear()
        before, started, stolen = processor_seconds(pid), time.perf_counter(), steal_ticks()
        await crowd(seconds)
        used, wall, stolen = processor_seconds(pid) - before, time.perf_counter() - started, steal_ticks() - stolen
    calls, p50 = len(latencies), statistics.median(latencies)
    steal = 100 * stolen / os.sysconf("SC_CLK_TCK") / wall / 2
    return Point(used / calls * 1e6, calls / wall, p50 * 1e3, calls / sum(batch_shares), steal)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def steal_ticks() -> int:
    rows = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    return sum(int(row[8]) for row in rows if row[0] in ("cpu0", "cpu1"))


if __name__ == "__main__":
    main()
