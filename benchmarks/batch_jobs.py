"""Batch jobs: rows/s beside a bare loop, of two processes, through a service, and what a partition costs.

    python -m benchmarks.batch_jobs [--part bare|processes|service|partition] [--rows 30000]

Ratios to the bare loop are of processor time in the loop itself, so neither the start of a process nor the plan counts;
those stand beside them. Processes are timed by the job's own markers: from the first row that was read to the last
marker that was written. Beside a service, what counts is the processor time of all processes for each further row, the
plan included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.batch_sources import idx, pictures, table
from benchmarks.clocks import clock
from benchmarks.harness import ROOT, SERVER_CORE, alternate, serve
from benchmarks.packages import package
from benchmarks.printing import claim
from benchmarks.printing import table as print_table

BATCH_ROWS = {"conv": 32, "mlp": 128}
TINY = ROOT / "tests" / "data" / "tiny"
PARTITION_ROWS = 262_144  # by default, of small rows
FEW = 100


class Loop(NamedTuple):
    """Figures of one run of a loop."""

    rows: float
    processor: float
    wall: float
    start: float
    """Seconds until its first row is read: imports left out, the plan and the graphs included."""


class Rate(NamedTuple):
    """Rows per second of one job: while it computes, and from the start of its command to the end."""

    computing: float
    whole: float


class Cost(NamedTuple):
    """Processor seconds that one more row takes."""

    job: float
    """In the job's processes."""
    service: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = {"bare": beside_bare, "processes": two_processes, "service": through_service, "partition": one_partition}
    parser.add_argument("--part", choices=parts, help="one of the figures; default: all")
    parser.add_argument("--rows", type=int, default=30_000, help="pictures; of small rows there are twice as many")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of every point; medians are printed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, part in parts.items():
            if options.part in (None, name):
                part(Path(folder), options.rows, options.repeats)


def beside_bare(folder: Path, rows: int, repeats: int) -> None:
    """Compares the loop of a worker with one written by hand."""
    small = 2 * rows
    table(folder / "rows.parquet", small)
    idx(folder / "train-images-idx3-ubyte", small)
    sources = {
        "conv from JPEGs": ("conv", _pictures(folder, rows), 0.95),
        "MLP from Parquet": ("mlp", folder / "rows.parquet", 0.9),
        "MLP from MNIST's files": ("mlp", folder / "train-images-idx3-ubyte", 0.9),
    }
    for title, (name, source, must) in sources.items():
        sides = {side: partial(loop, side, package(name), source, BATCH_ROWS[name]) for side in ("job", "bare")}
        runs = alternate(sides, repeats)
        show(runs)
        claim(f"rows/s of a job over a bare loop, {title}", runs["bare"].processor / runs["job"].processor, must)


def two_processes(folder: Path, rows: int, repeats: int) -> None:
    """Compares one process with two, each on a core of its own."""
    source = _pictures(folder, rows)
    chosen = ("--package", str(package("conv")), "--batch-rows", str(BATCH_ROWS["conv"]))
    size = ("--partition-rows", str(max(1, rows // 8)))
    sides: dict[str, Callable[[], Rate]] = {
        "one": partial(rate, source, "0", *chosen, *size, "--workers", "1"),
        "two": partial(rate, source, "0,1", *chosen, *size, "--workers", "2"),
    }
    rates = alternate(sides, repeats)
    show_rates(rates)
    claim("rows/s of two processes over one, conv", rates["two"].computing / rates["one"].computing, 1.8)


def through_service(folder: Path, rows: int, repeats: int) -> None:
    """Compares the processor time of a job that runs the package with that of one whose rows go to a service."""
    conv = package("conv")
    many, few = (_pictures(folder / str(count), count) for count in (rows, rows // 8))
    with serve(conv, "--threads", "1") as server:
        here = ("--package", str(conv), "--batch-rows", str(BATCH_ROWS["conv"]), "--workers", "1")
        there = ("--target", server.target, "--workers", "1")
        sides: dict[str, Callable[[], Cost]] = {
            "--package": lambda: row_cost(many, few, rows - rows // 8, server.pid, *here),
            "--target": lambda: row_cost(many, few, rows - rows // 8, server.pid, *there),
        }
        costs = alternate(sides, repeats)
    lines = [(name, 1e6 * cost.job, 1e6 * cost.service) for name, cost in costs.items()]
    print_table("side", "job us/row", "service us/row", rows=lines)
    ratio = sum(costs["--package"]) / sum(costs["--target"])
    claim("processor time a row of --package over --target and its service", ratio, 0.8)


def one_partition(folder: Path, _rows: int, repeats: int) -> None:
    """Compares what comes on top of each partition with what a whole one of the smallest rows takes."""
    few, whole = folder / "few.npy", folder / "whole.npy"
    for path, rows in ((few, FEW), (whole, PARTITION_ROWS)):
        np.save(path, np.random.default_rng(0).integers(0, 17, (rows, 4, 4, 1), np.uint8))
    sides = {
        "100 partitions of a row": partial(loop, "job", TINY, few, 256, 1),
        "1 partition of 100 rows": partial(loop, "job", TINY, few, 256),
        "1 partition of 262,144 rows": partial(loop, "job", TINY, whole, 256),
    }
    runs = alternate(sides, repeats)
    show(runs)
    many, once, full = runs.values()
    costs = [(many.start - once.start) / (FEW - 1), (many.wall - once.wall) / (FEW - 1)]
    print("a partition costs {:.2f} ms in the plan, {:.2f} ms in the run".format(*(1e3 * cost for cost in costs)))
    claim("overhead of a partition of the default size, 16 bytes a row", sum(costs) / full.wall, 0.02, is_limit=True)


def loop(side: str, directory: Path, source: Path, batch: int, *more: int) -> Loop:
    """Runs one side on one core, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (side, directory, source, Path(folder) / "out", batch, *more)
        command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "benchmarks.batch_loop"]
        done = subprocess.run(
            [*command, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split()
    return Loop(*map(float, done))


def rate(source: Path, cores: str, *options: str) -> Rate:
    """Runs `vae job encode` on some cores."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = ["taskset", "-c", cores, sys.executable, "-m", "vaeserve", "job", "encode", str(source)]
        began = datetime.now().astimezone()
        subprocess.run([*command, "--out", str(out), *options], cwd=ROOT, check=True, capture_output=True)
        whole = (datetime.now().astimezone() - began).total_seconds()
        markers = [json.loads(path.read_bytes()) for path in (out / "_job" / "done").iterdir()]
    ends = {datetime.fromisoformat(marker["finished_at"]).timestamp(): marker for marker in markers}
    first = min(end - sum(marker["seconds"].values()) for end, marker in ends.items())
    rows = sum(marker["rows"] for marker in markers)
    return Rate(rows / (max(ends) - first), rows / whole)


def row_cost(many: Path, few: Path, more: int, service: int, *options: str) -> Cost:
    """Runs `vae job encode` on a few rows and on many, on one core, and returns what each of `more` rows took."""
    before, between, after = processor_times(service), *(_encode(source, service, *options) for source in (few, many))
    return Cost(
        *((last - 2 * middle + first) / more for first, middle, last in zip(before, between, after, strict=True))
    )


def _encode(source: Path, service: int, *options: str) -> tuple[float, float]:
    rate(source, str(SERVER_CORE), *options)
    return processor_times(service)


def processor_times(service: int) -> tuple[float, float]:
    """Returns the processor seconds of all processes that have ended here, and of the service."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime, clock(service).processor


def show(runs: dict[str, Loop]) -> None:
    """Prints one line for each side."""
    lines = [
        (name, one.processor / one.rows * 1e6, one.wall / one.rows * 1e6, one.rows / one.wall, one.start)
        for name, one in runs.items()
    ]
    print_table("side", "processor us/row", "wall us/row", "rows/s", "plan and opening s", rows=lines)


def show_rates(rates: dict[str, Rate]) -> None:
    """Prints one line for each side."""
    print_table("side", "rows/s", "rows/s with start and plan", rows=[(name, *one) for name, one in rates.items()])


def _pictures(folder: Path, rows: int) -> Path:
    source = folder / "pictures"
    if not source.exists():
        pictures(source, rows)
    return source


if __name__ == "__main__":
    main()
