"""Runs that differ only in the weight of the KL, and their curve of rate and distortion."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from training.data import Dataset
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.evaluate.figure_text import number
from training.evaluate.figures import Estimate, prior_title
from training.models import MODELS
from training.run import run
from training.run.checkpoint import Checkpoint
from training.run.progress import say
from training.run.publish import RunResult
from training.settings.config import Config
from training.settings.resolve import parse_config
from vaeserve.errors import TrainingError
from vaeserve.files import write_whole

PICTURE_FILE, FIGURES_FILE = "rate_distortion.png", "rate_distortion.json"


class SweepRun(NamedTuple):
    """One run."""

    beta: float
    run: str
    """Name of its directory."""
    evaluation: Evaluation

    @property
    def rate(self) -> float:
        """KL, nats per row."""
        return _value(self.evaluation.likelihoods.kl_nats)

    @property
    def distortion(self) -> float:
        """Expected negative log-likelihood, nats per row."""
        return _value(self.evaluation.likelihoods.reconstruction_nats)


def train_sweep(
    config: Config,
    overrides: dict[str, object],
    betas: Iterable[float],
    directory: Path,
    train: Callable[[Path, Checkpoint, Dataset], RunResult] = run.train_to_package,
    *,
    given: Collection[str] = (),
) -> list[SweepRun]:
    """Trains one run for each beta, in separate directories. Finished runs are kept, unfinished runs are resumed.

    With a larger number of epochs or steps, finished runs go on to that.

    Args:
        config: configuration of the runs, except for beta.
        overrides: settings of the file and the flags; existing runs must have the same values.
        betas: weights of the KL.
        directory: parent of the runs' directories.
        train: trains one run.
        given: names of the settings that a file or a flag sets.

    Raises:
        TrainingError: the model has no KL, a run exists with other settings or data, or training failed.
    """
    if "beta" not in MODELS[config.model].uses:
        raise TrainingError(f"--model: {config.model} has no KL to weight")
    points = list[SweepRun]()
    for beta in sorted(set(betas)):
        place, changes = directory / f"beta-{_named(beta)}", {**overrides, "beta": beta}
        last, dataset = run.resume(parse_config({**config.model_dump(), "beta": beta}), place, changes, given)
        if (place / EVALUATION_FILE).exists():
            evaluation = Evaluation.read(place / EVALUATION_FILE)
        else:
            say(f"beta {_named(beta)}")
            evaluation = train(place, last, dataset).evaluation
        points.append(SweepRun(beta, place.name, evaluation))
    return points


def write_figures(directory: Path, points: Sequence[SweepRun]) -> None:
    """Writes the points as JSON and as a picture.

    Raises:
        TrainingError: a file cannot be written.
    """
    listed = [{"beta": point.beta, "run": point.run, "metrics": point.evaluation.metrics} for point in points]
    files = {FIGURES_FILE: f"{json.dumps(listed, indent=2)}\n".encode(), PICTURE_FILE: picture(points)}
    for name, content in files.items():
        try:
            write_whole(directory / name, content)
        except OSError as exc:
            raise TrainingError(f"{directory / name}: cannot be written: {exc.strerror}") from exc


def sweep_table(points: Sequence[SweepRun]) -> str:
    """Returns one line for each run, in order of beta."""
    lines = ["    beta      rate  distortion  negative ELBO  -log p(x)  active units  holes  coverage"]
    for point in points:
        evaluation = point.evaluation
        nll, prior = evaluation.likelihoods.nll, evaluation.model_prior
        lines.append(
            f"{point.beta:>8g}  {point.rate:>8.2f}  {point.distortion:>10.2f}  {point.rate + point.distortion:>13.2f}"
            f"  {number(nll.nats.value if nll else None):>9}  {number(evaluation.active_units, 0):>12}"
            f"  {prior.hole_fraction:>5.1%}  {number(prior.samples[0].coverage):>8}"
        )
    some = {(nll.rows, point.evaluation.rows) for point in points if (nll := point.evaluation.likelihoods.nll)}
    of_some = "".join(f"; -log p(x) is of {rows} of the {every} rows" for rows, every in sorted(some) if rows != every)
    titles = ", ".join(sorted({prior_title(point.evaluation.likelihoods.prior) for point in points}))
    return "\n".join([*lines, f"nats per row on held-out rows; holes and coverage are those of {titles}{of_some}"])


def picture(points: Sequence[SweepRun]) -> bytes:
    """Returns the curve as a PNG, with lines of equal negative ELBO."""
    figure = Figure(figsize=(6, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(
        title="Rate and distortion", xlabel="rate: KL, nats per row", ylabel="distortion: -E[log p(x|z)], nats per row"
    )
    for point in points:
        axes.axline((point.rate, point.distortion), slope=-1, color="0.85", linewidth=0.8, zorder=0)
        axes.annotate(f"{point.beta:g}", (point.rate, point.distortion), (5, 4), textcoords="offset points")
    ordered = sorted(points, key=lambda point: point.rate)
    axes.plot([point.rate for point in ordered], [point.distortion for point in ordered], "o-", label="runs, by beta")
    axes.plot([], [], color="0.85", label="equal negative ELBO")
    axes.margins(0.12)
    axes.legend()
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _named(beta: float) -> str:
    """Returns a weight as text, with enough digits to tell it from every other."""
    short = f"{beta:g}"
    return short if float(short) == beta else repr(beta)


def _value(estimate: Estimate | None) -> float:
    if estimate is None:
        raise AssertionError("a model with a posterior was evaluated without a likelihood. This is a bug.")
    return estimate.value
