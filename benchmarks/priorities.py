"""Interactive calls beside a bulk job: their p99 while a CallStream saturates the server, and the job's own rate.

    python -m benchmarks.priorities [--package conv] [--rate 47]

The interactive side sends one-row calls at a steady rate that is not synchronous with the batches; the bulk side sends
64-row calls.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.bulk_stream import streaming
from benchmarks.calls import decode_request, sample_request
from benchmarks.h2load import paced
from benchmarks.harness import Server, alternate, arguments, percentile, serve
from benchmarks.limits import bare
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, table
from vaeserve import Client

ROWS = 64


class Round(NamedTuple):
    """Figures of one round: milliseconds, and rows a second."""

    alone_p50: float
    alone_p99: float
    beside_p50: float
    beside_p99: float
    batch: float
    bulk_alone: float
    bulk_beside: float


def main() -> None:
    parser = arguments(__doc__, seconds=6.0)
    parser.add_argument("--package", choices=NAMES, default="conv")
    parser.add_argument("--rate", type=int, default=47, help="interactive calls a second")
    options = parser.parse_args()
    directory = package(options.package)
    requests = {"Decode": decode_request(directory, 1), "Sample": sample_request(1)}
    with serve(directory, "--threads", "1") as server:
        sides = {
            method: partial(measure, server, directory, method, request, rate=options.rate, seconds=options.seconds)
            for method, request in requests.items()
        }
        rounds = alternate(sides, options.repeats)
    for method, median in rounds.items():
        show(method, median)


def show(method: str, median: Round) -> None:
    """Prints the medians, and whether they meet the claims."""
    lines: list[tuple[str, float | str, float | str, float | str]] = [
        (f"one-row {method} alone", median.alone_p50, median.alone_p99, "-"),
        ("bulk alone", "-", "-", median.bulk_alone),
        ("both", median.beside_p50, median.beside_p99, median.bulk_beside),
        ("session.run of a batch", median.batch, "-", "-"),
    ]
    table("side", "p50 ms", "p99 ms", "bulk rows/s", rows=lines)
    ratio = median.beside_p99 / (median.alone_p99 + median.batch)
    claim(f"{method}, p99 over p99 alone + a batch", ratio, 2.0, 1.3, is_limit=True)
    claim(f"bulk rows/s beside {method} over those alone", median.bulk_beside / median.bulk_alone, 0.9)


def measure(server: Server, directory: Path, method: str, request: bytes, *, rate: int, seconds: float) -> Round:
    """Measures both sides alone and together."""
    with Client(server.target) as client:
        batch = bare(directory, client.get_model().limits.batch_rows, 1.0).p50_milliseconds
    alone = paced(server, method, request, rate=rate, seconds=seconds)
    with streaming(server, directory, ROWS, seconds) as finish:
        bulk_alone = finish()
    with streaming(server, directory, ROWS, seconds) as finish:
        beside = paced(server, method, request, rate=rate, seconds=seconds)
        bulk_beside = finish()
    return Round(
        alone_p50=percentile(alone, 50),
        alone_p99=percentile(alone, 99),
        beside_p50=percentile(beside, 50),
        beside_p99=percentile(beside, 99),
        batch=batch,
        bulk_alone=bulk_alone.calls * ROWS / bulk_alone.seconds,
        bulk_beside=bulk_beside.calls * ROWS / bulk_beside.seconds,
    )


if __name__ == "__main__":
    main()
