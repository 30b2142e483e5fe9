"""Training's own loop against a bare PyTorch loop of the same mathematics, and against pythae's trainer.

    python -m benchmarks.training_speed [--pythae-python PYTHON]

The network of the preset `mnist` (gated perceptrons 300-300, 40 latents, batches of 100), 10,000 rows that look like
MNIST, one thread, one core. The sides alternate, each time in a new process, because the layout of memory alone
changes a side's time by 5 %. Figures are medians of processor time, which other load affects less than elapsed time.
PYTHON is an interpreter that has pythae (tried with 0.1.2), in an environment of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from training.data import Dataset, draw_binary
from training.objective import TermWeights, negative_elbo
from training.settings.config import Config
from training.settings.resolve import complete, parse_config
from training.step.device import prepare_torch
from training.step.loop import epochs
from training.step.schedule import schedule_at
from training.step.state import State, start
from vaeserve.package.data_spec import DataSpec

ROWS, EPOCHS = 10_000, 3
MINIMUM_OVER_BARE, MINIMUM_OVER_PYTHAE = 0.95, 1.0


def dataset() -> Dataset:
    spec = DataSpec(kind="image", shape=(28, 28, 1), dtype="uint8", minimum=0, maximum=255)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 256, (ROWS, *spec.shape), generator=generator, dtype=torch.uint8)
    rows[torch.rand(rows.shape, generator=generator) < 0.8] = 0
    return Dataset("mnist", "rows like MNIST", spec, "bernoulli", rows, rows[:0], rows[:64], None, "0" * 64, (), True)


def ours(config: Config, data: Dataset, state: State) -> Callable[[], None]:
    going = epochs(config, data, state)

    def epoch() -> None:
        prepare_torch(config.threads)
        next(going)

    return epoch


def bare(config: Config, data: Dataset, state: State) -> Callable[[], None]:
    """Returns an epoch written by hand: without a guard, figures or progress, and with bits that may change."""
    networks, average, generator = state.networks, state.average, state.generator
    (optimizer,) = state.optimizers.values()
    steps = ROWS // config.batch_size * config.epochs
    done = 0

    def epoch() -> None:
        nonlocal done
        torch.use_deterministic_algorithms(False)
        for batch in torch.split(torch.randperm(ROWS, generator=generator), config.batch_size):
            schedule = schedule_at(config, state, done, steps)
            rows = draw_binary(data.train[batch], 255, generator)
            noise = torch.randn(1, len(batch), config.latent_size, generator=generator)
            loss = negative_elbo(networks, rows, rows, noise, TermWeights(schedule.kl_weight)).loss.mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(average.parameters()), list(networks.parameters()), 1 - schedule.average_decay
                )
            done += 1

    return epoch


SIDES = {"training.step.loop": ours, "bare loop": bare}


def measure(side: str) -> float:
    """Returns the processor time of one epoch, in seconds: the median of EPOCHS epochs after one to warm up."""
    torch.set_num_threads(1)
    settings = {"dataset": "mnist", "epochs": EPOCHS + 1, "validation_rows": 0}
    config, data = parse_config(complete(settings, "mnist")), dataset()
    epoch = SIDES[side](config, data, start(config, data))
    seconds = []
    for _ in range(EPOCHS + 1):
        begun = time.process_time()
        epoch()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds[1:])


def in_a_process(*command: str) -> float:
    """Returns the seconds that a command prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pythae-python", metavar="PYTHON", help="an interpreter that has pythae; default: pythae is not measured"
    )
    parser.add_argument("--repeats", type=int, default=7, help="processes of each side")
    parser.add_argument("--side", choices=SIDES, help="only print the processor time of one epoch of this side")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if options.side:
        print(measure(options.side))
        return 0
    commands = {side: [sys.executable, "-m", "benchmarks.training_speed", "--side", side] for side in SIDES}
    if options.pythae_python:
        commands["pythae"] = [options.pythae_python, "benchmarks/pythae_epoch.py", str(ROWS)]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.repeats):
        for name, command in commands.items():
            seconds[name].append(in_a_process(*command))
    rates = {name: ROWS / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        slowest, fastest = ROWS / max(seconds[name]), ROWS / min(seconds[name])
        print(f"{name:<14} {rate:>8,.0f} images a second of processor time ({slowest:,.0f} to {fastest:,.0f})")
    sound = report(
        "training.step.loop over the bare loop", rates["training.step.loop"] / rates["bare loop"], MINIMUM_OVER_BARE
    )
    if "pythae" in rates:
        sound &= report(
            "training.step.loop over pythae", rates["training.step.loop"] / rates["pythae"], MINIMUM_OVER_PYTHAE
        )
    return 0 if sound else 1


def report(claim: str, ratio: float, minimum: float) -> bool:
    print(f"{'  ' if ratio >= minimum else '!!'} {claim}: {ratio:.3f} (minimum {minimum})")
    return ratio >= minimum


if __name__ == "__main__":
    sys.exit(main())
