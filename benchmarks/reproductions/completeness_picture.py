"""The picture of completeness: samples of each prior, and the trade-off of beta."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.reproductions.runs import Finished
from training.card.tiles import cells
from training.data import load_dataset
from training.evaluate.rows import DataArray
from training.evaluate.served import ServedPair
from training.run.publish import MIXTURE
from training.settings.source import Source
from training.study.sweep import SweepRun
from vaeserve.command.pictures import tile
from vaeserve.package.manifest import STANDARD
from vaeserve.rows.images import Pixels

COLUMNS, LINES = 14, 2
PANELS = (
    ("pca", STANDARD, "PCA, N(0, I)"),
    ("ae", STANDARD, "deep autoencoder, N(0, I)"),
    ("ae", MIXTURE, "deep autoencoder, mixture fitted afterwards"),
    ("vae", STANDARD, "VAE, N(0, I)"),
)


def draw(runs: Mapping[str, Finished], points: Sequence[SweepRun], file: Path) -> None:
    """Writes the picture as a PNG: samples on the left, curves on the right."""
    figure = Figure(figsize=(11, 6.2), dpi=80)
    lines = figure.add_gridspec(len(PANELS) + 1, 1, left=0.02, right=0.52, top=0.95, bottom=0.03, hspace=0.4)
    panels = [figure.add_subplot(lines[line]) for line in range(len(PANELS) + 1)]
    curves = figure.add_gridspec(2, 1, left=0.6, right=0.98, top=0.95, bottom=0.09, hspace=0.4)
    for axes, (model, prior, title) in zip(panels, PANELS, strict=False):
        evidence = next(each for each in runs[model].evaluation.priors if each.name == prior)
        _show(axes, f"{title}: coverage {evidence.samples[0].coverage or 0:.2f}", samples(runs[model], prior))
    real = load_dataset(Source(dataset="digits")).test[: COLUMNS * LINES].numpy()
    _show(panels[-1], "held-out digits", _tiled(real, runs["vae"]))
    _curve(figure.add_subplot(curves[0]), points)
    _trade(figure.add_subplot(curves[1]), points)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="png", metadata={"Software": None})


def samples(run: Finished, prior: str) -> Pixels:
    """Returns a tile of what the first latents of seed 0 decode to."""
    served = ServedPair.from_package(run.package)
    return _tiled(served.decode(served.draw_prior(prior, 0, COLUMNS * LINES)).data, run)


def _tiled(rows: DataArray, run: Finished) -> Pixels:
    return tile(cells(rows, run.package.manifest.data), COLUMNS)


def _show(axes: Axes, title: str, pixels: Pixels) -> None:
    axes.imshow(pixels[::2, ::2])  # cells are enlarged already
    axes.set_title(title, fontsize=9, loc="left")
    axes.axis("off")


def _curve(axes: Axes, points: Sequence[SweepRun]) -> None:
    axes.plot([point.rate for point in points], [point.distortion for point in points], "o-", markersize=4)
    for point in points:
        axes.annotate(f"{point.beta:g}", (point.rate, point.distortion), (5, 4), textcoords="offset points", fontsize=8)
        axes.axline((point.rate, point.distortion), slope=-1, color="0.88", linewidth=0.8, zorder=0)
    axes.margins(0.1)
    axes.set_title("VAE by beta; grey: equal negative ELBO", fontsize=9, loc="left")
    axes.set_xlabel("rate, nats per row")
    axes.set_ylabel("distortion, nats per row")


def _trade(axes: Axes, points: Sequence[SweepRun]) -> None:
    betas, priors = [point.beta for point in points], [point.evaluation.priors[0] for point in points]
    axes.plot(betas, [prior.samples[0].coverage or 0.0 for prior in priors], "o-", markersize=4, label="coverage")
    axes.plot(betas, [prior.hole_fraction for prior in priors], "s--", markersize=4, label="share of draws in holes")
    axes.set_xscale("log", base=2)
    axes.set_xticks(betas, [f"{beta:g}" for beta in betas])
    axes.set_ylim(bottom=0)
    axes.set_title("samples from N(0, I)", fontsize=9, loc="left")
    axes.set_xlabel("beta")
    axes.legend(fontsize=8)
