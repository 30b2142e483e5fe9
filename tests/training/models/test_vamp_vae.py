from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from training.likelihoods import likelihood_of
from training.models.vamp_vae import KIND, WithPseudoInputs, log_mixture
from training.networks import Sizes
from training.networks.pair import Blueprint, DiagonalGaussian
from training.objective import TermWeights
from training.scaling import scaling_of
from vaeserve.package.data_spec import DataSpec

COMPONENTS, LATENT, ROWS = 7, 3, 40
PICTURES = DataSpec(kind="image", shape=(2, 3, 1), dtype="uint8", minimum=0, maximum=16)
TABLE = DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-1e30, maximum=1e30)


def rows_of(data: DataSpec) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if data.kind == "table":
        return torch.tensor([3.0, -50.0]) + torch.tensor([0.5, 20.0]) * torch.randn(ROWS, 2, generator=generator)
    return torch.randint(0, 17, (ROWS, *data.shape), generator=generator, dtype=torch.uint8)


def networks_of(data: DataSpec, family: str) -> WithPseudoInputs:
    rows = rows_of(data)
    scaling = scaling_of(data, rows, family)
    likelihood = likelihood_of(family, data, scaling)
    torch.manual_seed(0)
    blueprint = Blueprint("mlp", Sizes((8,)), LATENT, "gaussian", likelihood, scaling)
    networks = WithPseudoInputs(blueprint, COMPONENTS)
    assert KIND.begin is not None
    KIND.begin(networks, rows, torch.Generator().manual_seed(0))
    return networks


@pytest.fixture(scope="module")
def networks() -> WithPseudoInputs:
    return networks_of(PICTURES, "binomial")


def some_components() -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(2)
    draws = torch.randn(2, COMPONENTS, LATENT, generator=generator)
    return DiagonalGaussian(2 * draws[0], draws[1] - 2)


def truth(latent: Tensor, components: DiagonalGaussian) -> Tensor:
    mean, log_variance = (part.double() for part in components)
    each = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    log_prior: Tensor = MixtureSameFamily(Categorical(torch.ones(len(mean))), each).log_prob(latent.double())  # type: ignore[no-untyped-call]
    return log_prior


def test_the_log_density_is_that_of_the_mixture() -> None:
    latent, components = 2 * torch.randn(2, 50, LATENT), some_components()
    log_prior = log_mixture(latent, components)
    assert log_prior.shape == (2, 50)
    np.testing.assert_allclose(log_prior, truth(latent, components), rtol=1e-4, atol=1e-4)


def test_narrow_products_leave_it_in_float32() -> None:
    latent, components = 2 * torch.randn(1, 50, LATENT), some_components()
    with torch.autocast("cpu", torch.bfloat16):
        narrow = log_mixture(latent, components)
    torch.testing.assert_close(narrow, log_mixture(latent, components), rtol=0, atol=0)


def test_the_density_that_is_exported_is_the_prior_of_the_training(networks: WithPseudoInputs) -> None:
    assert KIND.prior is not None
    latent = torch.randn(300, LATENT)
    with torch.no_grad():
        log_prior = KIND.prior(networks, rows_of(PICTURES)).density(latent)
        np.testing.assert_allclose(log_prior, log_mixture(latent, networks.components()), rtol=1e-5, atol=1e-4)


def test_a_step_trains_every_part(networks: WithPseudoInputs) -> None:
    assert KIND.step is not None
    data, noise = rows_of(PICTURES), torch.randn(2, ROWS, LATENT)
    with torch.no_grad():
        step = KIND.step(networks, data, data, noise, TermWeights(0.5))
    torch.testing.assert_close(step.loss, step.reconstruction + 0.5 * step.kl)
    step = KIND.step(networks, data, data, noise, TermWeights(0.5))
    weights = dict(networks.named_parameters())
    gradients = torch.autograd.grad(step.loss.sum(), list(weights.values()))
    assert {name for name, each in zip(weights, gradients, strict=True) if not each.any()} == set()


def test_the_kl_is_the_mean_over_the_draws(networks: WithPseudoInputs) -> None:
    assert KIND.step is not None
    data, noise = rows_of(PICTURES), torch.randn(500, ROWS, LATENT)
    with torch.no_grad():
        kl = KIND.step(networks, data, data, noise, TermWeights(1.0)).kl
        mean, log_variance = networks.encoder(data)
        posterior = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
        latent = posterior.sample((500,))
        expected = (posterior.log_prob(latent) - truth(latent, networks.components())).mean(0)  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(kl.mean(), expected.mean(), atol=0.02)


@pytest.mark.parametrize(("data", "family"), [(PICTURES, "binomial"), (TABLE, "gaussian")])
def test_first_pseudo_inputs_lie_around_the_mean_row_and_never_leave_the_range(data: DataSpec, family: str) -> None:
    networks, rows = networks_of(data, family), rows_of(data).float()
    encoder, seen = networks.encoder, list[Tensor]()
    first = (encoder.center + encoder.scale * networks.pseudo_inputs).detach()
    np.testing.assert_allclose(first.mean(0), rows.mean(0), atol=0.05 * float(rows.std()))
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    with torch.no_grad():
        networks.pseudo_inputs[0] += 100
        networks.pseudo_inputs[1] -= 100
        networks.components()
    low, high = (rows.amin(0), rows.amax(0)) if data.kind == "table" else (torch.tensor(0.0), torch.tensor(16.0))
    torch.testing.assert_close(seen[0][0], high.expand(data.shape))
    torch.testing.assert_close(seen[0][1], low.expand(data.shape))


def test_components_without_information_are_pulled_towards_the_standard_normal(networks: WithPseudoInputs) -> None:
    """All posteriors equal and narrow, and a decoder that ignores latents: the ELBO alone would leave them there."""
    assert KIND.step is not None
    moved = deepcopy(networks)
    *_, last = moved.encoder.body.children()
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([3.0] * LATENT + [-4.0] * LATENT))
        for weight in moved.decoder.body.parameters():
            weight.zero_()
    data, noise = rows_of(PICTURES), torch.randn(1, ROWS, LATENT)
    loss = KIND.step(moved, data, data, noise, TermWeights(1.0)).loss.mean()
    (gradient,) = torch.autograd.grad(loss, last.bias)
    assert (gradient[:LATENT] > 0.02).all()
    assert (gradient[LATENT:] < -0.004).all()
