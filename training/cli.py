"""The verbs `vae train` and `vae export`: arguments -> configuration -> `training.run`.

Standard library and configuration only at its top, so that `vae train --help` does not wait for PyTorch.
"""

import argparse
import shlex
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from training.config import Config, complete, parse_config, preset_names, read_settings, refuse_unused
from training.likelihoods import FAMILIES
from training.lock import holds_nothing
from training.models import MODELS
from training.names import flag_of
from training.networks import NETWORKS
from vae.errors import TrainingError
from vae.package import check_place
from vae.parser import path_text, verb_parser
from vae.runtime import prepare_onnxruntime

if TYPE_CHECKING:
    from training.publish import Outcome


def _sizes(text: str) -> list[int]:
    """Returns the whole numbers of "300,300", or of "64x64"."""
    try:
        return [int(size) for size in text.replace("x", ",").split(",")]
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"must be whole numbers with commas between them, not {text!r}") from exc


FLAGS: dict[str, tuple[Callable[[str], object], str, str]] = {  # setting: how it is read, its metavar, its help
    "data_dir": (path_text, "DIR", "folder of the original files of mnist or fashion-mnist; else they are downloaded"),
    "name": (str, "NAME", "of the package, by which a server tells it from others; default: the data's"),
    "model": (str, "MODEL", f"one of {', '.join(MODELS)}"),
    "network": (str, "NETWORK", f"one of {', '.join(NETWORKS)}"),
    "likelihood": (str, "FAMILY", f"one of {', '.join(FAMILIES)}; default: what fits the data"),
    "latent_size": (int, "N", "values in a latent"),
    "hidden_sizes": (_sizes, "N,N", "widths of the encoder's layers or levels; the decoder mirrors them"),
    "samples": (int, "K", "latents a row and step, the k of iwae"),
    "beta": (float, "B", "weight of the KL; 1 is the ELBO"),
    "free_bits": (float, "BITS", "of KL a latent dimension that cost nothing"),
    "target_rate": (float, "NATS", "of KL a row that the KL's weight is steered towards"),
    "epochs": (int, "N", "passes over the training rows"),
    "batch_size": (int, "N", "rows a step"),
    "learning_rate": (float, "RATE", "at its highest"),
    "validation_rows": (int, "N", "of the training rows, to choose settings on"),
    "image_size": (_sizes, "H,W", "what images of a folder are brought to"),
    "image_fit": (str, "HOW", "crop, pad, stretch or exact"),
    "channels": (int, "N", "of images: 1 grey, 3 colour"),
    "seed": (int, "N", "where the random numbers start"),
    "device": (str, "DEVICE", "auto, cpu or cuda"),
    "threads": (int, "N", "CPU threads of one operation"),
}
SWITCHES = {
    "binarised": "draw every pixel as on or off, with its grey level as probability",
    "skip_bad": "leave out, count and list what cannot be used",
    "compile": "let torch.compile make the step faster",
    "tensorboard": "write figures and pictures for TensorBoard",
}


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
    given, config = settings_of(parser, asked)
    prepare_onnxruntime("training,serving")  # before training: its lack would otherwise show only at the end
    from training import run

    with sigterm_interrupts():
        try:
            begun = run.resume(config, asked.out, given) if asked.resume else run.begin(config, asked.out)
            outcome = run.train(asked.out, *begun)
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
    add_settings(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's directory")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in DIR; start a new run if DIR is missing or empty, so a job can always say it",
    )
    return parser


def add_settings(parser: argparse.ArgumentParser, without: Sequence[str] = ()) -> None:
    """Adds DATA and a flag for every setting that has one, None where it was not given, but for those left out."""
    parser.add_argument(
        "dataset",
        metavar="DATA",
        help="digits (comes with scikit-learn), mnist, fashion-mnist, a folder of images, or a .npy, .npz, .csv or "
        ".parquet file",
    )
    parser.add_argument(
        "--preset",
        choices=preset_names(),
        help="a set of settings, which flags and --config override; default: the one for the data",
    )
    add_flags(parser, (key for key in (*FLAGS, *SWITCHES) if key not in without))
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="settings by name (latent_size = 16); flags override it",
    )


def add_flags(parser: argparse.ArgumentParser, keys: Iterable[str]) -> None:
    """Adds the flags of those settings that have one."""
    for key in keys:
        flag = flag_of(key)
        if key in FLAGS:
            kind, metavar, text = FLAGS[key]
            parser.add_argument(flag, type=kind, metavar=metavar, help=text)
        elif key in SWITCHES:
            parser.add_argument(flag, action="store_true", default=None, help=SWITCHES[key])


def settings_of(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> tuple[dict[str, object], Config]:
    """Returns the settings that a resumed run must have been started with, and what a new run is to be.

    Exits with 2 where a setting is wrong, or has no effect; one line names its flag, or its file and key.
    """
    try:
        given = _given(asked)
        completed = complete(given, asked.preset)
        config = parse_config(completed)
        if not getattr(asked, "resume", False) or holds_nothing(asked.out):  # else the run there has its own model
            refuse_unused(config, given)
    except TrainingError as exc:
        parser.exit(2, f"vae: {exc}\n")
    return given if asked.preset is None else completed, config


def _given(asked: argparse.Namespace) -> dict[str, object]:
    """Returns the settings that the file and the flags name; flags override it."""
    settings: dict[str, object] = {}
    if asked.config:
        settings = read_settings(asked.config)
        parse_config(settings, str(asked.config))
    flags = ("dataset", *FLAGS, *SWITCHES)
    return settings | {flag: value for flag in flags if (value := getattr(asked, flag, None)) is not None}


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
    from training.evaluate.report import table
    from training.report import proof

    directory = outcome.package.directory
    return (
        f"{table(outcome.evaluation)}\n\n"
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
def sigterm_interrupts() -> Iterator[None]:
    """Makes SIGTERM, by which containers are stopped, end a run as Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
