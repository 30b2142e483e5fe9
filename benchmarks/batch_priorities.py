"""Interactive calls beside a job whose rows go to the same service: their p99, as `priorities` measures it.

    python -m benchmarks.batch_priorities [--rate 47]

The service runs on one core; the job and the interactive calls come from the other. The job decodes latents from an
array, which it reads faster than the service answers, so the service is saturated.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.calls import decode_request
from benchmarks.h2load import paced
from benchmarks.harness import LOAD_CORE, ROOT, Server, alternate, arguments, percentile, serve
from benchmarks.limits import bare
from benchmarks.packages import package
from benchmarks.printing import claim, table
from vaeserve import Client

ROWS, SIZE = 60_000, 64  # a minute's work, which is cut short


class Round(NamedTuple):
    """Figures of one round, in milliseconds."""

    alone_p50: float
    alone_p99: float
    beside_p50: float
    beside_p99: float
    batch: float


def main() -> None:
    parser = arguments(__doc__, seconds=6.0)
    parser.add_argument("--rate", type=int, default=47, help="interactive calls a second")
    options = parser.parse_args()
    directory = package("conv")
    with serve(directory, "--threads", "1") as server:
        side = partial(measure, server, directory, rate=options.rate, seconds=options.seconds)
        median = alternate({"Decode": side}, options.repeats)["Decode"]
    lines: list[tuple[str, float | str, float | str]] = [
        ("one-row Decode alone", median.alone_p50, median.alone_p99),
        ("beside a job", median.beside_p50, median.beside_p99),
        ("session.run of a batch", median.batch, "-"),
    ]
    table("side", "p50 ms", "p99 ms", rows=lines)
    ratio = median.beside_p99 / (median.alone_p99 + median.batch)
    claim("Decode beside a job, p99 over p99 alone + a batch", ratio, 2.0, 1.3, is_limit=True)


def measure(server: Server, directory: Path, *, rate: int, seconds: float) -> Round:
    """Measures the calls alone and beside a job."""
    with Client(server.target) as client:
        batch = bare(directory, client.get_model().limits.batch_rows, 1.0).p50_milliseconds
    request = decode_request(directory, 1)
    alone = paced(server, "Decode", request, rate=rate, seconds=seconds)
    with job(server):
        beside = paced(server, "Decode", request, rate=rate, seconds=seconds)
    return Round(
        alone_p50=percentile(alone, 50),
        alone_p99=percentile(alone, 99),
        beside_p50=percentile(beside, 50),
        beside_p99=percentile(beside, 99),
        batch=batch,
    )


@contextmanager
def job(server: Server) -> Iterator[None]:
    """Runs a job against a service from the moment that its first rows are answered."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "latents.npy"
        np.save(source, np.random.default_rng(0).normal(size=(ROWS, SIZE)).astype(np.float32))
        size = ("--partition-rows", "500", "--workers", "1")
        command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "vaeserve", "job", "decode", str(source)]
        out = Path(folder) / "out"
        with subprocess.Popen([*command, "--out", str(out), "--target", server.target, *size], cwd=ROOT) as process:
            while not [*(out / "_job" / "done").glob("*.json")]:
                assert process.poll() is None, "the job has ended"
                time.sleep(0.05)
            yield
            assert process.poll() is None, "the job ended before the calls did"
            process.terminate()


if __name__ == "__main__":
    main()
