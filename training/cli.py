"""The verbs `vae train` and `vae export`: arguments -> configuration -> `training.run.run`.

Its top imports only the standard library and the configuration, so that `vae train --help` does not wait for PyTorch.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from training.run.interrupts import sigterm_interrupts
from training.settings.creation import creation_time
from training.settings.flags import add_settings, settings_of
from training.settings.precisions import add_precision, precision_of
from training.settings.versions import VERSION_HELP, read_version
from vaeserve.command.parser import verb_parser
from vaeserve.machine.collector import collector_paused
from vaeserve.package.directory import check_place
from vaeserve.runtime import prepare_onnxruntime

if TYPE_CHECKING:
    from training.run.publish import RunResult


def train(arguments: list[str]) -> int:
    """Runs `vae train`.

    Returns:
        0 when the package was written, 130 when interrupted; exits with 2 on a usage error, also one in a file.

    Raises:
        TrainingError: the directory or its checkpoint does not allow it, or the exported graphs do not answer as the
            networks do.
        StartupError: there is not exactly one ONNX Runtime, which proves the export.
    """
    parser = _train_parser()
    options = parser.parse_args(arguments)
    settings = settings_of(parser, options)
    creation_time()  # a wrong one is refused before any work
    prepare_onnxruntime("training,serving")  # before training, because the export at its end needs it
    with collector_paused():
        from training.run import run

    with sigterm_interrupts():
        try:
            if options.resume:
                begun = run.resume(settings.config, options.out, settings.required, settings.given)
            else:
                begun = run.begin(settings.config, options.out, settings.given)
            outcome = run.train_to_package(options.out, *begun)
        except KeyboardInterrupt:
            return _interrupted(options)
    print(_closing(outcome))
    return 0


def export(arguments: list[str]) -> int:
    """Runs `vae export`.

    Returns:
        0 when the package was written; exits with 2 on a usage error.

    Raises:
        TrainingError: there is no whole checkpoint, or the exported graphs do not answer as the networks do.
        PackageError: the package's directory exists, or cannot be written.
        StartupError: there is not exactly one ONNX Runtime, which proves the export.
    """
    options = _export_parser().parse_args(arguments)
    precision = precision_of(options.precision)
    check_place(options.out)
    creation_time()  # a wrong one is refused before any work
    prepare_onnxruntime("training,serving")
    with collector_paused():
        from training.run import run

    print(_closing(run.export_checkpoint(options.checkpoint, options.out, options.version, precision)))
    return 0


def _train_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "train",
        "Trains a VAE, exports it and proves the export. DIR then holds checkpoint.safetensors, "
        "metrics.jsonl (one line an epoch, the last one held out) and model, the package that `vae serve` takes.",
        "The same settings give the same bits, on the same kind of machine with the same library versions; "
        "a run that was interrupted and resumed gives them too. A key of FILE.toml is its flag's name, with _ for -.",
    )
    parser.usage = "vae train DATA --out DIR [--resume] [--preset P] [--config FILE.toml] [setting ...]"
    add_settings(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's directory")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue from the checkpoint in DIR; starts a new run if DIR is missing or empty",
    )
    return parser


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
    parser.add_argument("--version", type=read_version, metavar="N", help=f"{VERSION_HELP} (default: the run's)")
    add_precision(parser)
    return parser


def _closing(outcome: "RunResult") -> str:
    """Returns the text that a verb prints at its end: the figures, the package, the next command."""
    from training.evaluate.report import evaluation_table
    from training.run.report import closing

    return (
        f"{evaluation_table(outcome.evaluation)}\n\n{closing(outcome.package, outcome.parity, epochs=outcome.epochs)}"
    )


def _interrupted(options: argparse.Namespace) -> int:
    """Prints the command that continues the run, and returns the exit code of an interrupted process."""
    from training.run.checkpoint import CHECKPOINT_FILE, read
    from training.run.progress import say

    path = options.out / CHECKPOINT_FILE
    if not path.exists():
        raise KeyboardInterrupt
    last = read(path)
    command = shlex.join(["vae", "train", options.dataset, "--out", str(options.out), "--resume"])
    say(f"vae: interrupted after epoch {last.epoch} of {last.config.epochs}; go on with: {command}")
    return 130
