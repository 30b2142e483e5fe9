"""What a server needs: memory for each model, and processors for 1,000 rows per second, by the rows of a call.

    python -m benchmarks.sizing

Each line is one model, RPC and number of rows per call, on one core, with enough callers to keep it busy. Processors
for 1,000 rows per second are the processor time of the server per row, gRPC included.
"""

from pathlib import Path

from benchmarks.calls import decode_request, sample_request
from benchmarks.clocks import resident_bytes
from benchmarks.h2load import load
from benchmarks.harness import Load, Server, arguments, medians, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import table

ROWS = (1, 16, 64)
CALLERS = 16
Line = tuple[str, str, float, float, float, float]


def main() -> None:
    options = arguments(__doc__).parse_args()
    lines: list[Line] = []
    for name in NAMES:
        directory = package(name)
        with serve(directory) as server:
            idle = resident_bytes(server.pid) / 2**20
            requests = {f"Decode, {rows}": ("Decode", decode_request(directory, rows), rows) for rows in ROWS}
            requests |= {f"Sample, {rows}": ("Sample", sample_request(rows), rows) for rows in ROWS}
            for what, (method, request, rows) in requests.items():
                one = medians([_load(server, method, request, options.seconds) for _ in range(options.repeats)])
                cores = one.server_microseconds / rows / 1000
                lines.append((name, what, cores, one.p50_milliseconds, idle, _peak_bytes(server.pid) / 2**20))
        print(f"{name}: done", flush=True)
    table("model", "RPC, rows a call", "cores for 1,000 rows/s", "p50 ms", "idle MiB", "peak MiB so far", rows=lines)


def _load(server: Server, method: str, request: bytes, seconds: float) -> Load:
    return load(server, method, request, callers=CALLERS, seconds=seconds)


def _peak_bytes(pid: int) -> int:
    """Returns the largest resident memory that a process has had."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
