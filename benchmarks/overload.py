"""Three times as many calls as the server can answer, each with a deadline: how many are answered in time.

    python -m benchmarks.overload [--package conv] [--rows 8]

The peak is the best rate of a closed loop. Calls then arrive at random times, at three times that rate, and end at
their deadline. A refusal must be fast, and rows must not start to run after their client is gone. Latencies are the
client's, from the moment that a call was due; how late the calls were sent is printed beside them.
"""

import math
from typing import NamedTuple

import numpy as np

from benchmarks import counters
from benchmarks.calls import call_path, decode_request
from benchmarks.clocks import clock, since
from benchmarks.h2load import grpc_request, h2load, load
from benchmarks.harness import Server, arguments, medians, percentile, serve
from benchmarks.open_loop import send_at
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, table
from vaeserve.v1 import vae_pb2 as pb

POINTS = (("conv", 64), ("conv", 8), ("mlp", 64))
CALLERS = (4, 16)  # of the closed loops, of which the better is the peak
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
    """How late calls were sent."""
    server_cores: float
    """Processors that the server used."""
    dropped_rows: float
    """Rows of calls that ended or passed their deadline while they waited."""
    wasted_rows: float
    """Rows of calls that had ended or passed their deadline when their batch ended."""


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
    gaps = np.random.default_rng(0).exponential(1 / (factor * peak), round(factor * peak * seconds))
    call = grpc_request(call_path("Decode"), request)
    storm = send_at(server.target, call, gaps.cumsum().tolist(), patience * lone / 1000)
    spent, counted = since(server.pid, before), counters.since(port, counted)
    rates = {code: len(times) / seconds for code, times in storm.milliseconds.items()}
    in_time, late, refused = (rates.get(code, 0.0) for code in ("OK", "DEADLINE_EXCEEDED", REFUSED))
    took = storm.milliseconds.get(REFUSED, [math.nan])
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


if __name__ == "__main__":
    main()
