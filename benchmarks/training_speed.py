"""Training's own loop against a bare PyTorch loop of the same mathematics, and against pythae's trainer.

    python -m benchmarks.training_speed [--pythae-python PYTHON]

The network of the preset `mnist` (gated perceptrons 300-300, 40 latents, batches of 100), 10,000 rows that look like
MNIST, one thread, one core. The sides take turns; figures are processor time, which what else the machine does changes
least, and medians. PYTHON is one that has pythae (tried with 0.1.2), in an environment of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from training.config import Config
from training.data import Dataset, draw_binary
from training.device import prepare_torch
from training.loop import epochs
from training.objective import TermWeights, negative_elbo
from training.schedule import pace_at
from training.settings import complete, parse_config
from training.state import State, start
from vae.manifest import DataSpec

ROWS = 10_000
LEAST_OF_BARE, LEAST_OF_PYTHAE = 0.95, 1.0


def dataset() -> Dataset:
    spec = DataSpec(kind="image", shape=(28, 28, 1), dtype="uint8", minimum=0, maximum=255)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 256, (ROWS, *spec.shape), generator=generator, dtype=torch.uint8)
    rows[torch.rand(rows.shape, generator=generator) < 0.8] = 0
    return Dataset("mnist", "rows like MNIST", spec, "bernoulli", rows, rows[:0], rows[:64], None, "0" * 64, (), True)


def ours(config: Config, data: Dataset, state: State) -> Callable[[], None]:
    going = epochs(config, data, state)

    def epoch() -> None:
        prepare_torch(config)
        next(going)

    return epoch


def bare(config: Config, data: Dataset, state: State) -> Callable[[], None]:
    """Returns an epoch as one writes it by hand: no guard, no figures, no progress, bits that may change."""
    networks, average, optimizer, generator = state.networks, state.average, state.optimizer, state.generator
    steps = ROWS // config.batch_size * config.epochs
    done = 0

    def epoch() -> None:
        nonlocal done
        torch.use_deterministic_algorithms(False)
        for batch in torch.split(torch.randperm(ROWS, generator=generator), config.batch_size):
            pace = pace_at(config, state, done, steps)
            rows = draw_binary(data.train[batch], 255, generator)
            noise = torch.randn(1, len(batch), config.latent_size, generator=generator)
            loss = negative_elbo(networks, rows, rows, noise, TermWeights(pace.kl_weight)).loss.mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for group in optimizer.param_groups:
                group["lr"] = pace.learning_rate
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(networks.parameters()), 1 - pace.average_decay)
            done += 1

    return epoch


def pythae(python: str) -> float:
    """Returns the seconds of one epoch by pythae's trainer."""
    script = [python, "benchmarks/pythae_epoch.py", str(ROWS)]
    done = subprocess.run(
        script, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return float(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythae-python", metavar="PYTHON", help="a Python that has pythae; without it, no such side")
    parser.add_argument("--repeats", type=int, default=7, help="epochs of each side")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    settings = {"dataset": "mnist", "epochs": asked.repeats + 1, "validation_rows": 0}
    config, data = parse_config(complete(settings, "mnist")), dataset()
    sides = {
        "training.loop": ours(config, data, start(config, data)),
        "bare loop": bare(config, data, start(config, data)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*sides, "pythae")}
    for repeat in range(asked.repeats + 1):
        for name, epoch in sides.items():
            begun = time.process_time()
            epoch()
            if repeat:  # the first of each warms up
                seconds[name].append(time.process_time() - begun)
        if asked.pythae_python and repeat:
            seconds["pythae"].append(pythae(asked.pythae_python))
    rates = {name: ROWS / statistics.median(found) for name, found in seconds.items() if found}
    for name, rate in rates.items():
        print(f"{name:<14} {rate:>8,.0f} images a second of processor time")
    sound = report("training.loop over the bare loop", rates["training.loop"] / rates["bare loop"], LEAST_OF_BARE)
    if "pythae" in rates:
        sound &= report("training.loop over pythae", rates["training.loop"] / rates["pythae"], LEAST_OF_PYTHAE)
    return 0 if sound else 1


def report(claim: str, ratio: float, least: float) -> bool:
    print(f"{'  ' if ratio >= least else '!!'} {claim}: {ratio:.3f} (must reach {least})")
    return ratio >= least


if __name__ == "__main__":
    sys.exit(main())
