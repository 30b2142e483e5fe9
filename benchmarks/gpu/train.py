"""Whether training works on a GPU: in both precisions as on the CPU, bit for bit when resumed, and how fast.

See run.sh. The rows are scikit-learn's digits, of the size and the grey levels of MNIST's.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn.functional import pad

from training.data import Dataset, load_dataset
from training.run import checkpoint
from training.settings.config import Config
from training.settings.resolve import complete, parse_config
from training.settings.source import Source
from training.step.device import prepare_torch
from training.step.guard import Diverged
from training.step.loop import epochs
from training.step.state import start
from vaeserve.errors import TrainingError

EPOCHS = 3
LARGEST_DIFFERENCE = 0.02  # of losses; every device draws other noise
VAE = [sys.executable, "-c", "from vaeserve.command.cli import main; main()"]


class Trained(NamedTuple):
    """A few epochs of one kind."""

    loss: float
    """Nats, the mean of the last epoch."""
    rate: float
    """Rows a second, the first epoch left out."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu tries the script itself")
    parser.add_argument("--repeats", type=int, default=10, help="times that the 1,437 rows are trained on an epoch")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU that PyTorch can use here: nothing to prove")
        return 77
    data = dataset(options.repeats)
    sound = all([
        *(check_precisions(preset, data, options.device) for preset in ("mnist", "serve")),
        *(check_resuming(data, options.device, compiled=compiled) for compiled in (False, True)),
        check_run(options.device),
    ])  # fmt: skip
    print("all proved" if sound else "NOT PROVED")
    return 0 if sound else 1


def dataset(repeats: int) -> Dataset:
    """Returns the digits repeated, each value as 3 x 3 pixels in a frame, to be drawn black and white."""
    digits = load_dataset(Source(dataset="digits"))
    pixels = (digits.train * 15).repeat_interleave(3, 1).repeat_interleave(3, 2)
    rows = pad(pixels, (0, 0, 2, 2, 2, 2)).repeat(repeats, 1, 1, 1)
    spec = digits.spec.model_copy(update={"axes": tuple(rows.shape[1:]), "maximum": 255.0})
    return digits._replace(spec=spec, family="bernoulli", train=rows, binarised=True)


def settings(preset: str, **overrides: object) -> Config:
    """Returns a preset's settings for a few epochs on rows like its data."""
    return parse_config(complete({"dataset": "mnist", "epochs": EPOCHS, "validation_rows": 0, **overrides}, preset))


def check_precisions(preset: str, data: Dataset, device: str) -> bool:
    """Compares losses and rates of a preset with the CPU's in float32."""
    reference = train(settings(preset, device="cpu", precision="float32"), data)
    print(f"{preset}: cpu float32: loss {reference.loss:.2f} nats, {reference.rate:,.0f} rows/s")
    sound = True
    for precision, compiled in product(("float32", "bfloat16"), (False, True)):
        name = f"{preset}: {device} {precision}{' compiled' * compiled}"
        try:
            outcome = train(settings(preset, device=device, precision=precision, compile=compiled), data)
        except TrainingError as exc:
            print(f"{name}: {exc}")
            sound &= compiled and not isinstance(exc, Diverged)  # a compiled step may be refused
            continue
        difference = abs(outcome.loss / reference.loss - 1)
        passed = difference <= LARGEST_DIFFERENCE
        print(
            f"{name}: loss {outcome.loss:.2f} nats, "
            f"{difference:.2%} from the CPU's, {'within' if passed else 'OUTSIDE'} {LARGEST_DIFFERENCE:.0%}; "
            f"{outcome.rate:,.0f} rows/s, {outcome.rate / reference.rate:.1f} times the CPU's"
        )
        sound &= passed
    return sound


def train(config: Config, data: Dataset) -> Trained:
    """Trains from the beginning."""
    prepare_torch(config.threads)
    going = epochs(config, data, start(config, data))
    next(going)
    begun = time.perf_counter()
    *_, last = going
    return Trained(last.loss_nats, (EPOCHS - 1) * len(data.train) / (time.perf_counter() - begun))


def check_resuming(data: Dataset, device: str, *, compiled: bool) -> bool:
    """Compares a run with one that was resumed from a checkpoint."""
    config = settings("serve", device=device, compile=compiled)
    name = f"resumed after an epoch, on {device}{', compiled' * compiled}"
    prepare_torch(config.threads)
    state = start(config, data)
    whole = epochs(config, data, state)
    try:
        next(whole)
    except TrainingError as exc:
        print(f"{name}: {exc}")
        return compiled and not isinstance(exc, Diverged)  # a compiled step may be refused
    resumed = checkpoint.restore(checkpoint.take(config, data, state), data)
    list(whole)
    list(epochs(config, data, resumed))
    expected, actual = (checkpoint.take(config, data, each).tensors for each in (state, resumed))
    differing = [name for name, tensor in expected.items() if not torch.equal(actual[name], tensor)]
    print(f"{name}: {', '.join(differing) or 'no tensor'} differs from the uninterrupted run")
    return not differing


def check_run(device: str) -> bool:
    """Trains, exports and proves through the command line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*VAE, "train", "digits", "--epochs", "20", "--device", device, "--out", str(Path(folder) / "run")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"vae train digits --device {device}: exit code {done.returncode}")
    print(done.stdout if done.returncode == 0 else done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
