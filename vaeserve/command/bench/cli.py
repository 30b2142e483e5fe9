"""The verb `vae bench`. Imports what it needs once it is called with options that make sense."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vaeserve.command.bench.plan import ARRIVALS, RPCS, ClosedLoop, OpenLoop, Plan, Point
from vaeserve.command.options import add_server_options, connect
from vaeserve.command.parser import verb_parser

if TYPE_CHECKING:
    from vaeserve.command.bench.inputs import Inputs
    from vaeserve.command.bench.processes import Processes
    from vaeserve.command.bench.progress import Progress
    from vaeserve.command.bench.report import Result

_ROWS, _CALLERS = [1, 64], [1, 16]
_OUTSTANDING = 1000
_MOST_CALLS = 10_000  # in flight
_MOST_PROCESSES = 64
_MOST_RATE = 1e6
_DAY_SECONDS = 86_400.0


def bench(arguments: list[str]) -> int:
    """Puts load on a server and shows what came of it."""
    options = _options(arguments)
    plan = _plan(options)
    inputs = _inputs(options, plan)
    requests = {rows: inputs.serialise(rows) for rows in options.rows}
    from vaeserve.command.bench.processes import Processes
    from vaeserve.command.bench.progress import Progress
    from vaeserve.command.bench.report import heading, line, notes, to_json

    results = []
    with Processes(plan.processes, options) as processes, Progress(plan) as progress:
        if not options.json:
            progress.print(heading(plan, inputs.model, options.target))
        for result in _results(plan, requests, processes, progress):
            results.append(result)
            if not options.json:
                progress.print(line(result))
    if processes.was_interrupted and not results:
        raise KeyboardInterrupt
    if options.json:
        print(to_json(plan, inputs.model, _settings(options), results, was_interrupted=processes.was_interrupted))
    else:
        print("", *notes(results, was_interrupted=processes.was_interrupted), sep="\n")
    return 0 if any(result.figures.answered for result in results) else 1


def _results(
    plan: Plan, requests: dict[int, list[bytes]], processes: "Processes", progress: "Progress"
) -> "Iterator[Result]":
    """Runs point after point, until one is interrupted."""
    from vaeserve.command.bench.figures import figures
    from vaeserve.command.bench.report import Result

    for number, point in enumerate(plan.points):
        begin, outcomes = processes.run(plan, point, requests[point.rows], partial(progress.show, number))
        found = figures(outcomes, begin, point.rows, plan.deadline_seconds)
        if found is not None:
            yield Result(point, found)
        if processes.was_interrupted:
            return


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser(
        "bench",
        "Puts load on a server of yours and measures it: one line for each number of rows a call and each load.",
        "A list is several numbers with commas between them. Ctrl-C ends early and shows what was measured.",
    )
    add_server_options(parser, has_default=False)  # load goes to a server that is named on the spot, and to no other
    parser.add_argument("--rpc", choices=RPCS, default="sample", help="what to call; default sample")
    parser.add_argument("--rows", type=_rows, default=_ROWS, metavar="LIST", help="rows in a call; default 1,64")
    load = parser.add_mutually_exclusive_group()
    load.add_argument(
        "--concurrency",
        type=_counts,
        metavar="LIST",
        help="closed loop: callers who each wait for their answer; default 1,16",
    )
    load.add_argument(
        "--rate",
        type=_rates,
        metavar="LIST",
        help="open loop: calls a second, whatever the answers; latencies count from when a call was to be sent",
    )
    parser.add_argument("--arrivals", choices=ARRIVALS, help="of an open loop's calls; default poisson")
    parser.add_argument(
        "--outstanding", type=_count, metavar="CALLS", help="most calls of an open loop in flight; default 1,000"
    )
    parser.add_argument(
        "--duration", type=_seconds, default=5.0, metavar="SECONDS", help="of a line's measurement; default 5"
    )
    parser.add_argument(
        "--warmup",
        type=_seconds_or_none,
        default=1.0,
        metavar="SECONDS",
        help="load before each measurement; default 1",
    )
    parser.add_argument("--deadline", type=_seconds, metavar="SECONDS", help="of each call; default: --timeout")
    parser.add_argument("--input", type=Path, metavar="X.npy", help="rows to send in turn; default: made up, seeded")
    parser.add_argument("--seed", type=_seed, default=0, help="of made-up rows, samples and arrivals; default 0")
    parser.add_argument(
        "--processes", type=_processes, default=1, metavar="N", help="that send calls, each up to a core; default 1"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    options = parser.parse_args(arguments)
    if options.rate is None and (options.arrivals or options.outstanding):
        parser.error("--arrivals and --outstanding are for --rate")
    if options.rpc == "sample" and options.input:
        parser.error("--input is for --rpc encode, decode and reconstruct")
    return options


def _plan(options: argparse.Namespace) -> Plan:
    loads: list[ClosedLoop | OpenLoop]
    if options.rate is None:
        loads = [ClosedLoop(callers) for callers in options.concurrency or _CALLERS]
    else:
        outstanding = options.outstanding or _OUTSTANDING
        loads = [OpenLoop(rate, options.arrivals or ARRIVALS[0], outstanding, options.seed) for rate in options.rate]
    return Plan(
        rpc=options.rpc,
        points=tuple(Point(rows, load) for rows in options.rows for load in loads),
        warmup_seconds=options.warmup,
        duration_seconds=options.duration,
        deadline_seconds=options.deadline or options.timeout,
        processes=options.processes,
    )


def _inputs(options: argparse.Namespace, plan: Plan) -> "Inputs":
    """Asks the server for its model, once everything else is known to be right."""
    from vaeserve.client.call import as_route
    from vaeserve.client.given import as_rows
    from vaeserve.command.bench.inputs import Inputs
    from vaeserve.files import check_suffix, read_array

    given = None
    if options.input is not None:
        check_suffix(options.input, ".npy")
        given = as_rows(read_array(options.input), str(options.input))
    to = as_route(options.model, options.version)
    with connect(options) as client:
        model = client.get_model(options.model, options.version)
    return Inputs(plan.rpc, to, model, options.seed, given)


def _settings(options: argparse.Namespace) -> dict[str, object]:
    """Returns what the plan does not tell."""
    given = None if options.input is None else str(options.input)
    loop = "closed" if options.rate is None else "open"
    return {"target": options.target, "loop": loop, "input": given, "seed": options.seed}


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _rates(text: str) -> list[float]:
    return [_number(part, _MOST_RATE) for part in text.split(",")]


def _seconds(text: str) -> float:
    return _number(text, _DAY_SECONDS)


def _seconds_or_none(text: str) -> float:
    return 0.0 if text == "0" else _seconds(text)


def _count(text: str) -> int:
    return _integer(text, 1, _MOST_CALLS)


def _processes(text: str) -> int:
    return _integer(text, 1, _MOST_PROCESSES)


def _rows(text: str) -> list[int]:
    return [_integer(part, 1, 2**31 - 1) for part in text.split(",")]


def _seed(text: str) -> int:
    return _integer(text, 0, 2**64 - 1)


def _integer(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer") from None
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{number} does not lie in [{least}, {most}]")
    return number


def _number(text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"{number:g} does not lie in (0, {most:g}]")
    return number
