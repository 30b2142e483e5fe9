"""Upper bounds for a Python gRPC server with ONNX Runtime: minimal servers, and bare `session.run`.

python -m benchmarks.limits [--package conv]
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.calls import answer, decode_request, sample_request
from benchmarks.clocks import clock, since, steal_of
from benchmarks.h2load import load
from benchmarks.harness import ROOT, SERVER_CORE, Load, Server, Side, alternate, arguments, serve, start
from benchmarks.packages import NAMES, package
from benchmarks.printing import print_loads
from vaeserve.package.sizes import PictureSize

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
DECODE, SAMPLE = "vae serve, Decode", "vae serve, Sample"
MINIMAL = {"aio": "minimal grpc.aio", "uvloop": "minimal grpc.aio on uvloop", "threads": "minimal thread pool"}


def bare(directory: Path, rows: int, seconds: float, size: PictureSize | None = None) -> Load:
    """Runs a package's decoder in a loop on the server's core. A run counts as a call, the loop as the server."""
    return looped("benchmarks.bare_loop", directory, rows, seconds, *(size or ()))


def looped(module: str, *arguments: object) -> Load:
    """Runs a module that ends with `bare_loop.loop` on the server's core."""
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", module, *map(str, arguments)]
    before = clock(os.getpid())
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    processor, rate, p50, p99 = map(float, output.split())
    return Load(processor, rate, p50, p99, steal_of(since(os.getpid(), before)))


def bare_sides(directory: Path, batches: Sequence[int], seconds: float) -> dict[str, Side]:
    """Returns the bare loop at each batch size."""
    return {run_of(rows): partial(bare, directory, rows, seconds) for rows in batches}


def run_of(rows: int) -> str:
    """Returns the name of a side: the bare loop at a batch size."""
    return f"session.run of {rows}"


@contextmanager
def minimal(kind: str, reply: bytes) -> Iterator[Server]:
    """Runs a minimal server, one of MINIMAL."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(reply)
        file.flush()
        with start("-m", "benchmarks.minimal_server", kind, file.name) as server:
            yield server


def beside_minimal(name: str, *, rows: int, callers: int, seconds: float, repeats: int) -> dict[str, Load]:
    """Loads `vae serve` and both minimal servers and runs the bare loop, by turns; prints the loads."""
    directory = package(name)
    request = decode_request(directory, rows)
    with ExitStack() as stack:
        ours = stack.enter_context(serve(directory, "--threads", "1"))
        reply = answer(ours, "Decode", request)
        sides: dict[str, Side] = {
            DECODE: partial(load, ours, "Decode", request, callers=callers, seconds=seconds),
            SAMPLE: partial(load, ours, "Sample", sample_request(rows), callers=callers, seconds=seconds),
            **bare_sides(directory, [rows], min(seconds, 1.0)),
        }
        for kind, side in MINIMAL.items():
            server = stack.enter_context(minimal(kind, reply))
            sides[side] = partial(load, server, "Decode", request, callers=callers, seconds=seconds)
        loads = alternate(sides, repeats)
    print(f"{name}, {rows}-row calls, {callers} in flight")
    print_loads(loads, rows)
    return loads


def main() -> None:
    parser = arguments(__doc__, seconds=0.5, repeats=2)
    parser.add_argument("--package", choices=NAMES, action="append")
    options = parser.parse_args()
    for name in options.package or NAMES:
        print(f"{name}: bare session.run, one thread")
        print_loads(alternate(bare_sides(package(name), BATCHES, options.seconds), options.repeats), rows=BATCHES)


if __name__ == "__main__":
    main()
