"""Every pass over a large call's values between the socket and ONNX Runtime, with its bytes and its microseconds.

    python -m benchmarks.passes

What gRPC and the kernel take is that of a minimal server for a reply of so many bytes, less that for an empty one. The
other passes are timed in this process. Times that are differences of two may come out below 0.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.calls import decode_request
from benchmarks.clocks import clock, since
from benchmarks.h2load import h2load
from benchmarks.harness import arguments, start
from benchmarks.packages import package
from benchmarks.printing import table
from serving.engine.rows import LatentRows
from serving.models.loading import load
from serving.settings import read_settings
from vaeserve.package.row_spec import Array
from vaeserve.rows.tensors import parse_rows
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb

ROWS, BATCH_ROWS = 64, 8
TRIES = 40
CALLS, CALLERS = 600, 4  # of a minimal server


def main() -> None:
    options = arguments(__doc__, repeats=3).parse_args()
    for name in ("mlp", "conv"):
        lines = measure(package(name), options.repeats)
        print(f"{name}: a Decode call of {ROWS} rows, {BATCH_ROWS} rows a batch")
        table("pass", "bytes", "us", rows=lines)


def measure(directory: Path, repeats: int) -> list[tuple[str, int, float]]:
    """Returns each pass, its bytes, and its microseconds."""
    flags = {"package": str(directory), "provider": "cpu", "threads": "1", "batch_rows": str(BATCH_ROWS)}
    proved = load(directory, read_settings(flags))
    content, spec, engine = decode_request(directory, ROWS), proved.manifest.latent, proved.engine
    request = pb.DecodeRequest.FromString(content)
    latents = parse_rows(request.latent, "latent", spec)
    parts = [latents[start : start + BATCH_ROWS] for start in range(0, ROWS, BATCH_ROWS)]

    def run() -> list[Array]:
        wanted = ["data", "expectation"]
        return [engine._decoder.run({"latent": part}, wanted)[0] for part in parts]

    def decode() -> object:
        return [engine.decode([LatentRows(part, "data")]) for part in parts]

    replies = run()
    size = sum(part.nbytes for part in replies)
    graph, finite = timed(run), timed(lambda: [np.isfinite(part).all() for part in replies])
    return [
        ("request: parse, 1 copy", len(content), timed(partial(pb.DecodeRequest.FromString, content))),
        ("request: read its values, 1 copy", latents.nbytes, timed(lambda: request.latent.data)),
        ("request: whether all are finite", latents.nbytes, timed(lambda: np.isfinite(latents).all())),
        ("ONNX Runtime, which copies what it answers", size, graph),
        ("reply: whether all are finite", size, finite),
        ("the engine around both", size, timed(decode) - graph - finite),
        ("reply: its bytes, 1 copy", size, timed(partial(serialize, replies))),
        ("gRPC's copy, frames, and the kernel's copy", size, of_grpc(size, repeats)),
    ]


def serialize(parts: list[Array]) -> bytes:
    """Returns the bytes of a reply."""
    return TensorMessage(pb.DecodeResponse(), {"data": parts}).serialize().join()


def timed(work: Callable[[], object]) -> float:
    """Returns the median of the microseconds that something takes."""
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e6)
    return median(times)


def of_grpc(size: int, repeats: int) -> float:
    """Returns the server's microseconds for a reply of a size, less those for an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "reply")
        costs = []
        for content in (bytes(size), b""):
            file.write_bytes(content)
            with start("-m", "benchmarks.minimal_server", "uvloop", str(file)) as server:
                costs.append(median(_cost(server.target, server.pid) for _ in range(repeats)))
    return costs[0] - costs[1]


def _cost(target: str, pid: int) -> float:
    before = clock(pid)
    h2load(target, "Decode", b"", CALLS, CALLERS)
    return since(pid, before).processor / CALLS * 1e6


if __name__ == "__main__":
    main()
