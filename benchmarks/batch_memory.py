"""The memory of a job's driver, over ten times the rows: arrays, tables, and pictures in folders of a thousand.

    python -m benchmarks.batch_memory [--rows 100000] [--kinds npy,parquet,pictures]

The driver plans the job (it lists and hashes the source), hands out partitions and sums up. Its peak is read while it
runs; its workers have memory of their own. Most pictures are hard links to a few hundred.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.batch_sources import array, pictures, table
from benchmarks.harness import ROOT
from benchmarks.packages import package
from benchmarks.printing import claim

MANY = 10  # times the rows
PAUSE_SECONDS = 0.05
TINY = ROOT / "tests" / "data" / "tiny"
TINY_SHAPE = (4, 4, 1)
PEAK = "VmHWM:"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help=f"of the small job; the large one has {MANY} times")
    parser.add_argument("--kinds", default="npy,parquet,pictures", help="of sources, separated by commas")
    options = parser.parse_args()
    makers: dict[str, tuple[Callable[[Path, int], None], Path]] = {
        "npy": (lambda path, rows: array(path.with_suffix(".npy"), rows, TINY_SHAPE), TINY),
        "parquet": (lambda path, rows: table(path.with_suffix(".parquet"), rows), package("mlp")),
        "pictures": (lambda path, rows: pictures(path, rows, distinct=500), package("conv")),
    }
    for kind in options.kinds.split(","):
        make, model = makers[kind]
        few, many = (peak(make, model, rows) for rows in (options.rows, MANY * options.rows))
        print(f"{kind}: driver's peak {few / 2**20:.1f} MiB, of {MANY} times the rows {many / 2**20:.1f} MiB")
        claim(f"driver's peak memory, {MANY} times the rows, {kind}", many / few, 1.1, is_limit=True)


def peak(make: Callable[[Path, int], None], model: Path, rows: int) -> float:
    """Runs a job to its end, and returns its driver's peak of resident memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "rows", rows)
        (source,) = Path(folder).iterdir()
        command = [sys.executable, "-m", "vaeserve", "job", "encode", str(source), "--package", str(model)]
        out = Path(folder) / "out"
        job = subprocess.Popen(
            [*command, "--out", str(out), "--batch-rows", "64"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        most = 0
        while job.poll() is None:
            most = max(most, peak_bytes(job.pid))
            time.sleep(PAUSE_SECONDS)
        assert job.returncode == 0, f"the job ended with {job.returncode}"
    return most


def peak_bytes(process: int) -> int:
    """Returns the peak of a process so far; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(PEAK)), 0)


if __name__ == "__main__":
    main()
