"""What half precision brings on a CPU: a row's time in float32 over its time after `vae export --precision fp16`.

    python -m benchmarks.half_precision [--packages DIRECTORY ...] [--rows 16] [--repeats 5]

Both sides are graphs of the same package, bare: the second side is halved here, as export does it. Figures are
processor time, medians of alternating sides, one thread.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from benchmarks.harness import alternate
from benchmarks.packages import package
from benchmarks.printing import table
from serving.engine.providers import Placement
from serving.engine.session import Session
from training.export.half import halve
from vaeserve.package.contents import Graph
from vaeserve.package.directory import ModelPackage

SECONDS = 0.3  # that one side runs at a time


class Took(NamedTuple):
    """Time of one side."""

    microseconds: float  # processor time per row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, nargs="+", help="packages in float32; default: mlp and conv")
    parser.add_argument("--rows", type=int, default=16, help="in a batch")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    lines: list[list[str | float]] = []
    for directory in options.packages or [package("mlp"), package("conv")]:
        opened = ModelPackage.open(directory)
        for name in ("encoder", "decoder"):
            lines.append([f"{opened.manifest.name} {name}", *figures(opened, name, options.rows, options.repeats)])
    table("graph", "float32 us/row", "fp16 us/row", "float32 / fp16", "float32 MB", "fp16 MB", rows=lines)


def figures(opened: ModelPackage, name: str, rows: int, repeats: int) -> list[float]:
    """Returns the time of both sides, their ratio, and the size of their files."""
    graph = opened.manifest.graphs.by_name[name]
    content = opened.read(graph)
    halved = halve(onnx.load_model_from_string(content)).SerializeToString()
    sides = {"float32": runner(opened, graph, content, rows), "fp16": runner(opened, graph, halved, rows)}
    full, half = (took.microseconds for took in alternate(sides, repeats).values())
    return [full, half, full / half, len(content) / 1e6, len(halved) / 1e6]


def runner(opened: ModelPackage, graph: Graph, content: bytes, rows: int) -> Callable[[], Took]:
    """Returns what measures one side on rows of the smallest size, after a first run that warms it up."""
    spec = (opened.manifest.data if "data" in {it.name for it in graph.inputs} else opened.manifest.latent).smallest
    random = np.random.default_rng(0)
    drawn = random.uniform(0, 16, (rows, *spec.shape)).astype(spec.dtype)
    session = Session(content, graph, Placement("cpu"))
    run = partial(session.run, {graph.inputs[0].name: drawn}, [graph.outputs[0].name])
    run()
    return partial(took, run, rows)


def took(run: Callable[[], object], rows: int) -> Took:
    """Runs a graph for a while, and returns the time per row."""
    runs, begun, end = 0, time.process_time(), time.monotonic() + SECONDS
    while not runs or time.monotonic() < end:
        run()
        runs += 1
    return Took((time.process_time() - begun) / (runs * rows) * 1e6)


if __name__ == "__main__":
    main()
