"""The verbs `vae train` and `vae export`: arguments -> configuration -> `training.run`.

Standard library and configuration only at its top, so that `vae train --help` does not wait for PyTorch.
"""

import argparse
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from training.config import Config, DatasetName, parse_config, read_settings
from vae.errors import TrainingError
from vae.package import check_place
from vae.parser import verb_parser
from vae.runtime import prepare_onnxruntime

if TYPE_CHECKING:
    from training.run import Outcome


def train(arguments: list[str]) -> int:
    """Runs `vae train`.

    Returns:
        0 when the package was written, 130 when interrupted; exits with 2 when called wrongly, also by a file.

    Raises:
        TrainingError: the directory or a checkpoint forbids it, or the export proved wrong.
        StartupError: there is not exactly one ONNX Runtime, on which the export is to be proved.
    """
    parser = _train_parser()
    asked = parser.parse_args(arguments)
    try:
        given = _given(asked)
        config = parse_config(given)
    except TrainingError as exc:
        parser.exit(2, f"vae: {exc}\n")
    prepare_onnxruntime("training,serving")  # before training: its lack would otherwise show only at the end
    from training import run

    with _sigterm_interrupts():
        try:
            last = run.resume(config, asked.out, given) if asked.resume else run.begin(config, asked.out)
            outcome = run.train(asked.out, last)
        except KeyboardInterrupt:
            return _interrupted(asked)
    print(_closing(outcome))
    return 0


def export(arguments: list[str]) -> int:
    """Runs `vae export`.

    Returns:
        0 when the package was written; exits with 2 when called wrongly.

    Raises:
        TrainingError: there is no whole checkpoint, or the export proved wrong.
        PackageError: the package's directory exists, or cannot be written.
        StartupError: there is not exactly one ONNX Runtime, on which the export is to be proved.
    """
    asked = _export_parser().parse_args(arguments)
    check_place(asked.out)
    prepare_onnxruntime("training,serving")
    from training import run

    print(_closing(run.export(asked.checkpoint, asked.out)))
    return 0


def _train_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "train",
        "Trains a VAE, exports it and proves the export. DIR then holds checkpoint.safetensors, "
        "metrics.jsonl (one line an epoch, the last one held out) and model, the package that `vae serve` takes.",
        "The same settings give the same bits, on the same kind of machine with the same library versions; "
        f"so does a run that was interrupted and resumed. Keys of FILE.toml: {', '.join(Config.model_fields)}.",
    )
    parser.add_argument("dataset", choices=get_args(DatasetName), help="what to train on; it comes with scikit-learn")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's directory")
    parser.add_argument("--seed", type=int, metavar="N", help=_with_default("seed", "where the random numbers start"))
    parser.add_argument(
        "--epochs", type=int, metavar="N", help=_with_default("epochs", "passes over the training rows")
    )
    parser.add_argument("--latent-size", type=int, metavar="N", help=_with_default("latent_size", "values in a latent"))
    parser.add_argument(
        "--threads", type=int, metavar="N", help=_with_default("threads", "CPU threads of one operation")
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="settings by name (latent_size = 16); flags override it",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in DIR; start a new run if DIR is missing or empty, so a job can always say it",
    )
    return parser


def _given(asked: argparse.Namespace) -> dict[str, object]:
    """Returns the settings that the file and the flags name; flags override it."""
    settings: dict[str, object] = {}
    if asked.config:
        settings = read_settings(asked.config)
        parse_config(settings, str(asked.config))
    flags = ("dataset", "seed", "epochs", "latent_size", "threads")
    return settings | {flag: value for flag in flags if (value := getattr(asked, flag)) is not None}


def _with_default(key: str, text: str) -> str:
    return f"{text} (default {Config.model_fields[key].default})"


def _export_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "export",
        "Exports a checkpoint as a model package and proves it. The graphs are those that `vae train` "
        "wrote at that checkpoint, bit for bit.",
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="directory of a run, or the checkpoint.safetensors in it",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the package's directory, a new one")
    return parser


def _closing(outcome: "Outcome") -> str:
    """Returns what a verb prints at its end: the figures, where they lie, and what comes next."""
    from training.report import proof, table

    directory = outcome.package.directory
    return (
        f"{table(outcome.metrics, outcome.dataset, outcome.config)}\n\n"
        f"proved   {proof(outcome.parity)}\n"
        f"package  {directory}\n"
        f"next     vae serve {shlex.quote(str(directory))}"
    )


def _interrupted(asked: argparse.Namespace) -> int:
    """Says on one line how to go on, and returns the exit code of an interrupted process."""
    from training.checkpoint import CHECKPOINT_FILE, read
    from training.progress import say

    path = asked.out / CHECKPOINT_FILE
    if not path.exists():
        raise KeyboardInterrupt
    last = read(path)
    command = shlex.join(["vae", "train", asked.dataset, "--out", str(asked.out), "--resume"])
    say(f"vae: interrupted after epoch {last.epoch} of {last.config.epochs}; go on with: {command}")
    return 130


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Makes SIGTERM, by which containers are stopped, end a run as Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
