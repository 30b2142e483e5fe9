"""How well the server chooses its execution: beside every combination set by hand, on two processors.

    python -m benchmarks.tuning [--package mlp]

The combinations are executors x threads x rows per batch, under 64-row calls that keep both processors busy. The figure
is the server's processor time per row. Every combination is measured once. The best ones are then measured again, by
turns with the choices of `vae tune` and of a start without it, so that chance does not decide the winner.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.calls import decode_request
from benchmarks.clocks import clock, since
from benchmarks.h2load import h2load, load
from benchmarks.harness import LOAD_CORE, ROOT, SERVER_CORE, Server, Side, alternate, arguments, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, print_loads, table

CORES = (SERVER_CORE, LOAD_CORE)
EXECUTION = ((2, 1), (1, 2), (1, 1))  # executors, threads
BATCH_ROWS = tuple(2**power for power in range(9))
ROWS, CALLERS = 64, 8
FINALISTS = 3
FIRST_SECONDS = 0.3
CHOSEN = {"vae tune": "tuned", "start-up": "untuned"}  # by the cache that each serves from


def main() -> None:
    parser = arguments(__doc__, seconds=1.5)
    parser.add_argument("--package", choices=NAMES, action="append")
    options = parser.parse_args()
    for name in options.package or ("mlp", "conv"):
        compare(name, options.seconds, options.repeats)


def compare(name: str, seconds: float, repeats: int) -> None:
    """Measures the choices beside the best of the grid."""
    directory = package(name)
    by_hand = {f"{e} x {t} threads, {rows} rows": (e, t, rows) for e, t in EXECUTION for rows in BATCH_ROWS}
    request = decode_request(directory, ROWS)
    first = {}
    for side, execution in by_hand.items():
        with serve(directory, *flags_of(execution), cores=CORES) as server:
            first[side] = glance(server, request)
    best = sorted(first, key=lambda side: first[side])[:FINALISTS]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        tune(directory, Path(folder, "tuned"))
        flags = {side: ["--tuning-cache", str(Path(folder, cache))] for side, cache in CHOSEN.items()}
        flags |= {side: flags_of(by_hand[side]) for side in best}
        servers = {side: stack.enter_context(serve(directory, *words, cores=CORES)) for side, words in flags.items()}
        sides: dict[str, Side] = {
            side: partial(load, server, "Decode", request, callers=CALLERS, seconds=seconds)
            for side, server in servers.items()
        }
        loads = alternate(sides, repeats)
    print(f"{name}, {ROWS}-row calls, {CALLERS} in flight")
    table("at a glance", "server us/row", rows=[(side, first[side] / ROWS) for side in first])
    print_loads(loads, ROWS)
    least = min(best, key=lambda side: loads[side].server_microseconds)
    for side in CHOSEN:
        print(f"{side} chose {servers[side].announced.rpartition(', provider cpu, ')[2]}; best by hand: {least}")
        ratio = loads[side].server_microseconds / loads[least].server_microseconds
        claim(f"server us a row, {side} over the best by hand", ratio, 1.1, is_limit=True)


def glance(server: Server, request: bytes) -> float:
    """Returns the approximate processor time of the server per call, in microseconds."""
    warm_up = h2load(server.target, "Decode", request, CALLERS, CALLERS)
    calls = max(CALLERS, round(warm_up.calls_a_second * FIRST_SECONDS))
    before = clock(server.pid)
    h2load(server.target, "Decode", request, calls, CALLERS)
    return since(server.pid, before).processor / calls * 1e6


def flags_of(execution: Sequence[int]) -> list[str]:
    """Returns the flags that set executors, threads and rows per batch."""
    names = ("--executors", "--threads", "--batch-rows")
    return [word for name, value in zip(names, execution, strict=True) for word in (name, str(value))]


def tune(directory: Path, cache: Path) -> None:
    """Runs `vae tune` on all processors."""
    command = [
        "taskset",
        "-c",
        ",".join(map(str, CORES)),
        sys.executable,
        "-c",
        "from vaeserve.command.cli import main; main()",
    ]
    command += ["tune", str(directory), "--tuning-cache", str(cache)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
