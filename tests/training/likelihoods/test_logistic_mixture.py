from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import torch
from onnxruntime import InferenceSession
from scipy.special import logsumexp
from scipy.stats import logistic
from torch import Generator, Tensor

from training.export.graphs import export_graph
from training.export.probes import GraphModule
from training.likelihoods.logistic import LOG_SCALE_RANGE
from training.likelihoods.logistic_mixture import COMPONENTS, LogisticMixture
from training.scaling import scaling_of
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec

LEVELS = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1)
Doubles = npt.NDArray[np.float64]


def of_pixels(colours: int, height: int = 1, width: int = 1) -> LogisticMixture:
    spec = DataSpec(kind="image", shape=(height, width, colours), dtype="uint8", minimum=0, maximum=255)
    return LogisticMixture(spec, scaling_of(spec, torch.zeros(1), "logistic-mixture"))


def random_parameters(likelihood: LogisticMixture, spread: float, rows: int = 1) -> Tensor:
    return spread * torch.randn(rows, *likelihood.parameters_shape, generator=Generator().manual_seed(0))


def reference(pixel: tuple[int, ...], numbers: Doubles) -> float:
    """Returns the log-probability of a pixel, by SciPy's distribution function, level by level."""
    colours, by_part = len(pixel), numbers.reshape(-1, COMPONENTS)
    logits, means, squeezed = by_part[0], by_part[1 : 1 + colours], by_part[1 + colours : 1 + 2 * colours]
    low, high = LOG_SCALE_RANGE
    middle, half = (low + high) / 2, (high - low) / 2
    scales = np.exp(middle + half * np.tanh((squeezed - middle) / half))
    coefficients = by_part[1 + 2 * colours :]
    scaled = np.array(pixel)[:, None] / 127.5 - 1
    residual = scaled - means
    given = means.copy()
    if colours == 3:
        given[1] += coefficients[0] * residual[0]
        given[2] += coefficients[1] * residual[0] + coefficients[2] * residual[1]
    masses = np.ones(COMPONENTS)
    for value, level, mean, scale in zip(scaled[:, 0], pixel, given, scales, strict=True):
        above = 1.0 if level == 255 else logistic.cdf(value + 1 / 255, mean, scale)
        below = 0.0 if level == 0 else logistic.cdf(value - 1 / 255, mean, scale)
        masses *= above - below
    return float(logsumexp(np.log(masses) + logits) - logsumexp(logits))


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_probabilities_of_every_grey_level_sum_to_one(spread: float) -> None:
    likelihood = of_pixels(1)
    given = random_parameters(likelihood, spread).expand(256, -1, -1, -1)
    assert float(likelihood(LEVELS, given).double().exp().sum()) == pytest.approx(1, abs=3e-5)


@pytest.mark.parametrize("corner", [0, 120, 243])
def test_probabilities_of_every_colour_sum_to_one(corner: int) -> None:
    """All the mass lies within a cube of 13 levels, of which an outer one may be a side."""
    likelihood = of_pixels(3)
    mean = torch.full((1, 1, 1, 3), (corner + 6) / 127.5 - 1)
    noise = (0.8 / 127.5) ** 2 * torch.tensor([[1.0, 0.7, 0.5], [0.7, 1.2, 0.6], [0.5, 0.6, 0.8]])
    given = likelihood.parameters_around(mean, noise)
    cube = torch.tensor(list(product(range(corner, corner + 13), repeat=3)), dtype=torch.uint8).reshape(-1, 1, 1, 3)
    log_likelihood = likelihood(cube, given.expand(len(cube), -1, -1, -1)).double()
    assert float(log_likelihood.exp().sum()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("pixel", [(0, 0, 255), (7, 200, 3), (255, 128, 127), (130, 120, 110), (31,), (0,), (255,)])
def test_it_is_the_same_as_by_scipy(pixel: tuple[int, ...]) -> None:
    likelihood = of_pixels(len(pixel))
    given = random_parameters(likelihood, 0.7)
    row = torch.tensor(pixel, dtype=torch.uint8).reshape(1, 1, 1, -1)
    assert float(likelihood(row, given)) == pytest.approx(reference(pixel, given.double().numpy().ravel()), rel=1e-4)


def test_pixels_are_independent() -> None:
    likelihood, pixel = of_pixels(3, 4, 5), of_pixels(3)
    rows = torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8, generator=Generator().manual_seed(1))
    given = random_parameters(likelihood, 0.5, rows=2)
    one_by_one = pixel(rows.reshape(40, 1, 1, 3), given.reshape(40, 1, 1, -1)).reshape(2, 20).sum(1)
    torch.testing.assert_close(likelihood(rows, given), one_by_one)


def test_far_from_every_mean_it_is_finite_and_so_is_the_gradient() -> None:
    likelihood = of_pixels(3)
    given = random_parameters(likelihood, 30.0, rows=64).requires_grad_()
    rows = torch.randint(0, 256, (64, 1, 1, 3), dtype=torch.uint8, generator=Generator().manual_seed(2))
    likelihood(rows, given).sum().backward()
    assert bool(likelihood(rows, given).isfinite().all())
    assert given.grad is not None
    assert bool(given.grad.isfinite().all())


@pytest.mark.parametrize("mean", [-1.0, -0.4, 0.98])
def test_the_expectation_is_the_mean_over_levels(mean: float) -> None:
    likelihood = of_pixels(1)
    given = likelihood.parameters_around(torch.full((1, 1, 1, 1), mean), torch.tensor([[0.04]]))
    by_level = float((likelihood(LEVELS, given.expand(256, -1, -1, -1)).exp() * torch.arange(256)).sum())
    assert float(likelihood.expectation(given)) == pytest.approx(by_level, abs=0.05)


def test_colours_that_move_together_cost_less() -> None:
    likelihood = of_pixels(3, 8, 8)
    generator = Generator().manual_seed(3)
    shared = torch.randn(300, 8, 8, 1, generator=generator)
    own = torch.randn(300, 8, 8, 3, generator=generator)
    rows = (128 + 30 * shared + 5 * own).clamp(0, 255).to(torch.uint8)
    fitted, initial = likelihood.fit(rows), likelihood.initial_parameters(rows)
    bits = -likelihood(rows, fitted.expand(300, -1, -1, -1)).mean() / (192 * np.log(2))
    covariance = 900 + 25 * np.eye(3)
    gaussian = 0.5 * np.log2((2 * np.pi * np.e) ** 3 * np.linalg.det(covariance)) / 3
    assert initial.shape == fitted.shape == likelihood.parameters_shape
    assert float(bits) == pytest.approx(gaussian, abs=0.15)


def test_the_likelihood_graph_answers_as_the_module_does() -> None:
    likelihood = of_pixels(3, 3, 4)
    rows = torch.randint(0, 256, (5, 3, 4, 3), dtype=torch.uint8, generator=Generator().manual_seed(4))
    inputs = {"data": rows.numpy(), "parameters": random_parameters(likelihood, 3.0, rows=5).numpy()}
    graph = export_graph("likelihood", GraphModule(likelihood, tuple(inputs), ("log_likelihood",)), inputs)
    (answer,) = InferenceSession(graph.content).run(None, inputs)
    np.testing.assert_allclose(answer, likelihood(*map(torch.from_numpy, inputs.values())).numpy(), rtol=1e-5)


def test_other_data_than_256_levels_is_refused() -> None:
    digits = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16)
    with pytest.raises(TrainingError, match="logistic-mixture is for images of 256 levels; this data is uint8"):
        LogisticMixture(digits, scaling_of(digits, torch.zeros(1), "logistic-mixture"))
