"""Memory of training on data that is larger than it, and an epoch's time on rows on disk over that on rows in memory.

    python -m benchmarks.training_memory [--gigabytes 2] [--directory DIR]

The first figure is the peak of anonymous memory (RssAnon) of `vae train FILE.npy`, from its start to its package; the
page cache does not count, because the system takes it back. The second is of one set of 200 MB, which fits in memory:
the sides alternate, each in a new process, and must end with the same bits. Figures are medians of processor time.
DIR holds the file of rows, and needs twice its size: the rows are written again in the order of the split.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from training.data import load_dataset
from training.settings.resolve import complete, parse_config
from training.settings.source import Source
from training.step.device import prepare_torch
from training.step.loop import epochs
from training.step.state import start
from vaeserve.sources import room

SHAPE = (32, 32, 3)
FITTING_BYTES = 200_000_000
EPOCHS, REPEATS = 3, 3
MAXIMUM_BYTES, MAXIMUM_RATIO = 10**9, 1.1
_NETWORK = ("--network", "mlp", "--hidden-sizes", "256,128", "--latent-size", "16", "--batch-size", "128")
_EVERY_SECONDS = 0.02


def write_rows(path: Path, size: int) -> None:
    """Writes smooth pictures with noise, some at a time."""
    rows = size // int(np.prod(SHAPE))
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (rows, *SHAPE))
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 1, SHAPE[0])
    for first in range(0, rows, 10_000):
        part = array[first : first + 10_000]
        slopes = random.random((len(part), 1, 1, 3)) * ramp[:, None, None] + random.random((len(part), 1, 1, 3))
        part[:] = 110 * slopes * ramp[None, :, None] + random.integers(0, 30, part.shape)
    array.flush()


def peak_of_training(path: Path, directory: Path) -> int:
    """Returns the most anonymous memory, in bytes, that `vae train` had."""
    command = [sys.executable, "-m", "vaeserve", "train", str(path), "--out", str(directory / "run"), "--device", "cpu"]
    extra = ["--epochs", "1", "--evaluation-samples", "10", *_NETWORK]
    peak = 0
    with subprocess.Popen(command + extra, env={**os.environ, "TMPDIR": str(directory)}) as process:
        while process.poll() is None:
            peak = max(peak, _anonymous_bytes(process.pid))
            time.sleep(_EVERY_SECONDS)
    if process.returncode:
        raise SystemExit(f"vae train ended with {process.returncode}")
    return peak


def _anonymous_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def side(path: Path, *, on_disk: bool) -> None:
    """Prints the processor time of an epoch after the first, and what the weights came to."""
    room.IN_MEMORY_BYTES = 0 if on_disk else 2**40
    chosen = {"dataset": str(path), "network": "mlp", "hidden_sizes": (256, 128), "latent_size": 16, "batch_size": 128}
    config = parse_config(complete({**chosen, "epochs": EPOCHS, "device": "cpu"}, None))
    prepare_torch(1)
    dataset = load_dataset(Source(dataset=str(path)))
    state = start(config, dataset)
    going, seconds = epochs(config, dataset, state), []
    for _ in range(EPOCHS):
        begun = time.process_time()
        next(going)
        seconds.append(time.process_time() - begun)
    weights = sha256(b"".join(weight.detach().numpy().tobytes() for weight in state.weights)).hexdigest()
    print(statistics.median(seconds[1:]), dataset.sha256, weights)


def ratio_of_epochs(path: Path, directory: Path) -> float:
    """Returns an epoch's time on rows on disk over that on rows in memory."""
    seconds: dict[str, list[float]] = {"disk": [], "memory": []}
    ends = set()
    for _ in range(REPEATS):
        for name, times in seconds.items():
            command = [sys.executable, "-m", "benchmarks.training_memory", "--side", name, "--file", str(path)]
            env = {**os.environ, "TMPDIR": str(directory), "OMP_NUM_THREADS": "1"}
            time_text, *end = subprocess.check_output(command, env=env, text=True).split()
            times.append(float(time_text))
            ends.add(tuple(end))
    if len(ends) > 1:
        raise SystemExit("rows on disk and in memory did not lead to the same bits")
    disk, memory = (statistics.median(seconds[name]) for name in ("disk", "memory"))
    print(f"an epoch of {FITTING_BYTES / 1e6:.0f} MB: {disk:.2f} s on disk, {memory:.2f} s in memory")
    return disk / memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--side", choices=("disk", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side(options.file, on_disk=options.side == "disk")
        return
    with tempfile.TemporaryDirectory(prefix="training-memory-", dir=options.directory) as name:
        directory = Path(name)
        fitting, large = directory / "fitting.npy", directory / "large.npy"
        write_rows(fitting, FITTING_BYTES)
        ratio = ratio_of_epochs(fitting, directory)
        print(f"an epoch on disk over one in memory: {ratio:.3f}{' !!' if ratio > MAXIMUM_RATIO else ''}", flush=True)
        fitting.unlink()
        write_rows(large, int(options.gigabytes * 1e9))
        peak = peak_of_training(large, directory)
        mark = " !!" if peak > MAXIMUM_BYTES else ""
        print(f"peak of anonymous memory, {options.gigabytes:g} GB of rows: {peak / 1e6:.0f} MB{mark}")


if __name__ == "__main__":
    main()
