"""Held-out figures of a trained pair, and those of PCA beside them."""

from math import log
from typing import NamedTuple

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from training.data import Dataset
from training.loop import active_units
from training.networks import Networks
from training.objective import elbo_terms
from vae.noise import Purpose, RowRange, standard_normals

DRAWS = 16  # latents a row; the estimate's own error is then far below the difference between two rows


class HeldOut(NamedTuple):
    """Means over the held-out rows. The field names are those of the manifest's metrics."""

    negative_elbo_nats: float
    reconstruction_nats: float
    """Expected negative log-likelihood; the ELBO's first term."""
    kl_nats: float
    """The ELBO's second term: what a latent tells about its row."""
    bits_per_dimension: float
    """Negative ELBO / (values in a row * ln 2)."""
    active_units: int
    """Latent dimensions whose posterior mean varies by more than 0.01."""
    squared_error: float
    """Of the expectation decoded from the posterior mean; a sum over a row's values."""
    pca_squared_error: float
    """The same for PCA with as many components, fitted on the same training rows."""


def evaluate(networks: Networks, dataset: Dataset) -> HeldOut:
    """Returns a pair's figures on the held-out rows.

    The noise is row-addressed, so that the same weights give the same figures whenever and wherever they are taken.
    """
    data = dataset.test
    with torch.inference_mode():
        posterior = networks.encoder(data)
        drawn = [
            torch.stack(elbo_terms(posterior, networks.decoder, data, _noise(seed, posterior.mean)))
            for seed in range(DRAWS)
        ]
        reconstruction, kl = torch.stack(drawn).double().mean((0, 2)).tolist()
        expectation = networks.decoder(posterior.mean).expectation
    return HeldOut(
        negative_elbo_nats=reconstruction + kl,
        reconstruction_nats=reconstruction,
        kl_nats=kl,
        bits_per_dimension=(reconstruction + kl) / (dataset.spec.size * log(2)),
        active_units=active_units(posterior.mean),
        squared_error=squared_error(expectation, data),
        pca_squared_error=pca_squared_error(dataset, posterior.mean.shape[1]),
    )


def _noise(seed: int, like: Tensor) -> Tensor:
    rows, size = like.shape
    return torch.from_numpy(standard_normals(Purpose.POSTERIOR, [RowRange(seed, 0, rows)], size))


def squared_error(expectation: Tensor, data: Tensor) -> float:
    """Returns the mean over rows of the sum over values of (expectation - data)^2."""
    return float((expectation.double() - data.double()).square().flatten(1).sum(1).mean())


def pca_squared_error(dataset: Dataset, components: int) -> float:
    """Returns the squared error of PCA with so many components: the best that any linear pair could do in training."""
    train, test = dataset.train.flatten(1).double().numpy(), dataset.test.flatten(1).double().numpy()
    pca = PCA(min(components, *train.shape), svd_solver="full").fit(train)
    return squared_error(torch.from_numpy(pca.inverse_transform(pca.transform(test))), torch.from_numpy(test))
