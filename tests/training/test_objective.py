import pytest
import torch
from torch import Generator
from torch.distributions import Normal

from training.config import Config
from training.data import Dataset
from training.loop import start
from training.networks import Posterior
from training.objective import draw, elbo_terms, kl_to_standard_normal


def test_the_kl_is_what_monte_carlo_estimates() -> None:
    generator = Generator().manual_seed(0)
    posterior = Posterior(torch.randn(3, 4, generator=generator), torch.randn(3, 4, generator=generator))
    latent = draw(posterior, torch.randn(200_000, 3, 4, generator=generator))
    q = Normal(posterior.mean, torch.exp(0.5 * posterior.log_variance))
    estimate = (q.log_prob(latent) - Normal(0.0, 1.0).log_prob(latent)).sum(2).mean(0)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(kl_to_standard_normal(posterior), estimate, rtol=0.01, atol=0.01)


def test_the_kl_of_the_prior_is_zero() -> None:
    assert kl_to_standard_normal(Posterior(torch.zeros(2, 5), torch.zeros(2, 5))).tolist() == [0, 0]


def test_both_terms_are_sums_over_dimensions(dataset: Dataset) -> None:
    networks = start(Config(), dataset).networks
    data = dataset.test[:7]
    posterior = networks.encoder(data)
    elbo = elbo_terms(posterior, networks.decoder, data, torch.zeros(7, 8))
    parameters = networks.decoder(posterior.mean).parameters
    by_value = [
        networks.decoder.likelihood(data.flatten(1)[:, [i]], parameters.flatten(1)[:, [i]].detach()) for i in range(64)
    ]
    torch.testing.assert_close(elbo.reconstruction.detach(), -torch.stack(by_value).sum(0))
    assert elbo.kl.shape == (7,)


@pytest.mark.parametrize("term", ["reconstruction", "kl"])
def test_every_terms_gradient_reaches_its_parameters(dataset: Dataset, term: str) -> None:
    networks = start(Config(), dataset).networks
    data = dataset.train[:16]
    noise = torch.randn(16, 8, generator=Generator().manual_seed(0))
    elbo = elbo_terms(networks.encoder(data), networks.decoder, data, noise)
    getattr(elbo, term).mean().backward()
    reached = {name for name, p in networks.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
    expected = {name for name, _ in networks.named_parameters() if term == "reconstruction" or "encoder" in name}
    assert reached == expected
