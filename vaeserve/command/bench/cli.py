"""The verb `vae bench`. Imports what it needs only after its options have been checked."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vaeserve.command.bench.option_values import (
    call_count,
    call_counts,
    process_count,
    rates,
    rows,
    seconds,
    seconds_or_zero,
    seed,
)
from vaeserve.command.bench.plan import ARRIVALS, RPCS, BenchPlan, ClosedLoop, LoadPoint, OpenLoop
from vaeserve.command.options import add_server_options, add_size_option, connect
from vaeserve.command.parser import verb_parser

if TYPE_CHECKING:
    from vaeserve.command.bench.inputs import BenchInputs
    from vaeserve.command.bench.processes import Processes
    from vaeserve.command.bench.progress import BenchProgress
    from vaeserve.command.bench.report import PointResult

_ROWS, _CALLERS = [1, 64], [1, 16]
_OUTSTANDING = 1000


def bench(arguments: list[str]) -> int:
    """Puts load on a server and shows how it did."""
    options = _options(arguments)
    plan = _plan(options)
    inputs = _inputs(options, plan)
    requests = {number: inputs.serialise(number) for number in options.rows}
    from vaeserve.command.bench.processes import Processes
    from vaeserve.command.bench.progress import BenchProgress
    from vaeserve.command.bench.report import heading, line, notes, to_json

    results = []
    with Processes(plan.processes, options) as processes, BenchProgress(plan) as progress:
        if not options.json:
            progress.print(heading(plan, inputs.model, options.target, inputs.size))
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
    plan: BenchPlan, requests: dict[int, list[bytes]], processes: "Processes", progress: "BenchProgress"
) -> "Iterator[PointResult]":
    """Runs one point after another, until one is interrupted."""
    from vaeserve.command.bench.figures import figures
    from vaeserve.command.bench.report import PointResult

    for number, point in enumerate(plan.points):
        begin, outcomes = processes.run(plan, point, requests[point.rows], partial(progress.show, number))
        measured = figures(outcomes, begin, point.rows, plan.deadline_seconds)
        if measured is not None:
            yield PointResult(point, measured)
        if processes.was_interrupted:
            return


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser(
        "bench",
        "Puts load on a server of yours and measures it: one line for each number of rows in a call and each load.",
        "A list is several numbers with commas between them. Ctrl-C ends early and shows what was measured.",
    )
    add_server_options(parser, has_default=False)  # load goes only to a server that is named on the spot
    parser.add_argument("--rpc", choices=RPCS, default="sample", help="what to call; default sample")
    parser.add_argument("--rows", type=rows, default=_ROWS, metavar="LIST", help="rows in a call; default 1,64")
    _add_load_options(parser)
    parser.add_argument("--deadline", type=seconds, metavar="SECONDS", help="of each call; default: --timeout")
    parser.add_argument(
        "--input", type=Path, metavar="X.npy", help="rows to send in turn; default: random rows from --seed"
    )
    add_size_option(parser, "of random pictures, for a model of many sizes; default: the model's own default")
    parser.add_argument("--seed", type=seed, default=0, help="of random rows, samples and arrivals; default 0")
    parser.add_argument(
        "--processes",
        type=process_count,
        default=1,
        metavar="N",
        help="how many processes send calls, each up to one core; default 1",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    options = parser.parse_args(arguments)
    if options.rate is None and (options.arrivals or options.outstanding):
        parser.error("--arrivals and --outstanding are for --rate")
    if options.rpc == "sample" and options.input:
        parser.error("--input is for --rpc encode, decode and reconstruct")
    if options.size and options.input:
        parser.error("--size is for random pictures, not for --input")
    return options


def _add_load_options(parser: argparse.ArgumentParser) -> None:
    load = parser.add_mutually_exclusive_group()
    load.add_argument(
        "--concurrency",
        type=call_counts,
        metavar="LIST",
        help="closed loop: number of callers, each of which waits for its answer; default 1,16",
    )
    load.add_argument(
        "--rate",
        type=rates,
        metavar="LIST",
        help="open loop: calls per second, whatever the answers; latencies count from when a call was due",
    )
    parser.add_argument("--arrivals", choices=ARRIVALS, help="of an open loop's calls; default poisson")
    parser.add_argument(
        "--outstanding",
        type=call_count,
        metavar="CALLS",
        help="maximum number of an open loop's calls in flight; default 1,000",
    )
    parser.add_argument(
        "--duration", type=seconds, default=5.0, metavar="SECONDS", help="of each line's measurement; default 5"
    )
    parser.add_argument(
        "--warmup", type=seconds_or_zero, default=1.0, metavar="SECONDS", help="load before each measurement; default 1"
    )


def _plan(options: argparse.Namespace) -> BenchPlan:
    loads: list[ClosedLoop | OpenLoop]
    if options.rate is None:
        loads = [ClosedLoop(callers) for callers in options.concurrency or _CALLERS]
    else:
        outstanding = options.outstanding or _OUTSTANDING
        loads = [OpenLoop(rate, options.arrivals or ARRIVALS[0], outstanding, options.seed) for rate in options.rate]
    return BenchPlan(
        rpc=options.rpc,
        points=tuple(LoadPoint(number, load) for number in options.rows for load in loads),
        warmup_seconds=options.warmup,
        duration_seconds=options.duration,
        deadline_seconds=options.deadline or options.timeout,
        processes=options.processes,
    )


def _inputs(options: argparse.Namespace, plan: BenchPlan) -> "BenchInputs":
    """Asks the server for its model, after everything else has been checked."""
    from vaeserve.client.call import as_route
    from vaeserve.client.caller_rows import as_rows
    from vaeserve.command.bench.inputs import BenchInputs
    from vaeserve.files import check_suffix, read_array

    data = None
    if options.input is not None:
        check_suffix(options.input, ".npy")
        data = as_rows(read_array(options.input), str(options.input))
    to = as_route(options.model, options.version)
    with connect(options) as client:
        model = client.get_model(options.model, options.version)
    return BenchInputs.of(plan.rpc, to, model, seed=options.seed, data=data, size=options.size)


def _settings(options: argparse.Namespace) -> dict[str, object]:
    """Returns the settings that are not in the plan."""
    path = None if options.input is None else str(options.input)
    loop = "closed" if options.rate is None else "open"
    size = None if options.size is None else list(options.size)
    return {"target": options.target, "loop": loop, "input": path, "seed": options.seed, "size": size}
