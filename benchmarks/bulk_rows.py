"""64-row calls of a convolutional decoder, unary and in a stream: rows/s beside bare `session.run` at its best batch.

    python -m benchmarks.bulk_rows [--package conv]

The ratio is computed from processor time per row, so a host that takes the core away affects both sides alike.
"""

import math
from functools import partial
from pathlib import Path

from benchmarks.bulk_stream import streaming
from benchmarks.calls import decode_request, sample_request
from benchmarks.clocks import clock, since, steal_of
from benchmarks.h2load import load
from benchmarks.harness import Load, Server, Side, alternate, arguments, serve
from benchmarks.limits import DECODE, SAMPLE, bare_sides
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, print_loads

ROWS, CALLERS = 64, 4
BATCHES = (8, 16, 32, 64)
STREAM = "vae serve, CallStream"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--package", choices=NAMES, default="conv")
    options = parser.parse_args()
    directory, seconds = package(options.package), options.seconds
    request = decode_request(directory, ROWS)
    with serve(directory, "--threads", "1") as server:
        sides: dict[str, Side] = {
            DECODE: partial(load, server, "Decode", request, callers=CALLERS, seconds=seconds),
            SAMPLE: partial(load, server, "Sample", sample_request(ROWS), callers=CALLERS, seconds=seconds),
            STREAM: partial(stream, server, directory, seconds),
        }
        ours, bare = list(sides), bare_sides(directory, BATCHES, min(seconds, 2.0))
        loads = alternate({**sides, **bare}, options.repeats)
    print(server.announced)
    print_loads(loads, [ROWS] * len(ours) + list(BATCHES))
    best = min(loads[name].server_microseconds / rows for name, rows in zip(bare, BATCHES, strict=True))
    for name in ours:
        claim(f"rows/s, {name} over session.run", best * ROWS / loads[name].server_microseconds, 0.95, 0.99)


def stream(server: Server, directory: Path, seconds: float) -> Load:
    """Loads a server with one stream; its calls have no separate latencies."""
    with streaming(server, directory, ROWS, seconds) as finish:
        before = clock(server.pid)
        calls, lasted = finish()
        spent = since(server.pid, before)
    return Load(spent.processor / calls * 1e6, calls / lasted, math.nan, math.nan, steal_of(spent))


if __name__ == "__main__":
    main()
