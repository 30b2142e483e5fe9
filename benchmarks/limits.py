"""What no Python gRPC server and no ONNX Runtime server passes: minimal servers, and bare `session.run`.

python -m benchmarks.limits [--package conv]
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import (
    ROOT,
    SERVER_CORE,
    Load,
    Server,
    alternate,
    answer,
    arguments,
    decode_request,
    load,
    print_loads,
    sample_request,
    serve,
    start,
    table,
)
from benchmarks.packages import NAMES, package

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
DECODE, SAMPLE = "vae serve, Decode", "vae serve, Sample"
MINIMAL = {"aio": "minimal grpc.aio", "threads": "minimal thread pool"}


class Bare(NamedTuple):
    """What a bare loop took."""

    microseconds: float
    """Of processor time, a run."""
    p50_milliseconds: float
    rows_a_second: float


def bare(directory: Path, rows: int, seconds: float) -> Bare:
    """Runs a package's decoder in a loop on the server's core."""
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "benchmarks.bare_loop"]
    command += [str(directory), str(rows), str(seconds)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return Bare(*map(float, said.split()))


def bares(directory: Path, batches: Sequence[int], seconds: float, repeats: int) -> dict[int, Bare]:
    """Returns the medians of the bare loop at each batch size."""
    sides: dict[str, Callable[[], Bare]] = {str(rows): _bare_side(directory, rows, seconds) for rows in batches}
    return {int(rows): found for rows, found in alternate(sides, repeats).items()}


def _bare_side(directory: Path, rows: int, seconds: float) -> Callable[[], Bare]:
    return lambda: bare(directory, rows, seconds)


@contextmanager
def minimal(kind: str, reply: bytes) -> Iterator[Server]:
    """Runs a minimal server, `aio` or `threads`."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(reply)
        file.flush()
        with start("-m", "benchmarks.minimal_server", kind, file.name) as server:
            yield server


def beside_minimal(directory: Path, *, rows: int, callers: int, seconds: float, repeats: int) -> dict[str, Load]:
    """Loads `vae serve` and both minimal servers by turns, and prints what came."""
    request = decode_request(directory, rows)
    with ExitStack() as stack:
        ours = stack.enter_context(serve(directory, "--threads", "1"))
        reply = answer(ours, "Decode", request)
        sides: dict[str, Callable[[], Load]] = {
            DECODE: lambda: load(ours, "Decode", request, callers=callers, seconds=seconds),
            SAMPLE: lambda: load(ours, "Sample", sample_request(rows), callers=callers, seconds=seconds),
        }
        for kind, name in MINIMAL.items():
            sides[name] = _minimal_side(stack.enter_context(minimal(kind, reply)), request, callers, seconds)
        loads = alternate(sides, repeats)
    print(f"{directory}, {rows}-row calls, {callers} in flight")
    print_loads(loads)
    return loads


def _minimal_side(server: Server, request: bytes, callers: int, seconds: float) -> Callable[[], Load]:
    return lambda: load(server, "Decode", request, callers=callers, seconds=seconds)


def main() -> None:
    parser = arguments(__doc__, seconds=1.0)
    parser.add_argument("--package", choices=NAMES, action="append")
    options = parser.parse_args()
    for name in options.package or NAMES:
        found = bares(package(name), BATCHES, options.seconds, options.repeats)
        best = max(found, key=lambda rows: rows / found[rows].microseconds)
        print(f"{name}: bare session.run, one thread; best at batch {best}")
        lines = [
            (str(rows), one.microseconds / rows, one.p50_milliseconds, one.rows_a_second) for rows, one in found.items()
        ]
        table("rows", "us/row", "p50 ms", "rows/s", rows=lines)


if __name__ == "__main__":
    main()
