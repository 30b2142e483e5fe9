"""Runs of the reproductions, trained as `vae train` trains; finished ones are reused."""

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
    """A finished run."""

    package: ModelPackage
    evaluation: Evaluation
    seconds: float | None
    """Time to train, export and evaluate; None: the run was trained earlier."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the options of every reproduction."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RUNS, help="directory of the runs; finished ones are reused")
    return parser


def finish(directory: Path, overrides: dict[str, object], preset: str | None = None) -> Finished:
    """Returns the finished run of a directory; trains it first if it is not finished.

    Args:
        directory: the run's.
        overrides: settings by name, `dataset` among them.
        preset: the preset of the other settings; None: the data's default.

    Raises:
        TrainingError: the run cannot be trained, or the directory holds one with other settings.
    """
    prepare_onnxruntime("training,serving")
    from training.run import run

    settings, seconds = complete(overrides, preset), None
    begun = run.resume(parse_config(settings), directory, settings, overrides.keys())
    if not (directory / EVALUATION_FILE).exists():
        start = time.perf_counter()
        run.train_to_package(directory, *begun)
        seconds = time.perf_counter() - start
    package = ModelPackage.open(directory / PACKAGE_DIRECTORY)
    return Finished(package, Evaluation.read(directory / EVALUATION_FILE), seconds)
