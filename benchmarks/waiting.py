"""How long a free device waits for more rows: the rule of the batcher beside fixed waits, for crowds of many sizes.

    python -m benchmarks.waiting [--package mlp] [--callers 64]

The fixed waits run without the rule. Callers send one row each and wait for its answer.
"""

from contextlib import ExitStack
from functools import partial

from benchmarks.h2load import load
from benchmarks.harness import Side, alternate, arguments, claim, decode_request, serve, table
from benchmarks.packages import NAMES, package

CALLERS = (1, 4, 16, 64, 256)
FIXED = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # milliseconds
RULE = "the rule"
# epoll counts in milliseconds, so that of these waits the short ones would last 1 ms; select counts in microseconds.
WITHOUT_RULE = """
import asyncio, selectors
from serving.batcher import Batcher
Batcher.__init__.__kwdefaults__["quiet_turns"] = 0
class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        return asyncio.SelectorEventLoop(selectors.SelectSelector())
asyncio.set_event_loop_policy(Policy())
"""


def main() -> None:
    parser = arguments(__doc__, seconds=2.0)
    parser.add_argument("--package", choices=NAMES, action="append")
    parser.add_argument("--callers", type=int, action="append")
    options = parser.parse_args()
    for name in options.package or ("mlp", "conv"):
        for callers in options.callers or CALLERS:
            compare(name, callers, options.seconds, options.repeats)


def compare(name: str, callers: int, seconds: float, repeats: int) -> None:
    """Loads the rule and every fixed wait by turns, and prints the rule over the best of them."""
    directory = package(name)
    request = decode_request(directory, 1)
    with ExitStack() as stack:
        servers = {RULE: stack.enter_context(serve(directory, "--threads", "1"))}
        for wait in FIXED:
            flags = ("--threads", "1", "--wait-milliseconds", str(wait))
            servers[f"{wait:g} ms"] = stack.enter_context(serve(directory, *flags, patch=WITHOUT_RULE))
        sides: dict[str, Side] = {
            side: partial(load, server, "Decode", request, callers=callers, seconds=seconds)
            for side, server in servers.items()
        }
        loads = alternate(sides, repeats)
    ours = loads.pop(RULE)
    print(f"{name}, {callers} in flight")
    lines = [(side, one[0], one[2], one[1]) for side, one in {RULE: ours, **loads}.items()]
    table("wait", "server us/call", "p50 ms", "calls/s", rows=lines)
    for index, unit in ((0, "server us a call"), (2, "p50")):
        best = min(one[index] for one in loads.values())
        claim(f"{unit}, the rule over the best fixed wait", ours[index] / best, 1.1, is_limit=True)


if __name__ == "__main__":
    main()
