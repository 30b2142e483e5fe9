"""Whether a reload delays or fails calls: new versions are moved into a served directory while calls run.

    python -m benchmarks.reload [--package digits] [--reloads 20] [--callers 16]

Clients send one row each and wait for its answer. Quiet seconds and reloads alternate, so a slow minute affects both.
A reload ends when the new version answers.
"""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import grpc
import numpy as np

from benchmarks.clocks import clock, resident_bytes, since, steal_of
from benchmarks.harness import Server, arguments, medians, percentile, serve
from benchmarks.packages import NAMES, package
from benchmarks.printing import claim, table
from vaeserve.package.directory import ModelPackage
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub

WARM_UP_SECONDS = 1.0
LOOK_SECONDS = 0.005


class Round(NamedTuple):
    """Figures of one server and its reloads: milliseconds, seconds, bytes."""

    calls: float
    failed: float
    quiet_p50: float
    quiet_p99: float
    reloading_p50: float
    reloading_p99: float
    longest: float
    reload_seconds: float
    """From the rename to the new version's first answer, median."""
    half_way_bytes: float
    """Resident, after half of the reloads."""
    last_bytes: float
    steal: float


class Call(NamedTuple):
    """Outcome of a call."""

    milliseconds: float
    was_reloading: bool
    """Whether a reload was running when it was sent or answered."""
    failed: bool


class Traffic:
    """Calls that run until `is_over` is set."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.is_reloading = False
        self.is_over = False

    async def send(self, stub: "VaeServiceAsyncStub", request: pb.DecodeRequest) -> None:
        """Makes one call after another."""
        while not self.is_over:
            sent, was_reloading, failed = time.perf_counter(), self.is_reloading, False
            try:
                await stub.Decode(request)
            except grpc.aio.AioRpcError as error:
                print(error.code(), error.details())
                failed = True
            took = (time.perf_counter() - sent) * 1e3
            self.calls.append(Call(took, was_reloading or self.is_reloading, failed))


def main() -> None:
    parser = arguments(__doc__, seconds=0.5, repeats=2)
    parser.add_argument("--package", choices=NAMES, default="digits")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--callers", type=int, default=16)
    options = parser.parse_args()
    directory = package(options.package)
    rounds = [measure(directory, options.reloads, options.callers, options.seconds) for _ in range(options.repeats)]
    median = medians(rounds)
    print(f"{options.package}, {options.reloads} reloads, {options.callers} in flight")
    table("", "value", rows=list(median._asdict().items()))
    claim("failed calls", sum(one.failed for one in rounds), 0, is_limit=True)
    claim("p99 during reloads over p99 without", median.reloading_p99 / median.quiet_p99, 2, is_limit=True)
    growth = median.last_bytes / median.half_way_bytes
    claim("resident memory after the last reload over that half-way", growth, 1.02, is_limit=True)


def measure(directory: Path, reloads: int, callers: int, seconds: float) -> Round:
    """Serves a directory, and reloads it while calls run."""
    with tempfile.TemporaryDirectory() as folder:
        publish(directory, Path(folder), 1)
        with serve(Path(folder), "--threads", "1") as server:
            return asyncio.run(
                reload(server, directory, Path(folder), reloads=reloads, callers=callers, seconds=seconds)
            )


async def reload(server: Server, directory: Path, folder: Path, *, reloads: int, callers: int, seconds: float) -> Round:
    """Drops one version after the other while calls run."""
    traffic, took, resident = Traffic(), [], []
    async with grpc.aio.insecure_channel(server.target) as channel, asyncio.TaskGroup() as group:
        stub = VaeServiceStub(channel)
        shape = (await stub.GetModel(pb.GetModelRequest())).model.latent_shape
        request = pb.DecodeRequest(latent=to_message(np.zeros((1, *shape), np.float32)))
        for _ in range(callers):
            group.create_task(traffic.send(stub, request))
        await asyncio.sleep(WARM_UP_SECONDS)
        traffic.calls.clear()
        before = clock(server.pid)
        for version in range(2, reloads + 2):
            await asyncio.sleep(seconds)
            staged = await asyncio.to_thread(publish, directory, folder / ".staged", version)
            traffic.is_reloading, began = True, time.perf_counter()
            staged.rename(folder / staged.name)
            await answers(stub, version)
            took.append(time.perf_counter() - began)
            traffic.is_reloading = False
            resident.append(resident_bytes(server.pid))
            if version > 2:
                await asyncio.to_thread(shutil.rmtree, folder / str(version - 2))
        traffic.is_over = True
    return summary(traffic.calls, took, resident, steal_of(since(server.pid, before)))


def summary(calls: list[Call], took: list[float], resident: list[int], steal: float) -> Round:
    """Returns the figures of a round."""
    quiet, reloading = ([one.milliseconds for one in calls if one.was_reloading == when] for when in (False, True))
    return Round(
        len(calls),
        sum(one.failed for one in calls),
        percentile(quiet, 50),
        percentile(quiet, 99),
        percentile(reloading, 50),
        percentile(reloading, 99),
        max(quiet + reloading),
        percentile(took, 50),
        resident[len(resident) // 2 - 1],
        resident[-1],
        steal,
    )


async def answers(stub: "VaeServiceAsyncStub", version: int) -> None:
    """Waits until a version is the one that calls get."""
    while True:
        if (await stub.GetModel(pb.GetModelRequest())).model.version == version:
            return
        await asyncio.sleep(LOOK_SECONDS)


def publish(directory: Path, folder: Path, version: int) -> Path:
    """Writes a package once more, as another version."""
    original = ModelPackage.open(directory)
    files = {file.file: original.read(file) for file in original.manifest.files}
    manifest = original.manifest.model_copy(update={"version": version})
    return ModelPackage.write(folder / str(version), manifest, files).directory


if __name__ == "__main__":
    main()
