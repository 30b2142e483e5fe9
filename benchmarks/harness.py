"""Shared parts of the benchmarks: a server on one core, load from the other, alternating sides, medians."""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import numpy as np

ROOT = Path(__file__).parent.parent
SERVER_CORE, LOAD_CORE = 0, 1
CANNOT_RUN = 77

Numbers = TypeVar("Numbers", bound=tuple[float, ...])


class Server(NamedTuple):
    """A running server."""

    target: str
    pid: int
    announced: str
    """Its first line of output."""


class Load(NamedTuple):
    """Figures of one load, or the medians of several."""

    server_microseconds: float
    """Processor time of the server per call."""
    calls_a_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    steal: float
    """Share of the cores' time that the host took away."""


Side = Callable[[], Load]
"""Loads one side of a comparison."""


def arguments(description: str | None, *, seconds: float = 3.0, repeats: int = 3) -> argparse.ArgumentParser:
    """Returns a parser of the options of every benchmark; exits with 77 if this machine cannot run them."""
    if len(os.sched_getaffinity(0)) < 2:
        _give_up("needs two processors: one for the server, one for the load")
    if shutil.which("h2load") is None:
        _give_up("needs h2load: apt-get install nghttp2-client")
    os.sched_setaffinity(0, {LOAD_CORE})
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=seconds, help="seconds of load for each point")
    parser.add_argument(
        "--repeats", "--rounds", type=int, default=repeats, help="repeats of every point; medians are printed"
    )
    return parser


def _give_up(reason: str) -> NoReturn:
    print(reason, file=sys.stderr)
    raise SystemExit(CANNOT_RUN)


@contextmanager
def serve(package: Path, *flags: str, patch: str = "", cores: Collection[int] = (SERVER_CORE,)) -> Iterator[Server]:
    """Runs `vae serve` on the server's core, or on other cores. `patch` is Python code to run first."""
    code = f"{patch}\nfrom vaeserve.command.cli import main\nmain()"
    quiet = ("--port", "0", "--log-level", "error")
    with start("-c", code, "serve", str(package), *quiet, *flags, cores=cores) as server:
        yield server


@contextmanager
def start(*arguments: str, cores: Collection[int] = (SERVER_CORE,)) -> Iterator[Server]:
    """Runs Python on the server's core, or on other cores. Its first line of output must contain `on HOST:PORT`."""
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            address = re.search(r" on (\S+:\d+)", line)
            if address is None:
                raise SystemExit(f"the server did not start: {line}")
            yield Server(address[1], process.pid, line.strip())
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns a percentile."""
    return float(np.percentile(np.asarray(values), percent))


def medians(runs: Sequence[Numbers]) -> Numbers:
    """Returns the median of each field."""
    made: Numbers = type(runs[0])(*map(statistics.median, zip(*runs, strict=True)))
    return made


def alternate(sides: Mapping[str, Callable[[], Numbers]], repeats: int) -> dict[str, Numbers]:
    """Returns the medians of every side, measured by turns, so that a slow minute affects all of them."""
    runs = [{name: measure() for name, measure in sides.items()} for _ in range(repeats)]
    return {name: medians([run[name] for run in runs]) for name in sides}
