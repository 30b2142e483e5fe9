from math import exp, log

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Generator

from training.likelihoods.gaussian import LOG_SCALE_FLOOR, Gaussian
from training.scaling import scaling_of
from vaeserve.package.data_spec import DataSpec

GREY = DataSpec(kind="image", shape=(2, 2, 1), dtype="uint8", minimum=0, maximum=255)
TABLE = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1e30, maximum=1e30)
ROWS = torch.tensor([10.0, -200.0, 0.001]) + torch.tensor([2.0, 50.0, 0.0001]) * torch.randn(
    500, 3, generator=Generator().manual_seed(0)
)


def of_images() -> Gaussian:
    return Gaussian(GREY, scaling_of(GREY, torch.zeros(1), "gaussian"))


def of_tables() -> Gaussian:
    return Gaussian(TABLE, scaling_of(TABLE, ROWS, "gaussian"))


def test_densities_are_scipys_in_the_datas_own_units() -> None:
    likelihood = of_images()
    likelihood.set_scale(0.1)  # of [-1, 1]: 12.75 grey levels
    data = torch.tensor([[0, 100, 200, 255]], dtype=torch.uint8).reshape(1, 2, 2, 1)
    parameters = torch.tensor([[-1.0, 0.0, 0.5, 0.9]]).reshape(1, 2, 2, 1)
    means = likelihood.expectation(parameters).flatten().detach().numpy()
    expected = norm.logpdf(data.flatten().numpy(), means, 12.75).sum()
    assert likelihood(data, parameters).item() == pytest.approx(float(expected), rel=1e-5)
    assert likelihood.describe().constants == {"scale": pytest.approx(12.75)}


def test_every_column_of_a_table_has_a_scale() -> None:
    likelihood = of_tables()
    with torch.no_grad():
        likelihood.raw_log_scale.copy_(torch.tensor([0.0, -1.0, 1.0]))
    scales = (likelihood.log_scale.exp() * ROWS.std(0, correction=0)).detach().numpy()
    parameters = likelihood.scaled(ROWS.mean(0).expand(500, 3))
    expected = norm.logpdf(ROWS.numpy(), ROWS.mean(0).numpy(), scales).sum(1)
    np.testing.assert_allclose(likelihood(ROWS, parameters).detach().numpy(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0, 30.0])
def test_the_scale_that_is_set_is_the_scale(scale: float) -> None:
    likelihood = of_images()
    likelihood.set_scale(scale)
    assert likelihood.log_scale.exp().item() == pytest.approx(scale, rel=1e-3)


def test_the_scale_stays_above_its_floor_with_a_gradient() -> None:
    likelihood = of_images()
    with torch.no_grad():
        likelihood.raw_log_scale.fill_(-10.0)
    likelihood.log_scale.backward()  # type: ignore[no-untyped-call]
    assert likelihood.log_scale.item() > LOG_SCALE_FLOOR
    assert likelihood.raw_log_scale.grad is not None
    assert likelihood.raw_log_scale.grad.item() > 0.01
    likelihood.set_scale(0.0)
    assert likelihood.log_scale.exp().item() == pytest.approx(exp(LOG_SCALE_FLOOR), rel=0.01)


def test_the_best_scale_is_the_standard_deviation_that_is_left() -> None:
    likelihood = of_tables()
    zero = torch.zeros(500, 3)
    optimizer = torch.optim.Adam([likelihood.raw_log_scale], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        (-likelihood(ROWS, zero)).mean().backward()
        optimizer.step()
    assert likelihood.log_scale.tolist() == pytest.approx([log(1.0)] * 3, abs=0.01)


def test_noise_has_the_datas_scale() -> None:
    noisy = of_tables().noisy(ROWS[:1].expand(4000, 3), 0.5, Generator().manual_seed(0))
    torch.testing.assert_close(noisy.std(0), 0.5 * ROWS.std(0), rtol=0.05, atol=0)
