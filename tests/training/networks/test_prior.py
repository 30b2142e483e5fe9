"""A mixture as a prior's modules; tests/training/export/test_priors.py has its graphs."""

import numpy as np
import torch
from scipy.stats import multivariate_normal

from training.networks.prior import Mixture, diagonal_mixture, modules_of_mixture
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

WEIGHTS = np.array([0.25, 0.75])
MEANS = np.array([[2.0, 0.0], [-1.0, 3.0]])
FACTORS = np.array([[[0.5, 0.0], [0.2, 1.0]], [[1.5, 0.0], [-0.3, 0.1]]])


def test_the_density_is_that_of_what_the_sampler_draws() -> None:
    prior = modules_of_mixture(Mixture(WEIGHTS, MEANS, FACTORS))
    noise = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(3, 0, 20_000)], prior.noise_size))
    latent = prior.sampler(noise, torch.ones(len(noise)))
    parts = [
        weight * multivariate_normal(mean, factor @ factor.T).pdf(latent.double().numpy())
        for weight, mean, factor in zip(WEIGHTS, MEANS, FACTORS, strict=True)
    ]
    np.testing.assert_allclose(prior.density(latent), np.log(sum(parts)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(latent.mean(0), WEIGHTS @ MEANS, atol=0.05)


def test_a_temperature_near_zero_draws_the_means_in_their_shares() -> None:
    prior = modules_of_mixture(Mixture(WEIGHTS, MEANS, FACTORS))
    noise = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(3, 0, 4000)], prior.noise_size))
    latent = prior.sampler(noise, torch.full((len(noise),), 1e-6)).numpy()
    is_first = np.abs(latent - MEANS[0]).max(1) < 1e-3
    np.testing.assert_allclose(latent[~is_first], np.broadcast_to(MEANS[1], latent[~is_first].shape), atol=1e-3)
    assert abs(is_first.mean() - WEIGHTS[0]) < 0.03


def test_many_diagonal_components_of_equal_weight_are_such_a_mixture() -> None:
    means, deviations = (
        np.array([[2.0, 0.0], [-1.0, 3.0], [0.0, -9.0]]),
        np.array([[0.5, 1.0], [1.5, 0.02], [3.0, 1.0]]),
    )
    full = modules_of_mixture(Mixture(np.full(3, 1 / 3), means, np.stack([np.diag(each) for each in deviations])))
    diagonal = diagonal_mixture(torch.from_numpy(means), torch.from_numpy(2 * np.log(deviations)))
    assert diagonal.noise_size == full.noise_size
    noise = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(3, 0, 2000)], full.noise_size))
    temperature = torch.full((len(noise),), 0.7)
    latent = diagonal.sampler(noise, temperature)
    np.testing.assert_allclose(latent, full.sampler(noise, temperature), rtol=1e-6)
    for each in (latent, 50 * latent):
        np.testing.assert_allclose(diagonal.density(each), full.density(each), rtol=1e-5, atol=1e-5)
