"""The maximum speed of a package's decoder on one core: `session.run` in a loop, one thread, no server.

python -m benchmarks.bare_loop PACKAGE ROWS SECONDS [HEIGHT WIDTH]
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from vaeserve.package.directory import ModelPackage
from vaeserve.package.sizes import PictureSize
from vaeserve.runtime import prepare_onnxruntime

WARM_UP = 5


def main() -> None:
    directory, rows, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    size = PictureSize(int(sys.argv[4]), int(sys.argv[5])) if sys.argv[4:] else None
    prepare_onnxruntime()
    import onnxruntime

    package = ModelPackage.open(directory)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = package.read(package.manifest.graphs.decoder)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    latent = np.random.default_rng(0).normal(size=(rows, *package.manifest.latent.at(size).shape)).astype(np.float32)
    loop(partial(session.run, ["data"], {"latent": latent}), seconds)


def loop(run: Callable[[], object], seconds: float) -> None:
    """Runs a function again and again; prints its processor microseconds, runs per second, and p50 and p99 in ms."""
    for _ in range(WARM_UP):
        run()
    times = [time.perf_counter()]
    before = time.process_time()
    while times[-1] < times[0] + seconds:
        run()
        times.append(time.perf_counter())
    processor = (time.process_time() - before) / (len(times) - 1)
    took = np.diff(times)
    print(processor * 1e6, 1 / took.mean(), *np.percentile(took, [50, 99]) * 1e3)


if __name__ == "__main__":
    main()
