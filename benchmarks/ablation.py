"""What each mechanism of the batching core brings: the service without it, over the service as it is.

    python -m benchmarks.ablation [--part calls] [--package mlp]

A figure near 1 means that the mechanism brings nothing there. Parts: `calls` of one row each by 1 to 256 callers, whose
figures are the server's time per call and the p50; `overload`, answers in time at several times the peak;
`priorities`, the rate of bulk calls and the p99 of interactive ones beside them; `waits`, what a wait in time saves
where calls of one row come at random moments.
"""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import counters, overload, priorities
from benchmarks.calls import call_path, decode_request
from benchmarks.clocks import clock, since, steal_of
from benchmarks.h2load import Request, grpc_request, load
from benchmarks.harness import Load, Server, Side, alternate, arguments, medians, percentile, serve
from benchmarks.open_loop import send_at
from benchmarks.packages import NAMES, package
from benchmarks.printing import table

CALLERS = (1, 4, 16, 64, 256)
PARTS = ("calls", "overload", "priorities", "waits")
AS_IT_IS = "as it is"
OF_CALLS = {
    "quiet turns": 'from serving.batching.batcher import Batcher; Batcher.__init__.__kwdefaults__["quiet_turns"] = 0',
    "lone calls at once": "from serving.batching.forming import Forming; Forming.take_alone = lambda self, load: False",
    "runs on the event loop": "import serving.models.served as it; it.INLINE_SECONDS = it.LONE_SECONDS = 0",
    "shares of a turn": "from serving.turns import Turns; Turns.is_spent = lambda self: False",
}
OF_OVERLOAD = {
    "refusals before reading": "from serving.batching.batcher import Batcher; Batcher.is_near = lambda *_: False",
    "slip": "import serving.batching.admission as it; it._SLIP_RISES = it._SLIP_FALLS = 0.0",
    "prediction": (
        "from serving.batching.admission import RowAdmission; RowAdmission.expect = lambda *_, **__: None\n"
        "from serving.batching.batcher import Batcher; Batcher.is_near = lambda *_: False"
    ),
}
OF_PRIORITIES = {
    "bulk's share": (
        "from serving.batching.bulk_share import BulkShare; BulkShare.rows = lambda *_, **__: 0\n"
        "BulkShare.owes_batch = lambda *_, **__: False"
    ),
    "filling up only where it pays": (
        "from serving.batching.bulk_share import BulkShare; BulkShare.fills = lambda *_: True"
    ),
}
WAITS = ("0", "1", "2", "4")  # milliseconds
RATES = {"mlp": (300, 1000, 2000), "conv": (100, 300, 500)}  # calls a second
PATIENT_SECONDS = 1.0
STORMS = (("mlp", 64, 1.5), ("mlp", 64, 3.0), ("conv", 8, 3.0))


def main() -> None:
    parser = arguments(__doc__, seconds=1.5, repeats=3)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--package", choices=NAMES, action="append")
    parser.add_argument("--cores", type=int, default=1, help="processors of the server; the second is also the load's")
    options = parser.parse_args()
    for part in options.part or PARTS:
        if part == "calls":
            for name in options.package or ("mlp", "conv"):
                compare_calls(name, options.seconds, options.repeats, options.cores)
        elif part == "overload":
            compare_overload(options.seconds, options.repeats)
        elif part == "priorities":
            compare_priorities(options.repeats)
        else:
            for name in options.package or ("mlp", "conv"):
                compare_waits(name, options.seconds, options.repeats)


def compare_calls(name: str, seconds: float, repeats: int, cores: int) -> None:
    """Prints what calls cost without each mechanism, over what they cost with all."""
    directory = package(name)
    request, used = decode_request(directory, 1), (1, 0)[:cores]
    with ExitStack() as stack:
        servers = {
            side: stack.enter_context(serve(directory, "--threads", "1", patch=patch, cores=used))
            for side, patch in {AS_IT_IS: "", **OF_CALLS}.items()
        }
        loads = {callers: _loads(servers, request, callers, seconds, repeats) for callers in CALLERS}
    print(f"{name}: server us a call, p50; without over with")
    lines: list[tuple[str, ...]] = [
        (AS_IT_IS, *(f"{one[AS_IT_IS].server_microseconds:.0f} us" for one in loads.values()))
    ]
    lines += [(side, *(_ratios(one[side], one[AS_IT_IS]) for one in loads.values())) for side in OF_CALLS]
    table("without", *map(str, CALLERS), rows=lines)


def _loads(servers: dict[str, Server], request: bytes, callers: int, seconds: float, repeats: int) -> dict[str, Load]:
    sides: dict[str, Side] = {
        side: partial(load, server, "Decode", request, callers=callers, seconds=seconds)
        for side, server in servers.items()
    }
    return alternate(sides, repeats)


def _ratios(without: Load, whole: Load) -> str:
    cost = without.server_microseconds / whole.server_microseconds
    return f"{cost:.2f}, {without.p50_milliseconds / whole.p50_milliseconds:.2f}"


def compare_overload(seconds: float, repeats: int) -> None:
    """Prints answers in time, and late ones, over the peak of the service as it is."""
    for name, rows, factor in STORMS:
        rounds = {
            side: medians([_storm(package(name), rows, factor, seconds, patch) for _ in range(repeats)])
            for side, patch in {AS_IT_IS: "", **OF_OVERLOAD}.items()
        }
        peak = rounds[AS_IT_IS].peak
        print(f"{name}, {rows}-row calls at {factor:g} times the peak, over the peak")
        lines = [(side, one.in_time / peak, one.late / peak, one.refused_p99) for side, one in rounds.items()]
        table("without", "in time", "late", "refused p99 ms", rows=lines)


def _storm(directory: Path, rows: int, factor: float, seconds: float, patch: str) -> overload.Round:
    request, port = decode_request(directory, rows), counters.free_port()
    with serve(directory, "--threads", "1", "--metrics-port", str(port), patch=patch) as server:
        return overload.measure(server, port, request, factor=factor, patience=10.0, seconds=seconds)


def compare_priorities(repeats: int) -> None:
    """Prints bulk's rate beside interactive calls over its rate alone, and their p99."""
    directory = package("conv")
    lines = []
    for side, patch in {AS_IT_IS: "", **OF_PRIORITIES}.items():
        with serve(directory, "--threads", "1", patch=patch) as server:
            measure = partial(priorities.measure, server, directory, "Decode", decode_request(directory, 1))
            one = medians([measure(rate=47, seconds=5.0) for _ in range(repeats)])
        allowed = one.alone_p99 + one.batch
        lines.append((side, one.bulk_beside / one.bulk_alone, one.beside_p99 / allowed))
    print("conv, 47 interactive calls a second beside a bulk stream")
    table("without", "bulk kept", "p99 over p99 alone + a batch", rows=lines)


def compare_waits(name: str, seconds: float, repeats: int) -> None:
    """Prints the server's time per call and the p50 with each wait, over those without, for some rates of calls."""
    directory = package(name)
    call = grpc_request(call_path("Decode"), decode_request(directory, 1))
    with ExitStack() as stack:
        servers = {
            wait: stack.enter_context(serve(directory, "--threads", "1", "--wait-milliseconds", wait)) for wait in WAITS
        }
        loads = {
            rate: alternate(
                {wait: partial(_open, server, call, rate, seconds) for wait, server in servers.items()}, repeats
            )
            for rate in RATES[name]
        }
    print(f"{name}, one-row calls at random moments: server us a call, p50; with a wait over without")
    lines: list[tuple[str, ...]] = [("0 ms", *(f"{one['0'].server_microseconds:.0f} us" for one in loads.values()))]
    lines += [(f"{wait} ms", *(_ratios(one[wait], one["0"]) for one in loads.values())) for wait in WAITS[1:]]
    table("wait", *(f"{rate}/s" for rate in RATES[name]), rows=lines)


def _open(server: Server, call: Request, rate: int, seconds: float) -> Load:
    """Loads a server with calls that come at random moments, whatever becomes of those before."""
    gaps = np.random.default_rng(0).exponential(1 / rate, round(rate * seconds))
    before = clock(server.pid)
    took = send_at(server.target, call, gaps.cumsum().tolist(), PATIENT_SECONDS).milliseconds["OK"]
    spent = since(server.pid, before)
    return Load(
        spent.processor / len(took) * 1e6,
        len(took) / seconds,
        percentile(took, 50),
        percentile(took, 99),
        steal_of(spent),
    )


if __name__ == "__main__":
    main()
