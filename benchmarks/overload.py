"""Three times as many calls as the server can answer, each with a deadline: how many get an answer in time.

    python -m benchmarks.overload [--package conv] [--rows 8]

The peak is the best rate of a closed loop. Calls then come at random moments, three times as many, and leave when their
deadline passes. A refusal must be fast, and rows whose caller is gone must not run.
"""

import asyncio
import math
import time
from typing import NamedTuple

import grpc
import numpy as np

from benchmarks.h2load import load
from benchmarks.harness import (
    ANY_SIZE,
    SERVICE,
    Server,
    arguments,
    claim,
    decode_request,
    medians,
    percentile,
    serve,
    table,
)
from benchmarks.packages import NAMES, package

CALLERS = (4, 16)  # of the closed loops, of which the better is the peak
Outcomes = dict[str, list[float]]
"""Milliseconds that each call took, by gRPC's code."""


class Round(NamedTuple):
    """What one round saw."""

    peak: float
    """Calls a second."""
    deadline_milliseconds: float
    offered: float
    """Calls a second."""
    in_time: float
    """Answers a second."""
    late: float
    """Calls a second that met their deadline first."""
    refused: float
    """Calls a second."""
    refused_p50: float
    refused_p99: float
    """Milliseconds."""
    wasted_rows: float


def main() -> None:
    parser = arguments(__doc__, seconds=10.0)
    parser.add_argument("--package", choices=NAMES, action="append")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--factor", type=float, default=3.0, help="calls that come, over the peak")
    parser.add_argument("--patience", type=float, default=10.0, help="deadline, over the time of a lone call")
    options = parser.parse_args()
    for name in options.package or ("conv", "mlp"):
        request = decode_request(package(name), options.rows)
        with serve(package(name), "--threads", "1") as server:
            rounds = [
                measure(server, request, options.factor, options.patience, options.seconds)
                for _ in range(options.repeats)
            ]
        seen = medians(rounds)
        print(f"{name}, {options.rows}-row calls")
        table("", "calls/s, or ms", rows=list(seen._asdict().items()))
        claim("answers in time a second over the peak", seen.in_time / seen.peak, 0.9, 0.98)
        claim("ms, p99 of refusals", seen.refused_p99, 5.0, is_limit=True)
        claim("rows run after their deadline or cancellation", seen.wasted_rows, 0.0, is_limit=True)


def measure(server: Server, request: bytes, factor: float, patience: float, seconds: float) -> Round:
    """Finds the peak, then passes it."""
    short = min(seconds, 3.0)
    peak = max(load(server, "Decode", request, callers=n, seconds=short).calls_a_second for n in CALLERS)
    lone = load(server, "Decode", request, callers=1, seconds=1.0).p50_milliseconds
    deadline = patience * lone / 1000
    outcomes = asyncio.run(storm(server.target, request, factor * peak, deadline, seconds))
    refused = outcomes.get("RESOURCE_EXHAUSTED", [math.nan])
    each_second = {code: len(times) / seconds for code, times in outcomes.items()}
    in_time, late, refusals = (each_second.get(c, 0.0) for c in ("OK", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"))
    percentiles = percentile(refused, 50), percentile(refused, 99)
    return Round(
        peak, deadline * 1000, sum(each_second.values()), in_time, late, refusals, *percentiles, wasted_rows(server)
    )


def wasted_rows(_: Server) -> float:
    """Returns how many rows ran though nobody waited for them; nan, since the server does not count them yet."""
    return math.nan


async def storm(target: str, request: bytes, rate: float, deadline: float, seconds: float) -> Outcomes:
    """Sends calls at random moments whatever becomes of those before, and returns what became of each."""
    outcomes: Outcomes = {}
    random = np.random.default_rng(0)
    async with grpc.aio.insecure_channel(target, options=ANY_SIZE) as channel, asyncio.TaskGroup() as group:
        method = channel.unary_unary(f"/{SERVICE}/Decode", request_serializer=bytes, response_deserializer=bytes)

        async def call() -> None:
            sent, code = time.perf_counter(), "OK"
            try:
                await method(request, timeout=deadline)
            except grpc.aio.AioRpcError as exc:
                code = exc.code().name
            outcomes.setdefault(code, []).append((time.perf_counter() - sent) * 1e3)

        started = due = time.perf_counter()
        while due < started + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(call())
            due += random.exponential(1 / rate)
    return outcomes


if __name__ == "__main__":
    main()
