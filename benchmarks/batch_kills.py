"""Batch jobs under SIGKILL: of drivers, of workers, of the service that computes. Every row once, and the same bytes?

    python -m benchmarks.batch_kills [--kills 30] [--restarts 5] [--rows 100000]

A job scores images by a latent that is drawn, and is killed at random moments. A killed driver is started again by the
same command, as is a service; a killed worker is its driver's to replace. A job that ends meanwhile is compared, and
another begins.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet

from benchmarks.batch_sources import idx
from benchmarks.harness import ROOT
from benchmarks.packages import package
from benchmarks.printing import claim

BATCH_ROWS, PARTITIONS = 128, 50
LONGEST_SECONDS = 3.0  # from one kill to the next; a job takes about one to start
SERVING_SECONDS = (0.3, 1.5)  # how long a service lives once it answers
VAE = (sys.executable, "-m", "vaeserve")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="of drivers and workers")
    parser.add_argument("--restarts", type=int, default=5, help="of the service")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "train-images-idx3-ubyte"
        idx(source, options.rows)
        undisturbed = begin(source, folder / "undisturbed", options.rows, *here())
        assert undisturbed.wait() == 0
        kill_processes(folder, options.rows, options.kills, moments)
        kill_service(folder, options.rows, options.restarts, moments)


def here() -> tuple[str, ...]:
    """Returns the options of a job that computes by itself."""
    return "--package", str(package("mlp")), "--workers", "2"


def begin(source: Path, out: Path, rows: int, *options: str) -> "subprocess.Popen[bytes]":
    """Starts the job, or goes on with it."""
    size = ("--partition-rows", str(max(1, rows // PARTITIONS)), "--batch-rows", str(BATCH_ROWS))
    drawn = ("--latent", "sample", "--seed", "7")
    command = [*VAE, "job", "reconstruct", str(source), "--out", str(out), *size, *drawn, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_processes(folder: Path, rows: int, kills: int, moments: random.Random) -> None:
    """Kills drivers and workers, one at a time."""
    killed = {"driver": 0, "worker": 0}
    wrong, jobs, command = 0, 1, here()
    out = folder / "job-1"
    driver = begin(folder / "train-images-idx3-ubyte", out, rows, *command)
    while sum(killed.values()) < kills:
        with suppress(subprocess.TimeoutExpired):
            code = driver.wait(moments.uniform(0, LONGEST_SECONDS))
            assert code == 0, f"the job ended with {code}"
            wrong += compare(out, folder / "undisturbed", rows)
            jobs += 1
            out = folder / f"job-{jobs}"
            driver = begin(folder / "train-images-idx3-ubyte", out, rows, *command)
            continue
        workers = children(driver.pid)
        if workers and moments.random() < 0.5:
            kill(moments.choice(workers))
            killed["worker"] += 1
        else:
            driver.kill()
            driver.wait()
            killed["driver"] += 1
            driver = begin(folder / "train-images-idx3-ubyte", out, rows, *command)
    assert driver.wait() == 0
    wrong += compare(out, folder / "undisturbed", rows)
    print(
        f"SIGKILLs: {killed['driver']} of a driver, {killed['worker']} of a worker, over {jobs} jobs of {rows:,} rows"
    )
    claim("rows missing, twice there or with other bytes", wrong, 0, is_limit=True)


def kill_service(folder: Path, rows: int, restarts: int, moments: random.Random) -> None:
    """Kills the service of a job, which waits for the next one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service, out, killed = serve(port), folder / "through-a-service", 0
    driver = begin(folder / "train-images-idx3-ubyte", out, rows, "--target", f"127.0.0.1:{port}", "--workers", "1")
    until_done(out, 1, driver)
    while killed < restarts and driver.poll() is None:
        time.sleep(moments.uniform(*SERVING_SECONDS))
        service.kill()
        service.wait()
        killed += 1
        service = serve(port)
        until_done(out, len(markers(out)) + 1, driver)
    code = driver.wait()
    service.kill()
    service.wait()
    assert code == 0, f"the job ended with {code}"
    print(f"the service was killed and started again {killed} times under one job of {rows:,} rows")
    wrong = compare(out, folder / "undisturbed", rows)
    claim("rows missing, twice there or with other bytes than without a service", wrong, 0, is_limit=True)


def serve(port: int) -> "subprocess.Popen[bytes]":
    """Starts the service, and waits until it answers."""
    quiet = ("--log-level", "error", "--threads", "1")
    command = [*VAE, "serve", str(package("mlp")), "--host", "127.0.0.1", "--port", str(port), *quiet]
    service = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert service.stdout is not None
    service.stdout.readline()
    return service


def compare(out: Path, undisturbed: Path, rows: int) -> int:
    """Returns how many rows of a job are not there once, or lie in files with other bytes."""
    files = sorted(undisturbed.glob("part-*"))
    assert [file.name for file in sorted(out.glob("part-*"))] == [file.name for file in files]
    subprocess.run([*VAE, "job", "verify", str(out)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wrong, seen = 0, np.zeros(rows, np.int64)
    for file in files:
        table = pyarrow.parquet.read_table(out / file.name, columns=["row"])
        seen[table.column("row").to_numpy()] += 1
        if (out / file.name).read_bytes() != file.read_bytes():
            wrong += table.num_rows
    return wrong + int((seen != 1).sum())


def markers(out: Path) -> list[Path]:
    """Returns the markers that there are."""
    return [*(out / "_job" / "done").glob("*.json")]


def until_done(out: Path, count: int, driver: "subprocess.Popen[bytes]") -> None:
    """Waits until so many partitions are done, or all are, or the job has ended."""
    while len(markers(out)) < min(count, PARTITIONS) and driver.poll() is None:
        time.sleep(0.02)


def children(parent: int) -> list[int]:
    """Returns the processes that a process has started."""
    processes = list[int]()
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            processes += map(int, listed.read_text().split())
    return processes


def kill(process: int) -> None:
    """Kills a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
