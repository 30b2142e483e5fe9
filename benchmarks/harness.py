"""What the figures share: servers on one core, load from another, the server's own processor time, medians, tables."""

import argparse
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import grpc
import numpy as np

from vaeserve.package.directory import ModelPackage
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

ROOT = Path(__file__).parent.parent
SERVICE = "vae.v1.VaeService"
SERVER_CORE, LOAD_CORE = 0, 1
CANNOT_RUN = 77
ANY_SIZE = [("grpc.max_receive_message_length", -1)]

_REPLIES: dict[str, type[pb.DecodeResponse | pb.SampleResponse]] = {
    "Decode": pb.DecodeResponse,
    "Sample": pb.SampleResponse,
}
Numbers = TypeVar("Numbers", bound=tuple[float, ...])


class Server(NamedTuple):
    """A server that said where it listens."""

    target: str
    pid: int
    announced: str
    """All that it said."""


class Clock(NamedTuple):
    """Seconds, from an arbitrary start."""

    processor: float
    """That the server used, user and system, all threads."""
    wall: float
    stolen: float
    """That the host took from this machine's cores."""


class Load(NamedTuple):
    """What one load saw, or the medians of several."""

    server_microseconds: float
    """Of the server's processor time, a call."""
    calls_a_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    steal: float
    """Share of the cores' time that the host took."""


Side = Callable[[], Load]
"""Loads one side of a comparison."""


def arguments(description: str | None, *, seconds: float = 3.0, repeats: int = 3) -> argparse.ArgumentParser:
    """Returns a parser of what every figure takes; leaves with 77 where no figure can be had."""
    if len(os.sched_getaffinity(0)) < 2:
        _give_up("needs two processors: one for the server, one for the load")
    if shutil.which("h2load") is None:
        _give_up("needs h2load: apt-get install nghttp2-client")
    os.sched_setaffinity(0, {LOAD_CORE})
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=seconds, help="of load a point")
    parser.add_argument("--repeats", type=int, default=repeats, help="of every point; medians are printed")
    return parser


def _give_up(reason: str) -> NoReturn:
    print(reason, file=sys.stderr)
    raise SystemExit(CANNOT_RUN)


@contextmanager
def serve(package: Path, *flags: str, patch: str = "", cores: Collection[int] = (SERVER_CORE,)) -> Iterator[Server]:
    """Runs `vae serve` on the server's core, or those given. `patch` is Python to run before it."""
    code = f"{patch}\nfrom vaeserve.command.cli import main\nmain()"
    quiet = ("--port", "0", "--log-level", "error")
    with start("-c", code, "serve", str(package), *quiet, *flags, cores=cores) as server:
        yield server


@contextmanager
def start(*arguments: str, cores: Collection[int] = (SERVER_CORE,)) -> Iterator[Server]:
    """Runs Python on the server's core, or those given; what it starts must say `on HOST:PORT` in its first line."""
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.search(r" on (\S+:\d+)", line)
            if found is None:
                raise SystemExit(f"the server did not start: {line}")
            yield Server(found[1], process.pid, line.strip())
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def clock(pid: int) -> Clock:
    """Reads the clocks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    stolen = Path("/proc/stat").read_text().split(maxsplit=9)[8]
    tick = os.sysconf("SC_CLK_TCK")
    return Clock((int(fields[11]) + int(fields[12])) / tick, time.perf_counter(), int(stolen) / tick)


def since(pid: int, before: Clock) -> Clock:
    """Returns what went by on each clock."""
    return Clock(*(now - then for now, then in zip(clock(pid), before, strict=True)))


def steal_of(spent: Clock) -> float:
    """Returns the share of all cores' time that the host took."""
    return spent.stolen / (spent.wall * (os.cpu_count() or 1))


def resident_bytes(pid: int) -> int:
    """Returns a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def decode_request(package: Path, rows: int) -> bytes:
    """Returns a serialised Decode of so many rows."""
    shape = ModelPackage.open(package).manifest.latent_shape
    latent = np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)
    return pb.DecodeRequest(latent=to_message(latent)).SerializeToString()


def sample_request(rows: int) -> bytes:
    """Returns a serialised Sample of so many rows."""
    return pb.SampleRequest(count=rows, seed=7).SerializeToString()


def answer(server: Server, method: str, request: bytes) -> bytes:
    """Returns a call's reply without its times, which differ from call to call."""
    with grpc.insecure_channel(server.target, options=ANY_SIZE) as channel:
        content = call_of(channel, method)(request, timeout=60)
    reply = _REPLIES[method].FromString(content)
    reply.ClearField("timing")
    return reply.SerializeToString()


def call_of(channel: grpc.Channel, method: str) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    """Returns a method that takes and returns serialised messages."""
    return channel.unary_unary(call_path(method), request_serializer=bytes, response_deserializer=bytes)


def call_path(method: str) -> str:
    """Returns a method's path."""
    return f"/{SERVICE}/{method}"


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the value below which so many percent lie."""
    return float(np.percentile(np.asarray(values), percent))


def medians(runs: Sequence[Numbers]) -> Numbers:
    """Returns the median of each field."""
    made: Numbers = type(runs[0])(*map(statistics.median, zip(*runs, strict=True)))
    return made


def alternate(sides: Mapping[str, Callable[[], Numbers]], repeats: int) -> dict[str, Numbers]:
    """Returns the medians of every side, measured by turns, so that a slow minute falls on all of them."""
    runs = [{name: measure() for name, measure in sides.items()} for _ in range(repeats)]
    return {name: medians([run[name] for run in runs]) for name in sides}


def table(*header: str, rows: Sequence[Sequence[str | float]]) -> None:
    """Prints a table; numbers get three or more significant digits."""
    cells = [list(header), *([cell if isinstance(cell, str) else number(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, *others in cells:
        print("  ".join([name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))]))


def number(value: float) -> str:
    """Shows a number with three significant digits, and all of those before the point; nan is none."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_loads(loads: Mapping[str, Load], rows: int | Sequence[int]) -> None:
    """Prints one line a side, whose calls hold so many rows."""
    each = [rows] * len(loads) if isinstance(rows, int) else rows
    lines = [
        (
            name,
            one.server_microseconds,
            one.server_microseconds / n,
            one.calls_a_second * n,
            *one[2:4],
            f"{one.steal:.1%}",
        )
        for (name, one), n in zip(loads.items(), each, strict=True)
    ]
    table("side", "server us/call", "us/row", "rows/s", "p50 ms", "p99 ms", "steal", rows=lines)


def claim(name: str, figure: float, must: float, reach: float | None = None, *, is_limit: bool = False) -> bool:
    """Prints a figure beside what it must reach and what is reached for; a limit is what it must not pass.

    Returns:
        Whether it does.
    """
    met = figure <= must if is_limit else figure >= must
    aim = "" if reach is None else f", reach for {reach:g}"
    print(
        f"{'   ' if met else '!! '}{name}: {figure:.4g} (must {'stay within' if is_limit else 'reach'} {must:g}{aim})",
        flush=True,
    )
    return met
