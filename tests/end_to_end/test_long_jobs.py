"""Jobs of many rows through a real server: what the client holds does not grow with the job."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.make_float_package import make
from tests.support.servers import ROOT, RunningServer, start
from vaeserve import Client, Local

SHAPE = (64, 64, 1)
BATCH = np.linspace(-1, 1, 64 * 4096, dtype=np.float32).reshape(64, *SHAPE)  # 1 MiB
SHORT, LONG = 32, 320  # batches; the short job, too, fills all that a client reads ahead


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wide") / "package"
    make(directory, SHAPE)
    return directory


@pytest.fixture(scope="module")
def server(package: Path) -> Iterator[RunningServer]:
    running = start(package)
    yield running
    running.stop()


COMMON = f"""
import asyncio, resource, sys
import numpy as np
import vaeserve

def batches(count):
    for number in range(count):
        yield np.full((64, *{SHAPE}), number % 2, np.float32)

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

peaks = []
"""
BLOCKING = """
with getattr(vaeserve, sys.argv[1])(sys.argv[2]) as client:
    for count in map(int, sys.argv[3:]):
        assert sum(len(one.output) for one in client.reconstruct_stream(batches(count))) == 64 * count
        peaks.append(peak_mib())
print(*peaks)
"""
AWAITED = """
async def main():
    async with vaeserve.AsyncClient(sys.argv[2]) as client:
        for count in map(int, sys.argv[3:]):
            assert sum([len(one.output) async for one in client.reconstruct_stream(batches(count))]) == 64 * count
            peaks.append(peak_mib())
asyncio.run(main())
print(*peaks)
"""


@pytest.mark.parametrize("name", ["Client", "AsyncClient", "Local"])
def test_a_job_ten_times_as_long_takes_no_more_memory(server: RunningServer, package: Path, name: str) -> None:
    code = COMMON + (AWAITED if name == "AsyncClient" else BLOCKING)
    where = str(package) if name == "Local" else server.target
    command = [sys.executable, "-c", code, name, where, str(SHORT), str(LONG)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    short, long = map(int, done.stdout.split())
    assert long - short < 64  # MiB; the rows alone are 288 more, and come back


@pytest.mark.parametrize("name", ["Client", "Local"])
def test_who_fetches_slowly_is_not_read_far_ahead_of(server: RunningServer, package: Path, name: str) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield BATCH

    with Client(server.target) if name == "Client" else Local(package, threads=1, batch_rows=64) as client:
        results = client.encode_stream(endless())
        for _ in range(3):
            next(results)
        assert taken <= 3 + 8
        results.close()  # type: ignore[attr-defined]  # it is a generator
