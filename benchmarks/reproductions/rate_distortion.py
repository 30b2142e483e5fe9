"""How many nats do codes take, and what do they lose, beside a VAE's latents? On scikit-learn's digits.

    python -m benchmarks.reproductions.rate_distortion [--out DIR] [--picture FILE.png]

Finite scalar quantisation with several numbers of levels and latent sizes, and the VAE with several weights of its KL;
all else is one set of settings, the defaults. The rate of codes is exact: -log p(codes) under the frequencies of
training rows, which an arithmetic coder reaches. A VAE's is its KL, which takes bits-back coding to reach. Both are
figures of the runs' evaluations, on held-out rows.
"""

import sys
from collections.abc import Sequence
from io import BytesIO
from itertools import groupby
from math import log
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from benchmarks.printing import claim
from benchmarks.reproductions.runs import arguments, finish
from training.evaluate.figures import Estimate
from training.settings.resolve import complete, parse_config
from training.study.sweep import SweepRun, train_sweep

SETTINGS: dict[str, object] = {"dataset": "digits"}
CODES = ((8, 3), (8, 5), (8, 8), (8, 12), (5, 8), (16, 8))
"""Levels, and values in a latent."""
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class CodesRun(NamedTuple):
    """A run of finite scalar quantisation: figures in nats per row."""

    levels: int
    latent_size: int
    rate: float
    distortion: float

    @property
    def most(self) -> float:
        """The rate of equally probable levels."""
        return self.latent_size * log(self.levels)


def train_codes(out: Path) -> list[CodesRun]:
    """Returns a finished run for each of CODES."""
    runs = []
    for levels, size in CODES:
        overrides = {**SETTINGS, "model": "fsq", "levels": levels, "latent_size": size}
        figures = finish(out / f"fsq-{levels}-levels-{size}-values", overrides).evaluation.likelihoods
        runs.append(CodesRun(levels, size, _value(figures.kl_nats), _value(figures.reconstruction_nats)))
    return runs


def table(runs: Sequence[CodesRun], points: Sequence[SweepRun]) -> str:
    """Returns both curves as lines of text."""
    lines = ["levels  values  bits at most   bits   rate  distortion  negative ELBO"]
    for run in runs:
        lines.append(
            f"{run.levels:>6}  {run.latent_size:>6}  {run.most / log(2):>12.1f}  {run.rate / log(2):>5.1f}"
            f"  {run.rate:>5.2f}  {run.distortion:>10.2f}  {run.rate + run.distortion:>13.2f}"
        )
    for point in points:
        named, total = f"VAE, beta {point.beta:g}", point.rate + point.distortion
        lines.append(f"{named:<35}{point.rate:>5.2f}  {point.distortion:>10.2f}  {total:>13.2f}")
    return "\n".join([*lines, "nats per row on held-out rows"])


def draw(runs: Sequence[CodesRun], points: Sequence[SweepRun], path: Path) -> None:
    """Draws both curves."""
    figure = Figure(figsize=(6.5, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(
        title="Codes and a VAE on digits", xlabel="rate, nats per row", ylabel="distortion: -log p(x|z), nats per row"
    )
    ordered = sorted(points, key=lambda point: point.rate)
    axes.plot([point.rate for point in ordered], [point.distortion for point in ordered], "o-", label="VAE, by beta")
    for point in points:
        axes.annotate(f"{point.beta:g}", (point.rate, point.distortion), (5, 4), textcoords="offset points")
    for levels, each in groupby(sorted(runs), key=lambda run: run.levels):
        own = list(each)
        axes.plot([run.rate for run in own], [run.distortion for run in own], "s--", label=f"codes of {levels} levels")
        for run in own:
            label = f"{run.latent_size} values"
            axes.annotate(label, (run.rate, run.distortion), (5, 4), textcoords="offset points", fontsize=8)
    axes.margins(0.12)
    axes.legend()
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    path.write_bytes(content.getvalue())


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw both curves")
    options = parser.parse_args()
    runs = train_codes(options.out / "rate-distortion")
    points = train_sweep(parse_config(complete(SETTINGS, None)), SETTINGS, BETAS, options.out / "completeness")
    print(table(runs, points))
    if options.picture:
        draw(runs, points, options.picture)
    unused = max(run.rate / run.most for run in runs)
    return 0 if claim("largest rate over that of equally probable levels", unused, 1.0, is_limit=True) else 1


def _value(estimate: Estimate | None) -> float:
    if estimate is None:
        raise AssertionError("codes were evaluated without a likelihood. This is a bug.")
    return estimate.value


if __name__ == "__main__":
    sys.exit(main())
