"""The pair that begins as probabilistic PCA."""

from math import log, pi

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from training.likelihoods import likelihood_of
from training.networks import Sizes, pca_conv
from training.networks.pair import Blueprint, Networks
from training.objective import TermWeights, negative_elbo
from training.principal import principal
from training.scaling import scaling_of
from vaeserve.errors import TrainingError
from vaeserve.sources.content import images_spec

LATENTS, SHAPE = 5, (6, 10, 3)


@pytest.fixture(scope="module")
def rows() -> Tensor:
    generator = Generator().manual_seed(0)
    factors = torch.randn(200, 8, generator=generator) @ torch.randn(8, 180, generator=generator)
    noise = 4 * torch.randn(200, 180, generator=generator)
    return (128 + 8 * factors + noise).round().clamp(0, 255).to(torch.uint8).reshape(200, *SHAPE)


def pair(rows: Tensor, family: str, posterior: str = "gaussian", *, mirrors: bool = False) -> Networks:
    spec = images_spec(SHAPE)
    scaling = scaling_of(spec, rows, family)
    likelihood = likelihood_of(family, spec, scaling)
    torch.manual_seed(0)
    networks = Networks(Blueprint("pca-conv", Sizes((8, 8)), LATENTS, posterior, likelihood, scaling))  # type: ignore[arg-type]
    pca_conv.begin(networks, rows, mirrors)
    return networks


def test_mirrored_rows_count_in_the_components(rows: Tensor) -> None:
    both = torch.cat([rows, rows.flip(2)])
    kinds = ((rows, True), (both, False), (rows, False))
    maps = [pair(some, "gaussian", mirrors=mirrors).encoder.body.get_buffer("weight") for some, mirrors in kinds]
    assert torch.equal(maps[0], maps[1])
    assert not torch.allclose(maps[0], maps[2])


def test_the_first_bound_is_the_likelihood_of_probabilistic_pca(rows: Tensor) -> None:
    networks = pair(rows, "gaussian")
    with torch.inference_mode():
        noise = torch.randn(200, len(rows), LATENTS, generator=Generator().manual_seed(1))
        bound = negative_elbo(networks, rows.float(), rows, noise, TermWeights(1.0)).loss.mean()
    values = rows.flatten(1).double().numpy()
    fitted = principal(values, LATENTS)
    covariance = fitted.components.T * (fitted.variances - fitted.residual) @ fitted.components
    covariance += fitted.residual * np.eye(180)
    sign, determinant = np.linalg.slogdet(covariance)
    distance = ((values - fitted.mean) @ np.linalg.inv(covariance) * (values - fitted.mean)).sum(1).mean()
    assert sign == 1
    assert float(bound) == pytest.approx(0.5 * (180 * log(2 * pi) + determinant + distance), abs=0.5)


def test_latents_are_whitened_and_decoded_as_pca_decodes(rows: Tensor) -> None:
    networks = pair(rows, "gaussian")
    with torch.inference_mode():
        mean, log_variance = networks.encoder(rows.float())
        decoded = networks.decoder(mean).expectation.flatten(1).double().numpy()
    torch.testing.assert_close(mean.var(0) + log_variance.exp().mean(0), torch.ones(LATENTS), atol=0.02, rtol=0)
    values = rows.flatten(1).double().numpy()
    fitted = principal(values, LATENTS)
    projected = (values - fitted.mean) @ fitted.components.T @ fitted.components + fitted.mean
    shrunk = ((values - decoded) ** 2).mean() / ((values - projected) ** 2).mean()
    assert 1 <= shrunk < 1.01


@pytest.mark.parametrize("family", ["gaussian", "logistic", "logistic-mixture"])
@pytest.mark.parametrize("posterior", ["gaussian", "none"])
def test_it_learns_and_rows_do_not_see_one_another(rows: Tensor, family: str, posterior: str) -> None:
    networks = pair(rows, family, posterior)
    with torch.no_grad():
        for weight in networks.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=Generator().manual_seed(2)))
        latent = networks.encoder(rows[:5].float()).mean
        parameters = networks.decoder.parameters_of(latent)
        alone = networks.encoder(rows[3:4].float()).mean
        torch.testing.assert_close(alone, latent[3:4], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(networks.decoder.parameters_of(alone), parameters[3:4], atol=1e-5, rtol=1e-5)
        assert parameters.shape[1:] == networks.decoder.likelihood.parameters_shape
    loss = -networks.decoder.likelihood(
        rows[:5], networks.decoder.parameters_of(networks.encoder(rows[:5].float()).mean)
    )
    loss.sum().backward()
    assert all(weight.grad is not None for name, weight in networks.named_parameters() if "log_scale" not in name)


def test_a_family_whose_deviation_follows_from_its_mean_is_refused(rows: Tensor) -> None:
    with pytest.raises(TrainingError, match=r"--network: begins as probabilistic PCA, and needs .*, not bernoulli$"):
        pair(rows, "bernoulli")


def test_fewer_rows_than_components(rows: Tensor) -> None:
    few = principal(rows[:3].flatten(1).double().numpy(), 6)
    assert few.components.shape == (6, 180)
    assert few.variances[2:].tolist() == [few.residual] * 4
