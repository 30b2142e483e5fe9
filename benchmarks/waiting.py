"""How long a free device waits for more rows: the batcher's rule beside fixed waits, for various numbers of callers.

    python -m benchmarks.waiting [--package mlp] [--callers 64]

The fixed waits run without the rule, all else equal. Callers send one row each and wait for its answer. The best fixed
wait is chosen afterwards and separately for each figure, so chance favours it.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from benchmarks.calls import decode_request
from benchmarks.h2load import load
from benchmarks.harness import Load, Server, Side, alternate, arguments, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, table

CALLERS = (1, 4, 16, 64, 256)
FIXED = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # milliseconds
RULE = "the rule"
# uvloop and epoll count in milliseconds, so short waits would last 1 ms. select counts in
# microseconds; all sides use it.
FINE_TIMERS = """
import asyncio, selectors, uvloop
class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        return asyncio.SelectorEventLoop(selectors.SelectSelector())
asyncio.set_event_loop_policy(Policy())
uvloop.run = asyncio.run
"""
WITHOUT_RULE = """
from serving.batching.batcher import Batcher
Batcher.__init__.__kwdefaults__["quiet_turns"] = 0
"""


def main() -> None:
    parser = arguments(__doc__, seconds=1.0, repeats=2)
    parser.add_argument("--package", choices=NAMES, action="append")
    parser.add_argument("--callers", type=int, action="append")
    options = parser.parse_args()
    for name in options.package or ("mlp", "conv"):
        with ExitStack() as stack:
            servers = {side: stack.enter_context(server) for side, server in sides_of(package(name)).items()}
            for callers in options.callers or CALLERS:
                loads = compare(servers, decode_request(package(name), 1), callers, options.seconds, options.repeats)
                print(f"{name}, {callers} in flight")
                show(loads)


def sides_of(directory: Path) -> dict[str, AbstractContextManager[Server]]:
    """Returns a server with the rule, and one with each fixed wait."""
    servers: dict[str, AbstractContextManager[Server]] = {RULE: serve(directory, "--threads", "1", patch=FINE_TIMERS)}
    for wait in FIXED:
        flags = ("--threads", "1", "--wait-milliseconds", str(wait))
        servers[f"{wait:g} ms"] = serve(directory, *flags, patch=FINE_TIMERS + WITHOUT_RULE)
    return servers


def compare(
    servers: Mapping[str, Server], request: bytes, callers: int, seconds: float, repeats: int
) -> dict[str, Load]:
    """Loads the rule and every fixed wait by turns."""
    sides: dict[str, Side] = {
        side: partial(load, server, "Decode", request, callers=callers, seconds=seconds)
        for side, server in servers.items()
    }
    return alternate(sides, repeats)


def show(loads: Mapping[str, Load]) -> None:
    """Prints the rule over the best of the fixed waits."""
    lines = [(side, one.server_microseconds, one.p50_milliseconds, one.calls_a_second) for side, one in loads.items()]
    table("wait", "server us/call", "p50 ms", "calls/s", rows=lines)
    fixed = [one for side, one in loads.items() if side != RULE]
    ours = loads[RULE]
    cost = ours.server_microseconds / min(one.server_microseconds for one in fixed)
    claim("server us a call, the rule over the best fixed wait", cost, 1.1, is_limit=True)
    p50 = ours.p50_milliseconds / min(one.p50_milliseconds for one in fixed)
    claim("p50, the rule over the best fixed wait", p50, 1.1, is_limit=True)


if __name__ == "__main__":
    main()
