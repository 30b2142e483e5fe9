"""Does a reload cost a caller anything? Drops new versions into a served directory while calls run.

    python benchmarks/reload.py [--package DIR] [--reloads 20] [--seconds 1] [--callers 16]

The server is pinned to one core and the load to another; callers send one row each and wait for its answer. Quiet
seconds and reloads take turns, so a slow minute falls on both. A reload is over when the new version answers.
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import grpc
import numpy as np

from vae.package import ModelPackage
from vae.tensors import to_message
from vae.v1 import vae_pb2 as pb
from vae.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vae.v1.vae_pb2_grpc import VaeServiceAsyncStub

ROOT = Path(__file__).parent.parent
VAE = "from vae.cli import main; main()"


class Call(NamedTuple):
    """What became of a call."""

    seconds: float
    was_reloading: bool
    """When it was sent or answered."""
    failed: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, default=ROOT / "tests" / "data" / "tiny")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of quiet before each reload")
    parser.add_argument("--callers", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        publish(options.package, Path(folder), 1)
        with serving(Path(folder)) as (target, pid):
            stolen, began = stolen_seconds(), time.perf_counter()
            calls, took, resident = asyncio.run(measure(options, Path(folder), target, pid))
            steal = (stolen_seconds() - stolen) / (time.perf_counter() - began) / (os.cpu_count() or 1)
    failed = sum(call.failed for call in calls)
    quiet, reloading = (sorted(c.seconds * 1e3 for c in calls if c.was_reloading == when) for when in (False, True))
    print(f"calls: {len(quiet)} quiet, {len(reloading)} during reloads; failed: {failed}")
    print(f"reloads: {len(took)}, median {np.median(took):.2f} s from the rename to the new version's first answer")
    for name, sample in (("quiet", quiet), ("reloading", reloading)):
        p50, p99 = np.percentile(sample, [50, 99])
        print(f"{name:>10}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {sample[-1]:.2f} ms")
    ratio = np.percentile(reloading, 99) / np.percentile(quiet, 99)
    print(f"p99 during reloads over p99 without: {ratio:.2f}")
    half = resident[len(resident) // 2]
    print(f"resident memory: {half / 2**20:.0f} MiB half-way, after the last over that {resident[-1] / half:.3f}")
    print(f"steal {steal:.1%}")
    sys.exit(bool(failed))


async def measure(
    options: argparse.Namespace, folder: Path, target: str, pid: int
) -> tuple[list[Call], list[float], list[int]]:
    """Returns what became of every call, the seconds that each reload took, and the server's memory before each."""
    calls: list[Call] = []
    took: list[float] = []
    resident: list[int] = []
    is_reloading = is_over = False
    async with grpc.aio.insecure_channel(target) as channel:
        stub = VaeServiceStub(channel)
        shape = (await stub.GetModel(pb.GetModelRequest())).model.latent_shape
        request = pb.DecodeRequest(latent=to_message(np.zeros((1, *shape), np.float32)))

        async def caller() -> None:
            while not is_over:
                sent, was_reloading = time.perf_counter(), is_reloading
                try:
                    await stub.Decode(request)
                    failed = False
                except grpc.aio.AioRpcError as error:
                    print(error.code(), error.details())
                    failed = True
                calls.append(Call(time.perf_counter() - sent, was_reloading or is_reloading, failed))

        callers = [asyncio.create_task(caller()) for _ in range(options.callers)]
        await asyncio.sleep(1)
        calls.clear()  # the first second warms up
        for version in range(2, options.reloads + 2):
            await asyncio.sleep(options.seconds)
            resident.append(resident_bytes(pid))
            staged = await asyncio.to_thread(publish, options.package, folder / ".staged", version)
            is_reloading, began = True, time.perf_counter()
            staged.rename(folder / staged.name)
            await answers(stub, version)
            took.append(time.perf_counter() - began)
            is_reloading = False
            if version > 2:
                await asyncio.to_thread(shutil.rmtree, folder / str(version - 2))
        is_over = True
        await asyncio.gather(*callers)
    return calls, took, resident


async def answers(stub: "VaeServiceAsyncStub", version: int) -> None:
    """Waits until a version is the one that calls get."""
    while True:
        if (await stub.GetModel(pb.GetModelRequest())).model.version == version:
            return
        await asyncio.sleep(0.005)


def publish(package: Path, folder: Path, version: int) -> Path:
    """Writes a package once more, as another version."""
    found = ModelPackage.open(package)
    files = {file.file: found.read(file) for file in found.manifest.files}
    manifest = found.manifest.model_copy(update={"version": version})
    return ModelPackage.write(folder / str(version), manifest, files).directory


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """Serves what lies below a directory on one core, and keeps this process to the other."""
    command = [sys.executable, "-c", VAE, "serve", str(folder), "--port", "0", "--log-level", "error"]
    with subprocess.Popen(["taskset", "-c", "0", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"on (\S+:\d+),", server.stdout.readline())
        assert found is not None, "the server did not start"
        os.sched_setaffinity(0, {1})
        try:
            yield found[1], server.pid
        finally:
            server.terminate()


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stolen_seconds() -> float:
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
