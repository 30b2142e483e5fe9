"""Runs of the reproductions: trained as `vae train` trains, in directories that are kept and used again."""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import ROOT
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.settings.directory import PACKAGE_DIRECTORY
from training.settings.resolve import complete, parse_config
from vaeserve.package.directory import ModelPackage
from vaeserve.runtime import prepare_onnxruntime

RUNS = ROOT / "runs" / "reproductions"


class Finished(NamedTuple):
    """A run that came to its end."""

    package: ModelPackage
    evaluation: Evaluation
    seconds: float | None
    """That it took to train, export and evaluate; None where it was found on disk."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser of what every reproduction takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RUNS, help="directory of the runs; finished ones are used again")
    return parser


def finish(directory: Path, given: dict[str, object], preset: str | None = None) -> Finished:
    """Returns the run of a directory, which is trained to its end if it was not yet.

    Args:
        directory: the run's.
        given: settings by name, `dataset` among them.
        preset: what the other settings are from; None takes the one for the data.

    Raises:
        TrainingError: the run cannot be trained, or the directory holds one with other settings.
    """
    prepare_onnxruntime("training,serving")
    from training.run import run

    settings, seconds = complete(given, preset), None
    begun = run.resume(parse_config(settings), directory, settings)
    if not (directory / EVALUATION_FILE).exists():
        start = time.perf_counter()
        run.train_to_package(directory, *begun)
        seconds = time.perf_counter() - start
    package = ModelPackage.open(directory / PACKAGE_DIRECTORY)
    return Finished(package, Evaluation.read(directory / EVALUATION_FILE), seconds)
