"""Does a free device do well to wait for the front? Serves one package with and without that wait, and compares.

    python benchmarks/batching.py [--package DIR] [--seconds 3] [--repeats 3]

The server is pinned to one core and the load to another; callers send one row each and wait for its answer. The figure
that host noise disturbs least is the server's own processor time a call (user + system, from /proc).
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

import grpc
import numpy as np

from vae.tensors import to_message
from vae.v1 import vae_pb2 as pb
from vae.v1.vae_pb2_grpc import VaeServiceStub

ROOT = Path(__file__).parent.parent
TURNS = (0, 8)  # turns of the event loop that a free device waits: never, and what the batcher does
CALLERS = (1, 4, 16, 64)
SERVE = """
import functools, serving.models
serving.models.Batcher = functools.partial(serving.models.Batcher, quiet_turns={turns})
from vae.cli import main
main()
"""


class Point(NamedTuple):
    """What one load saw."""

    microseconds_a_call: float
    rows_a_batch: float
    p50_milliseconds: float
    calls_a_second: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, default=ROOT / "tests" / "data" / "tiny")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    points: dict[tuple[int, int], list[Point]] = {}
    for _ in range(options.repeats):
        for turns in TURNS:  # in turn, so that a slow minute falls on both
            for callers, point in measure(options.package, turns, options.seconds).items():
                points.setdefault((turns, callers), []).append(point)
    print("callers  turns  us of server a call  rows a batch  p50 ms  calls/s")
    for callers in CALLERS:
        medians = {turns: Point(*map(statistics.median, zip(*points[turns, callers], strict=True))) for turns in TURNS}
        for turns, point in medians.items():
            print(f"{callers:7}  {turns:5}  {point[0]:19.0f}  {point[1]:12.1f}  {point[2]:6.2f}  {point[3]:7.0f}")
        never, waits = (medians[turns].microseconds_a_call for turns in TURNS)
        print(f"{callers:7}  ratio  {never / waits:19.2f}")


def measure(package: Path, turns: int, seconds: float) -> dict[int, Point]:
    """Serves the package on one core and loads it from another, with each number of callers."""
    command = [
        sys.executable,
        "-c",
        SERVE.format(turns=turns),
        "serve",
        str(package),
        "--port",
        "0",
        "--log-level",
        "warning",
    ]
    with subprocess.Popen(["taskset", "-c", "0", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"on (\S+:\d+),", server.stdout.readline())
        assert found is not None, "the server did not start"
        os.sched_setaffinity(0, {1})
        try:
            return {callers: asyncio.run(load(found[1], server.pid, callers, seconds)) for callers in CALLERS}
        finally:
            os.sched_setaffinity(0, {0, 1})
            server.terminate()


async def load(target: str, pid: int, callers: int, seconds: float) -> Point:
    latencies: list[float] = []
    batch_shares: list[float] = []
    async with grpc.aio.insecure_channel(target) as channel:
        stub = VaeServiceStub(channel)
        shape = (await stub.GetModel(pb.GetModelRequest())).model.latent_shape
        request = pb.DecodeRequest(latent=to_message(np.zeros((1, *shape), np.float32)))
        end = time.perf_counter() + seconds

        async def caller() -> None:
            while (sent := time.perf_counter()) < end:
                reply = await stub.Decode(request)
                latencies.append(time.perf_counter() - sent)
                batch_shares.append(1 / reply.timing.batch_rows)

        before = processor_seconds(pid)
        await asyncio.gather(*(caller() for _ in range(callers)))
        used = processor_seconds(pid) - before
    calls = len(latencies)
    return Point(used / calls * 1e6, calls / sum(batch_shares), statistics.median(latencies) * 1e3, calls / seconds)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
