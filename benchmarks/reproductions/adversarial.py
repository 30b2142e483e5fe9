"""What do adversarial models gain over a VAE, and what do they lose? On scikit-learn's digits, MNIST or Fashion-MNIST.

    python -m benchmarks.reproductions.adversarial [--out DIR] [--picture FILE.png]
    python -m benchmarks.reproductions.adversarial --data-dir DIR [--dataset fashion-mnist]

An autoencoder, a VAE, a VAE-GAN and a GAN of the same networks are trained with the same settings; the figures are
those of their evaluations. Beside them stands how often a classifier, trained on the labelled training rows, names the
class of a sample with a confidence above 0.9, and how often that of a held-out row. Blurred samples seldom have one,
while density and coverage forgive blur. On MNIST the models are perceptrons and have few epochs, to save time.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from sklearn.neural_network import MLPClassifier

from benchmarks.printing import claim, table
from benchmarks.reproductions.runs import Finished, arguments, finish
from training.card.tiles import cells
from training.data import Dataset, load_dataset
from training.evaluate.rows import DataArray
from training.evaluate.served import ServedPair
from training.settings.resolve import complete, parse_config
from vaeserve.command.pictures import tile
from vaeserve.package.manifest import STANDARD

MODELS = ("ae", "vae", "vae-gan", "gan")
ON_MNIST: dict[str, object] = {
    **{"network": "mlp", "hidden_sizes": [256, 128], "latent_size": 16, "likelihood": "bernoulli", "input_noise": 0.0},
    **{"batch_size": 128, "learning_rate": 2e-3, "weight_decay": 0.01, "average_decay": 0.999, "epochs": 10},
    **{"binarised": False, "validation_rows": 0, "evaluation_rows": 1000, "evaluation_samples": 50},
}
SAMPLES = 2000
CONFIDENT = 0.9
COLUMNS, LINES = 16, 3


class Shown(NamedTuple):
    """A run, and what it draws from its default prior."""

    run: Finished
    samples: DataArray
    confident: float
    """Share of the samples that the classifier names with confidence."""
    classes: tuple[float, float]
    """Shares of the samples in their rarest class and in their commonest."""


class Classifier:
    """A perceptron that learned the classes of training rows."""

    def __init__(self, dataset: Dataset) -> None:
        if dataset.labels is None:
            raise AssertionError("the data has no classes. This is a bug.")
        self._maximum = dataset.spec.maximum
        self._fitted = MLPClassifier((128,), random_state=0, max_iter=50, early_stopping=len(dataset.train) > 10_000)
        self._fitted.fit(self._flat(dataset.train.numpy()), dataset.labels.train.numpy())
        self.accuracy = float(self._fitted.score(self._flat(dataset.test.numpy()), dataset.labels.test.numpy()))

    def confident(self, rows: DataArray) -> tuple[float, tuple[float, float]]:
        """Returns the share of rows that it names with confidence, and the shares of the rarest and commonest class."""
        odds = self._fitted.predict_proba(self._flat(rows))
        shares = np.bincount(odds.argmax(1), minlength=odds.shape[1]) / len(rows)
        return float((odds.max(1) > CONFIDENT).mean()), (float(shares.min()), float(shares.max()))

    def _flat(self, rows: DataArray) -> DataArray:
        return (rows.reshape(len(rows), -1) / self._maximum).astype(np.float32)


def show(model: str, overrides: Mapping[str, object], out: Path, classifier: Classifier) -> Shown:
    """Returns a trained model and its samples."""
    run = finish(out / model, {**overrides, "model": model})
    served = ServedPair.from_package(run.package)
    samples = served.made(served.draw_prior(run.package.manifest.default_prior, 0, SAMPLES))
    return Shown(run, samples, *classifier.confident(samples))


def print_table(shown: Mapping[str, Shown]) -> None:
    """Prints a line for each model: under its default prior, then under N(0, I)."""
    rows: list[list[str | float]] = []
    for name, one in shown.items():
        evaluation, default = one.run.evaluation, one.run.package.manifest.default_prior
        for prior in evaluation.priors:
            if prior.name in (default, STANDARD):
                drawn = [figure for each in prior.samples for figure in (each.density or 0.0, each.coverage or 0.0)]
                seen = [one.confident, *one.classes] if prior.name == default else [np.nan] * 3
                cycle = prior.cycle_distance
                rows.append(
                    [f"{name}, {prior.name}", *drawn, prior.hole_fraction, cycle, *seen, evaluation.squared_error]
                )
    table(
        *("prior", "density", "coverage", "density (classifier)", "coverage (classifier)", "holes", "cycle"),
        *("confident", "rarest", "commonest", "squared error"),
        rows=rows,
    )  # fmt: skip


def claims(shown: Mapping[str, Shown]) -> bool:
    """Whether both adversarial models are named more often than the VAE, and what it costs."""
    vae = shown["vae"]
    met = [
        claim(
            f"{name}: share of samples named with confidence, over the VAE's",
            shown[name].confident / vae.confident,
            1.0,
        )
        for name in ("vae-gan", "gan")
    ]
    return all(met)


def draw(shown: Mapping[str, Shown], dataset: Dataset, file: Path) -> None:
    """Writes samples of every model, and held-out rows, as a PNG."""
    figure = Figure(figsize=(6, 8), dpi=80, layout="constrained")
    panels = {name: one.samples for name, one in shown.items()} | {"held-out rows": dataset.test.numpy()}
    for axes, (name, rows) in zip(figure.subplots(len(panels)), panels.items(), strict=True):
        axes.imshow(tile(cells(rows[: COLUMNS * LINES], dataset.spec), COLUMNS))
        named = f", {shown[name].confident:.0%} named with confidence" if name in shown else ""
        axes.set_title(f"{name}{named}", fontsize=9, loc="left")
        axes.axis("off")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="png", metadata={"Software": None})


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw samples of every model")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the original files: compare on MNIST")
    parser.add_argument("--dataset", choices=("mnist", "fashion-mnist"), default="mnist", help="what DIR holds")
    parser.add_argument("--epochs", type=int, help="of every model")
    options = parser.parse_args()
    overrides: dict[str, object] = {"dataset": "digits"}
    if options.data_dir:
        overrides = {**ON_MNIST, "dataset": options.dataset, "data_dir": options.data_dir}
    if options.epochs:
        overrides["epochs"] = options.epochs
    dataset = load_dataset(parse_config(complete(overrides, None)).source)
    classifier = Classifier(dataset)
    out = options.out / f"adversarial-{overrides['dataset']}"
    shown = {model: show(model, overrides, out, classifier) for model in MODELS}
    print_table(shown)
    real, _ = classifier.confident(dataset.test.numpy())
    print(f"a classifier that is right about {classifier.accuracy:.1%} of held-out rows names {real:.1%} of them so")
    if options.picture:
        draw(shown, dataset, options.picture)
    return 0 if claims(shown) else 1


if __name__ == "__main__":
    sys.exit(main())
