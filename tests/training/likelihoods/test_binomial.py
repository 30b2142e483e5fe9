import numpy as np
import pytest
import torch
from scipy.stats import binom

from training.data import Dataset
from training.likelihoods.binomial import Binomial
from training.scaling import scaling_of
from vaeserve.package.data_spec import DataSpec

DIGITS = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16)


def binomial() -> Binomial:
    return Binomial(DIGITS, scaling_of(DIGITS, torch.zeros(1), "binomial"))


def test_log_likelihoods_are_scipys() -> None:
    generator = torch.Generator().manual_seed(1)
    data = torch.randint(0, 17, (50, 8, 8, 1), generator=generator, dtype=torch.uint8)
    logits = 4 * torch.randn(50, 8, 8, 1, generator=generator)
    by_value = np.asarray(binom.logpmf(data.numpy(), 16, torch.sigmoid(logits.double()).numpy()))
    np.testing.assert_allclose(binomial()(data, logits).numpy(), by_value.sum((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("logit", [-30.0, -2.0, 0.0, 0.7, 30.0])
def test_probabilities_of_every_count_sum_to_one(logit: float) -> None:
    counts = torch.arange(17, dtype=torch.uint8).unsqueeze(1)
    log_likelihood = binomial()(counts, torch.full((17, 1), logit))
    assert float(log_likelihood.exp().sum()) == pytest.approx(1, abs=1e-6)


def test_a_count_above_the_trials_is_impossible() -> None:
    rows = torch.tensor([[17], [255]], dtype=torch.uint8)
    assert binomial()(rows, torch.zeros(2, 1)).tolist() == [-np.inf, -np.inf]


def test_the_expectation_is_the_mean_of_the_distribution() -> None:
    logits = torch.tensor([[-3.0, 0.0, 2.5]])
    counts = torch.arange(17, dtype=torch.uint8).reshape(17, 1)
    likelihood = binomial()
    for logit, expectation in zip(logits[0], likelihood.expectation(logits)[0], strict=True):
        probabilities = likelihood(counts, logit.expand(17, 1)).exp()
        assert float((probabilities * counts[:, 0]).sum()) == pytest.approx(float(expectation), rel=1e-5)


def test_initial_parameters_give_the_mean_row(dataset: Dataset) -> None:
    likelihood = binomial()
    expectation = likelihood.expectation(likelihood.initial_parameters(dataset.train))
    torch.testing.assert_close(expectation, dataset.train.float().mean(0), atol=0.01, rtol=0)


def test_noise_thins_counts_and_keeps_their_mean() -> None:
    data = torch.full((4000, 1), 10, dtype=torch.uint8)
    noisy = binomial().noisy(data, 0.3, torch.Generator().manual_seed(0))
    assert float(noisy.mean()) == pytest.approx(10, abs=0.2)
    assert float(noisy.var()) == pytest.approx(10 * 0.3 / 0.7, rel=0.1)
    assert torch.equal(binomial().noisy(data, 0.0, torch.Generator()), data.float())
