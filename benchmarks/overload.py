"""Three times as many calls as the server can answer, each with a deadline: how many are answered in time.

    python -m benchmarks.overload [--package conv] [--rows 8]

The peak is the best rate of a closed loop. Calls then arrive at random times, at three times that rate, and end at
their deadline. A refusal must be fast, and rows must not start to run after their client is gone. Latencies are the
client's; the lag of the client's own event loop is printed beside them.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import grpc
import numpy as np

from benchmarks import counters
from benchmarks.calls import ANY_SIZE, call_path, decode_request
from benchmarks.clocks import clock, since
from benchmarks.h2load import h2load, load
from benchmarks.harness import Server, arguments, medians, percentile, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, table
from vaeserve.v1 import vae_pb2 as pb

POINTS = (("conv", 64), ("conv", 8), ("mlp", 64))
CALLERS = (4, 16)  # of the closed loops, of which the better is the peak
LOOK_SECONDS = 0.001
REFUSALS = 1000
IDLE_REFUSALS, IDLE_RATE = 200, 100  # a second
REFUSED = "RESOURCE_EXHAUSTED"


class Round(NamedTuple):
    """Figures of one round. Rates are calls a second, times milliseconds."""

    peak: float
    deadline: float
    offered: float
    in_time: float
    late: float
    """Calls that ended at their deadline."""
    refused: float
    refused_p50: float
    refused_p99: float
    refused_handling: float
    """Mean time between the handler's beginning and its refusal, in the server."""
    idle_refused_p99: float
    """Of refusals by an idle server, at a steady rate."""
    refusal_microseconds: float
    """Processor time of the server for a call that is refused as soon as it is read."""
    bound: float
    """Maximum answers a second, over the peak, in the time that refusing the other calls leaves."""
    load_lag_p99: float
    """Of the load generator's event loop."""
    server_cores: float
    """Processors that the server used."""
    dropped_rows: float
    """Rows of calls that ended or passed their deadline while they waited."""
    wasted_rows: float
    """Rows of calls that had ended or passed their deadline when their batch ended."""


class Storm(NamedTuple):
    """Outcomes of the calls, and lags of the load generator."""

    outcomes: dict[str, list[float]]
    """Milliseconds that each call took, by gRPC's code."""
    lags: list[float]
    """Milliseconds."""


def main() -> None:
    parser = arguments(__doc__, seconds=5.0)
    parser.add_argument("--package", choices=NAMES)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--factor", type=float, default=3.0, help="calls that come, over the peak")
    parser.add_argument("--patience", type=float, default=10.0, help="deadline, over the time of a lone call")
    options = parser.parse_args()
    for name, rows in [(options.package, options.rows)] if options.package else POINTS:
        request, port = decode_request(package(name), rows), counters.free_port()
        with serve(package(name), "--threads", "1", "--metrics-port", str(port)) as server:
            rounds = [
                measure(
                    server,
                    port,
                    request,
                    factor=options.factor,
                    patience=options.patience,
                    seconds=options.seconds,
                )
                for _ in range(options.repeats)
            ]
        median = medians(rounds)
        print(f"{name}, {rows}-row calls")
        table("", "value", rows=list(median._asdict().items()))
        claim("answers in time a second over the peak", median.in_time / median.peak, 0.9, 0.98)
        claim("ms, p99 of refusals", median.refused_p99, 5.0, is_limit=True)


def measure(server: Server, port: int, request: bytes, *, factor: float, patience: float, seconds: float) -> Round:
    """Finds the peak, then passes it."""
    short = min(seconds, 2.0)
    loads = [load(server, "Decode", request, callers=n, seconds=short) for n in CALLERS]
    peak = max(one.calls_a_second for one in loads)
    refusal, idle_p99 = refusals(server, request)
    share = refusal / min(one.server_microseconds for one in loads)
    lone = load(server, "Decode", request, callers=1, seconds=1.0).p50_milliseconds
    counted, before = counters.read(port), clock(server.pid)
    storm = asyncio.run(send(server.target, request, factor * peak, patience * lone / 1000, seconds))
    spent, counted = since(server.pid, before), counters.since(port, counted)
    rates = {code: len(times) / seconds for code, times in storm.outcomes.items()}
    in_time, late, refused = (rates.get(code, 0.0) for code in ("OK", "DEADLINE_EXCEEDED", REFUSED))
    took = storm.outcomes.get(REFUSED, [math.nan])
    handled = counted["vae_call_seconds_count", REFUSED]
    return Round(
        peak=peak,
        deadline=patience * lone,
        offered=sum(rates.values()),
        in_time=in_time,
        late=late,
        refused=refused,
        refused_p50=percentile(took, 50),
        refused_p99=percentile(took, 99),
        refused_handling=1e3 * counted["vae_call_seconds_sum", REFUSED] / handled if handled else math.nan,
        idle_refused_p99=idle_p99,
        refusal_microseconds=refusal,
        bound=max(0.0, (1 - factor * share) / (1 - share)),
        load_lag_p99=percentile(storm.lags, 99),
        server_cores=spent.processor / spent.wall,
        dropped_rows=counted["vae_dropped_rows_total", "late"] + counted["vae_dropped_rows_total", "cancelled"],
        wasted_rows=counted["vae_wasted_rows_total", ""],
    )


def refusals(server: Server, request: bytes) -> tuple[float, float]:
    """Returns a refusal's microseconds of the server, and the p99 in milliseconds where nothing else is to do.

    The calls name a model that is not there, and are refused about where the others are.
    """
    message = pb.DecodeRequest.FromString(request)
    message.model = "unknown"
    unknown = message.SerializeToString()
    before = clock(server.pid)
    h2load(server.target, "Decode", unknown, REFUSALS, CALLERS[-1])
    spent = since(server.pid, before)
    idle = h2load(server.target, "Decode", unknown, IDLE_REFUSALS, 1, connections=1, rate=IDLE_RATE)
    return spent.processor / REFUSALS * 1e6, percentile(idle.latencies, 99)


async def send(target: str, request: bytes, rate: float, deadline: float, seconds: float) -> Storm:
    """Sends calls at random moments whatever becomes of those before."""
    storm = Storm({}, [])
    random = np.random.default_rng(0)
    async with grpc.aio.insecure_channel(target, options=ANY_SIZE) as channel:
        method = channel.unary_unary(call_path("Decode"), request_serializer=bytes, response_deserializer=bytes)

        async def call() -> None:
            sent, code = time.perf_counter(), "OK"
            try:
                await method(request, timeout=deadline)
            except grpc.aio.AioRpcError as exc:
                code = exc.code().name
            storm.outcomes.setdefault(code, []).append((time.perf_counter() - sent) * 1e3)

        watching = asyncio.create_task(watch(storm.lags.append))
        async with asyncio.TaskGroup() as group:
            started = due = time.perf_counter()
            while due < started + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(call())
                due += random.exponential(1 / rate)
        watching.cancel()
    return storm


async def watch(tell: Callable[[float], None]) -> None:
    """Tells again and again by how many milliseconds the event loop is late."""
    while True:
        due = time.perf_counter() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        tell((time.perf_counter() - due) * 1e3)


if __name__ == "__main__":
    main()
