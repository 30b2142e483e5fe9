"""Do latents drawn from a prior decode to something that could be data? On scikit-learn's digits, or on MNIST.

    python -m benchmarks.reproductions.completeness [--out DIR] [--picture FILE.png]
    python -m benchmarks.reproductions.completeness --data-dir DIR

A deep autoencoder's latents follow no prior: N(0, I) draws from holes between them, a mixture fitted afterwards does
not. A VAE needs no mixture. PCA and the linear autoencoder stand beside them, and beta trades rate for distortion, and
with that what is drawn. All are trained with one set of settings; the figures are those of their evaluations. MNIST is
for the deep models alone, with the networks of protocol T2 and few epochs.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.printing import claim
from benchmarks.reproductions.completeness_picture import draw
from benchmarks.reproductions.runs import Finished, arguments, finish
from training.evaluate.comparison import comparison
from training.evaluate.figures import PriorEvidence
from training.run.publish import MIXTURE
from training.settings.resolve import complete, parse_config
from training.study.sweep import SweepRun, sweep_table, train_sweep
from vaeserve.package.manifest import STANDARD

SETTINGS: dict[str, object] = {"dataset": "digits"}
ON_MNIST: dict[str, object] = {"dataset": "mnist", "epochs": 60}
DEEP_MODELS = ("ae", "vae")
MODELS = ("pca", "linear-ae", *DEEP_MODELS)
BETAS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def compare(models: Sequence[str], overrides: dict[str, object], out: Path) -> dict[str, Finished]:
    """Returns a run of each model, and prints one table over them."""
    runs = {model: finish(out / model, {**overrides, "model": model}) for model in models}
    print(comparison([(name, run.evaluation) for name, run in runs.items()]))
    return runs


def prior(run: Finished, name: str) -> PriorEvidence:
    """Returns the figures of a prior of a run."""
    return next(prior for prior in run.evaluation.priors if prior.name == name)


def coverage(run: Finished, name: str) -> float:
    """Returns the coverage of a prior's samples, as a share of what held-out rows reach."""
    return prior(run, name).samples[0].coverage or 0.0


def claims(runs: Mapping[str, Finished]) -> bool:
    """Whether the autoencoder fails, the mixture repairs it, and the VAE passes."""
    deep, variational = runs["ae"], runs["vae"]
    return all((
        claim("holes under N(0, I): the autoencoder's share over the VAE's",
              prior(deep, STANDARD).hole_fraction / prior(variational, STANDARD).hole_fraction, 5.0),
        claim("coverage of the autoencoder's samples: N(0, I) over the mixture",
              coverage(deep, STANDARD) / coverage(deep, MIXTURE), 0.8, is_limit=True),
        claim("coverage of the autoencoder's samples from the mixture", coverage(deep, MIXTURE), 0.9),
        claim("coverage of the VAE's samples from N(0, I)", coverage(variational, STANDARD), 0.9),
    ))  # fmt: skip


def trade_off(points: list[SweepRun]) -> bool:
    """Whether a larger beta always means a smaller rate and a larger distortion."""
    steps = list(pairwise(points))
    print(sweep_table(points))
    rates = max(after.rate - before.rate for before, after in steps)
    distortions = min(after.distortion - before.distortion for before, after in steps)
    return all((
        claim("largest change of the rate from a beta to the next, nats", rates, 0.0, is_limit=True),
        claim("least change of the distortion, nats", distortions, 0.0),
    ))  # fmt: skip


def main() -> int:
    parser = arguments(__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--picture", type=Path, metavar="FILE.png", help="draw samples and the curve")
    choice.add_argument("--data-dir", metavar="DIR", help="folder of MNIST's original files: compare on it")
    options = parser.parse_args()
    if options.data_dir:
        overrides = {**ON_MNIST, "data_dir": options.data_dir}
        return 0 if claims(compare(DEEP_MODELS, overrides, options.out / "completeness-mnist")) else 1
    out = options.out / "completeness"
    runs = compare(MODELS, SETTINGS, out)
    met = claims(runs)
    points = train_sweep(parse_config(complete(SETTINGS, None)), SETTINGS, BETAS, out)
    met &= trade_off(points)
    if options.picture:
        draw(runs, points, options.picture)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
