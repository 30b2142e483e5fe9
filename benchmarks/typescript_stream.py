"""64 concurrent one-row calls from one Node.js process: what each costs the server when they share a stream.

    python -m benchmarks.typescript_stream [--package digits]

Both sides are examples/typescript/src/load.ts, which must have been built: unary calls, and calls of its SharedStream.
"""

import json
import shutil
import subprocess
import sys
from functools import partial

from benchmarks.clocks import clock, since, steal_of
from benchmarks.harness import CANNOT_RUN, ROOT, Load, Server, Side, alternate, arguments, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, print_loads

LOAD = ROOT / "examples" / "typescript" / "dist" / "load.js"
WARM_UP_SECONDS = 0.5
KINDS = ("unary", "shared")


def main() -> None:
    if shutil.which("node") is None or not LOAD.exists():
        print("needs Node.js, and `npm install && npm run build` in examples/typescript", file=sys.stderr)
        raise SystemExit(CANNOT_RUN)
    parser = arguments(__doc__, seconds=3.0)
    parser.add_argument("--package", choices=NAMES, default="digits")
    options = parser.parse_args()
    with serve(package(options.package), "--threads", "1") as server:
        sides: dict[str, Side] = {kind: partial(measure, server, kind, options.seconds) for kind in KINDS}
        loads = alternate(sides, options.repeats)
    print(f"{options.package}, one-row calls of Node.js, 64 in flight")
    print_loads(loads, 1)
    ratio = loads["shared"].server_microseconds / loads["unary"].server_microseconds
    claim("server us a call, shared over unary", ratio, 0.7, 0.4, is_limit=True)


def measure(server: Server, kind: str, seconds: float) -> Load:
    """Loads a server from one client, whose own start costs the server one call of GetModel."""
    _run(server, kind, WARM_UP_SECONDS)
    before = clock(server.pid)
    answered = _run(server, kind, seconds)
    spent = since(server.pid, before)
    calls = answered["calls"]
    return Load(spent.processor / calls * 1e6, calls / seconds, answered["p50Ms"], answered["p99Ms"], steal_of(spent))


def _run(server: Server, kind: str, seconds: float) -> dict[str, float]:
    command = ["node", str(LOAD), server.target, kind, str(seconds)]
    answered: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if answered["failed"]:
        raise SystemExit(f"{answered['failed']:g} calls failed")
    return answered


if __name__ == "__main__":
    main()
