"""Linear models against their closed forms, on scikit-learn's digits.

    python -m benchmarks.reproductions.linear [--out DIR]

A linear autoencoder's optimum spans the subspace of PCA (Baldi and Hornik, 1989). A linear VAE's optimum is
probabilistic PCA (Lucas et al., "Don't blame the ELBO!", 2019), whose likelihood has a closed form (Tipping and Bishop,
"Probabilistic principal component analysis", 1999). Both are measured on the exported graphs.
"""

import sys
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import subspace_angles
from scipy.stats import multivariate_normal

from benchmarks.printing import claim
from benchmarks.reproductions.runs import Finished, arguments, finish
from training.data import load_dataset
from training.evaluate.served import ServedPair
from training.settings.source import Source

Array64 = npt.NDArray[np.float64]

LATENT_SIZE = 8
LINEAR_AE = {
    "dataset": "digits", "model": "linear-ae", "latent_size": LATENT_SIZE, "input_noise": 0.0, "weight_decay": 0.0,
    "epochs": 1500, "batch_size": 1437, "learning_rate": 2e-2, "average_decay": 0.9, "checkpoint_epochs": 1000,
}  # fmt: skip
LINEAR_VAE = {
    "dataset": "digits", "model": "vae", "network": "linear", "likelihood": "gaussian", "latent_size": LATENT_SIZE,
    "input_noise": 0.0, "weight_decay": 0.0, "epochs": 4000, "batch_size": 1437, "learning_rate": 1e-2,
    "average_decay": 0.99, "checkpoint_epochs": 1000,
}  # fmt: skip


class Affine(NamedTuple):
    """What a linear decoder computes: mean + latent @ factors."""

    mean: Array64  # [values]
    factors: Array64  # [latent, values]


class Gaussian(NamedTuple):
    """A distribution of rows."""

    mean: Array64  # [values]
    covariance: Array64  # [values, values]

    def nats(self, rows: Array64) -> Array64:
        """Returns log p(row) [rows]."""
        log_density: Array64 = multivariate_normal(self.mean, self.covariance).logpdf(rows)
        return log_density


def affine(served: ServedPair) -> Affine:
    """Returns the map that the decoder's graph computes, which must be linear."""
    latents = np.concatenate((np.zeros((1, served.latent_size)), np.eye(served.latent_size))).astype(np.float32)
    mean, *ends = served.expectation(latents).reshape(len(latents), -1).astype(np.float64)
    return Affine(mean, np.stack(ends) - mean)


def probabilistic_pca(rows: Array64, components: int) -> Gaussian:
    """Returns the likeliest N(mean, W W' + s^2 I), W with `components` columns (Tipping and Bishop, 1999, eq. 7, 8)."""
    mean, covariance = rows.mean(0), np.cov(rows.T, ddof=0)
    values, vectors = np.linalg.eigh(covariance)
    noise = values[:-components].mean()
    axes, excess = vectors[:, -components:], values[-components:] - noise
    return Gaussian(mean, (axes * excess) @ axes.T + noise * np.eye(len(mean)))


def principal_axes(rows: Array64, components: int) -> Array64:
    """Returns the directions [values, components] of largest variance."""
    return np.linalg.eigh(np.cov(rows.T, ddof=0))[1][:, -components:]


def subspace(run: Finished, train: Array64) -> bool:
    """Whether the linear autoencoder spans the principal subspace."""
    axes = affine(ServedPair.from_package(run.package)).factors.T
    angles = subspace_angles(axes, principal_axes(train, LATENT_SIZE))
    print(f"linear autoencoder, {LATENT_SIZE} latent values: {_took(run)}")
    return claim("largest principal angle to PCA's subspace, radians", float(angles.max()), 1e-3, is_limit=True)


def likelihood(run: Finished, train: Array64, test: Array64) -> bool:
    """Whether the linear VAE's likelihood is that of probabilistic PCA, and its evaluation that of its own weights."""
    served, scale = ServedPair.from_package(run.package), run.package.manifest.likelihood.constants["scale"]
    mean, factors = affine(served)
    marginal = Gaussian(mean, factors.T @ factors + scale**2 * np.eye(len(mean)))
    closed = probabilistic_pca(train, LATENT_SIZE)
    print(f"linear VAE, {LATENT_SIZE} latent values: {_took(run)}")
    met = []
    for name, rows in (("training", train), ("held-out", test)):
        ours, theirs = marginal.nats(rows).mean(), closed.nats(rows).mean()
        print(f"   log p(x) of {len(rows)} {name} rows: {ours:.4f} nats, probabilistic PCA {theirs:.4f}")
        met.append(claim(f"its distance, {name} rows, nats", abs(ours - theirs), 1e-2, is_limit=True))
    nll = run.evaluation.likelihoods.nll
    if nll is None or nll.rows != len(test):
        raise AssertionError("the run was not evaluated on all held-out rows. This is a bug.")
    exact = -marginal.nats(test).mean()
    print(
        f"   -log p(x) of {len(test)} held-out rows: {nll.nats.value:.4f} +- {nll.nats.standard_error:.4f} nats by "
        f"{nll.samples} importance samples ({nll.effective_samples:.0f} effective), {exact:.4f} by the weights"
    )
    met.append(claim("their distance, nats", abs(nll.nats.value - exact), 1e-2, is_limit=True))
    return all(met)


def main() -> int:
    options = arguments(__doc__).parse_args()
    dataset = load_dataset(Source(dataset="digits"))
    train, test = (rows.flatten(1).double().numpy() for rows in (dataset.train, dataset.test))
    met = subspace(finish(options.out / "linear-ae", LINEAR_AE), train)
    met &= likelihood(finish(options.out / "linear-vae", LINEAR_VAE), train, test)
    return 0 if met else 1


def _took(run: Finished) -> str:
    return "trained earlier" if run.seconds is None else f"{run.seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
