import numpy as np
import pytest
import torch
from scipy.stats import logistic
from torch import Generator

from training.likelihoods.logistic import Logistic
from training.scaling import scaling_of
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec

PIXEL = DataSpec(kind="image", shape=(1, 1, 1), dtype="uint8", minimum=0, maximum=255)
LEVELS = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1)


def of_pixels() -> Logistic:
    return Logistic(PIXEL, scaling_of(PIXEL, torch.zeros(1), "logistic"))


def parameters(mean: float, log_scale: float) -> torch.Tensor:
    return torch.tensor([mean, log_scale]).expand(256, 1, 1, 2)


@pytest.mark.parametrize("log_scale", [-9.0, -5.0, -2.0, 0.5, 4.0])
@pytest.mark.parametrize("mean", [-3.0, -1.0, 0.1, 0.999])
def test_probabilities_of_every_level_sum_to_one(mean: float, log_scale: float) -> None:
    assert float(of_pixels()(LEVELS, parameters(mean, log_scale)).exp().sum()) == pytest.approx(1, abs=2e-5)


def test_probabilities_are_differences_of_scipys_distribution_function() -> None:
    likelihood = of_pixels()
    given = parameters(0.2, -2.0)
    scale = float(likelihood._split(given)[1][0].exp())
    edges = logistic.cdf((np.arange(255) + 0.5) / 127.5 - 1, 0.2, scale)
    expected = np.diff(np.concatenate(([0.0], edges, [1.0])))
    np.testing.assert_allclose(likelihood(LEVELS, given).exp().numpy(), expected, rtol=2e-4, atol=1e-9)


def test_a_level_far_from_the_mean_is_improbable_and_finite() -> None:
    log_likelihood = of_pixels()(LEVELS, parameters(-1.0, -6.5))
    assert bool(log_likelihood.isfinite().all())
    assert float(log_likelihood[255]) < -500


@pytest.mark.parametrize(("mean", "log_scale"), [(0.0, -3.0), (-0.95, -2.0), (1.5, -1.0), (0.3, 1.0)])
def test_the_expectation_is_the_mean_over_levels(mean: float, log_scale: float) -> None:
    likelihood = of_pixels()
    given = parameters(mean, log_scale)
    by_level = float((likelihood(LEVELS, given).exp() * torch.arange(256)).sum())
    assert float(likelihood.expectation(given)[0]) == pytest.approx(by_level, abs=0.02)


def test_it_takes_two_parameters_a_value() -> None:
    colour = DataSpec(kind="image", shape=(4, 5, 3), dtype="uint8", minimum=0, maximum=255)
    likelihood = Logistic(colour, scaling_of(colour, torch.zeros(1), "logistic"))
    train = torch.randint(0, 256, (10, 4, 5, 3), dtype=torch.uint8, generator=Generator().manual_seed(0))
    initial = likelihood.initial_parameters(train)
    assert likelihood.parameters_shape == (4, 5, 6)
    assert tuple(initial.shape) == (4, 5, 6)
    torch.testing.assert_close(initial[..., :3], likelihood.scaled(train.float().mean(0)), atol=1e-5, rtol=0)


def test_what_fits_all_rows_alike_has_the_spread_of_every_value() -> None:
    pair = DataSpec(kind="image", shape=(1, 2, 1), dtype="uint8", minimum=0, maximum=255)
    likelihood = Logistic(pair, scaling_of(pair, torch.zeros(1), "logistic"))
    spread = torch.tensor([4.0, 40.0])
    train = (128 + spread * torch.randn(4000, 2, generator=Generator().manual_seed(0))).to(torch.uint8)
    fitted = likelihood.fit(train.reshape(4000, 1, 2, 1))
    deviations = torch.exp(likelihood._split(fitted[None])[1][0]) * np.pi / 3**0.5 * 127.5
    torch.testing.assert_close(deviations, spread, rtol=0.08, atol=0)
    never = likelihood.fit(torch.full((40, 1, 2, 1), 7, dtype=torch.uint8))
    assert bool(never.isfinite().all())


def test_other_data_than_256_levels_is_refused() -> None:
    digits = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16)
    with pytest.raises(TrainingError, match="--likelihood: logistic is for images of 256 levels; this data is uint8"):
        Logistic(digits, scaling_of(digits, torch.zeros(1), "logistic"))
