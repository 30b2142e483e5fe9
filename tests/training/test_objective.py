from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor
from torch.distributions import Normal

from training.data import Dataset
from training.models.ae import KIND as AE
from training.models.vae import KIND as VAE
from training.networks.pair import DiagonalGaussian, Networks
from training.objective import (
    Step,
    TermWeights,
    autoencoder,
    draw,
    free,
    iwae_bound,
    kl_by_dimension,
    log_density,
    log_likelihoods,
    log_standard_normal,
    negative_elbo,
    negative_iwae_bound,
)
from training.settings.config import Config
from training.step.state import build

Objective = Callable[[Networks, Tensor, Tensor, Tensor, TermWeights], Step]
WHOLE = TermWeights(kl=1.0)


def noise_of(draws: int, rows: int, latent: int = 8) -> Tensor:
    return torch.randn(draws, rows, latent, generator=Generator().manual_seed(0))


def test_the_kl_is_what_monte_carlo_estimates() -> None:
    generator = Generator().manual_seed(0)
    posterior = DiagonalGaussian(torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator))
    latent = draw(posterior, torch.randn(200_000, 3, 4, generator=generator))
    q = Normal(posterior.mean, torch.exp(0.5 * posterior.log_variance))
    estimate = (q.log_prob(latent) - Normal(0.0, 1.0).log_prob(latent)).sum(2).mean(0)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(kl_by_dimension(posterior).sum(1), estimate, rtol=0.01, atol=0.01)


def test_the_kl_of_the_prior_is_zero() -> None:
    assert kl_by_dimension(DiagonalGaussian(torch.zeros(2, 5), torch.zeros(2, 5))).sum(1).tolist() == [0, 0]


def test_both_terms_are_sums_over_dimensions(dataset: Dataset) -> None:
    networks = build(VAE, Config(), dataset)
    data = dataset.test[:7]
    step = negative_elbo(networks, data, data, torch.zeros(1, 7, 8), WHOLE)
    parameters = networks.decoder(networks.encoder(data).mean).parameters.detach()
    by_value = [networks.decoder.likelihood(data.flatten(1)[:, [i]], parameters.flatten(1)[:, [i]]) for i in range(64)]
    torch.testing.assert_close(step.reconstruction.detach(), -torch.stack(by_value).sum(0))
    torch.testing.assert_close(step.loss, step.reconstruction + step.kl)
    assert step.kl.shape == (7,)


@pytest.mark.parametrize("objective", [negative_elbo, negative_iwae_bound])
@pytest.mark.parametrize("term", ["loss", "reconstruction", "kl"])
def test_every_terms_gradient_reaches_its_parameters(dataset: Dataset, objective: Objective, term: str) -> None:
    networks = build(VAE, Config(likelihood="gaussian"), dataset)
    data = dataset.train[:16]
    getattr(objective(networks, data, data, noise_of(2, 16), WHOLE), term).mean().backward()
    assert reached(networks) == {name for name, _ in networks.named_parameters() if term != "kl" or "encoder" in name}


def test_an_autoencoders_gradient_reaches_every_parameter(dataset: Dataset) -> None:
    networks = build(AE, Config(model="ae"), dataset)
    data = dataset.train[:16]
    step = autoencoder(networks, data, data, noise_of(1, 16), WHOLE)
    step.loss.mean().backward()  # type: ignore[no-untyped-call]
    assert reached(networks) == {name for name, _ in networks.named_parameters()}
    assert float(step.kl.abs().sum()) == 0


def reached(networks: Networks) -> set[str]:
    return {name for name, p in networks.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}


def test_the_importance_weighted_bound_rises_with_the_number_of_draws(dataset: Dataset) -> None:
    networks = build(VAE, Config(), dataset)
    data = dataset.test
    with torch.inference_mode():
        bounds = [
            float(-negative_iwae_bound(networks, data, data, noise_of(draws, len(data)), WHOLE).loss.mean())
            for draws in (1, 5, 50)
        ]
        elbo = float(-negative_elbo(networks, data, data, noise_of(50, len(data)), WHOLE).loss.mean())
    assert bounds[0] == pytest.approx(elbo, abs=0.2)
    assert bounds[0] < bounds[1] < bounds[2]


def test_the_bound_of_equal_weights_is_their_logarithm() -> None:
    torch.testing.assert_close(iwae_bound(torch.full((7, 3), -500.0)), torch.full((3,), -500.0))


def test_the_kls_weight_weighs_the_prior_over_the_posterior_alone(dataset: Dataset) -> None:
    networks, data, noise = build(VAE, Config(), dataset), dataset.test[:5], noise_of(3, 5)
    with torch.inference_mode():
        posterior = networks.encoder(data)
        latent = draw(posterior, noise)
        likelihood = log_likelihoods(networks, data, latent)
        ratio = log_standard_normal(latent) - log_density(posterior, noise)
        for kl in (0.0, 0.5):
            found = negative_iwae_bound(networks, data, data, noise, TermWeights(kl)).loss
            torch.testing.assert_close(found, -iwae_bound(likelihood + kl * ratio))


def test_densities_are_those_of_torch() -> None:
    posterior = DiagonalGaussian(torch.randn(5, 3), torch.randn(5, 3))
    noise = torch.randn(4, 5, 3)
    latent = draw(posterior, noise)
    q = Normal(posterior.mean, torch.exp(0.5 * posterior.log_variance))
    torch.testing.assert_close(log_density(posterior, noise), q.log_prob(latent).sum(-1))  # type: ignore[no-untyped-call]
    p = Normal(0.0, 1.0).log_prob(latent).sum(-1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(log_standard_normal(latent), p)


def test_free_bits_cost_nothing_a_dimension() -> None:
    kl = torch.tensor([[2.0, 0.0], [4.0, 0.1]], requires_grad=True)
    loss = free(kl, 1.0).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(3.0 + 0.6931, abs=1e-3)
    assert kl.grad is not None
    torch.testing.assert_close(kl.grad, torch.tensor([[0.5, 0.0], [0.5, 0.0]]))
    assert free(kl.detach(), 0.0).tolist() == pytest.approx([2.0, 4.1])


def test_a_kl_weight_that_grows_is_not_compiled_anew(dataset: Dataset) -> None:
    compiled: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Callable[..., object]:
        compiled.append(graph)
        return graph

    networks, data = build(VAE, Config(), dataset), dataset.test[:4]
    objective = torch.compile(negative_elbo, backend=backend)
    losses = [
        float(objective(networks, data, data, noise_of(1, 4), TermWeights(torch.tensor(kl))).loss.mean().detach())
        for kl in (0.0, 0.1, 1.0)
    ]
    assert len(compiled) == 1
    assert losses[0] < losses[1] < losses[2]
