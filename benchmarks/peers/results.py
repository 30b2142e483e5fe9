"""Tables, ratios and targets."""

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.harness import Load
from benchmarks.peers.cases import BARE, BULK, BULK_CONV, BUSY, BUSY_CONV, LEAST, LONE, Case
from benchmarks.peers.ours import OURS
from benchmarks.peers.triton import TRITON
from benchmarks.peers.unary import SHARED, UNARY, UNARY_H2LOAD
from benchmarks.printing import claim, table

Loads = Mapping[str, Load]


class Target(NamedTuple):
    """What a ratio of ours to another side must stay within."""

    case: Case
    over: str
    must: float
    reach: float
    is_p50: bool = False
    """Whether p50 is compared, and not the server's processor time."""
    side: str = OURS.name


TARGETS = (
    Target(BULK, TRITON.name, 1.05, 0.95),
    Target(BULK_CONV, TRITON.name, 1.02, 1.0),
    Target(BULK_CONV, BARE, 1.042, 1.02),
    Target(BUSY_CONV, TRITON.name, 1.12, 1.05),
    Target(BUSY, LEAST, 1.0, 0.75),
    Target(BUSY, UNARY, 0.7, 0.5, side=SHARED),
    Target(BUSY, UNARY_H2LOAD, 0.7, 0.5, side=SHARED),
    Target(LONE, TRITON.name, 1.35, 1.2, is_p50=True),
)


def show(title: str, loads: Loads, rows: int) -> None:
    """Prints one line for each side, with the ratios of ours, which is the first, to it."""
    ours = next(iter(loads.values()))
    lines = [
        (
            name,
            one.server_microseconds / rows,
            ours.server_microseconds / one.server_microseconds,
            one.calls_a_second,
            one.p50_milliseconds,
            ours.p50_milliseconds / one.p50_milliseconds,
            f"{one.steal:.1%}",
        )
        for name, one in loads.items()
    ]
    print(title)
    table("side", "server us/row", "ours over it", "calls/s", "p50 ms", "our p50 over it", "steal", rows=lines)
    print(flush=True)


def judge(results: Mapping[Case, Loads]) -> None:
    """Prints the ratios that have targets, as far as both sides were measured."""
    for target in TARGETS:
        loads = results.get(target.case, {})
        if {target.side, target.over} <= loads.keys():
            _judge(target, loads)


def _judge(target: Target, loads: Loads) -> None:
    ours, other = loads[target.side], loads[target.over]
    if target.is_p50:
        what, ratio = "p50", ours.p50_milliseconds / other.p50_milliseconds
    else:
        what, ratio = "server us a row", ours.server_microseconds / other.server_microseconds
    name = f"{what}, {target.case}, {target.side} over {target.over}"
    claim(name, ratio, target.must, target.reach, is_limit=True)
