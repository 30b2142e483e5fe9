from typing import Literal

import pytest
import torch
from torch import Generator

from training.data import Dataset
from training.likelihoods import likelihood_of
from training.networks import Sizes
from training.networks.pair import Blueprint, Networks
from training.scaling import scaling_of, smooth_clamp
from training.settings.config import Config
from training.step.state import start
from vaeserve.package.data_spec import DataSpec

DATA = DataSpec(kind="image", shape=(2, 3, 1), dtype="uint8", minimum=0, maximum=16)


def pair(posterior: Literal["gaussian", "none"] = "gaussian") -> Networks:
    scaling = scaling_of(DATA, torch.zeros(1), "binomial")
    likelihood = likelihood_of("binomial", DATA, scaling)
    return Networks(Blueprint("mlp", Sizes((8, 4)), 2, posterior, likelihood, scaling))


def test_the_clamp_keeps_its_range_and_a_gradient() -> None:
    values = torch.tensor([-1e6, -20.0, -2.0, 0.0, 10.0, 1e6], requires_grad=True)
    clamped = smooth_clamp(values, -8, 4)
    clamped[1:5].sum().backward()  # type: ignore[no-untyped-call]
    assert bool(((clamped >= -8) & (clamped <= 4)).all())
    assert values.grad is not None
    assert bool((values.grad[1:5] > 0).all())
    assert float(smooth_clamp(torch.tensor(-2.0), -8, 4)) == -2


def test_the_decoder_starts_near_the_mean_row(dataset: Dataset) -> None:
    state = start(Config(), dataset)
    with torch.inference_mode():
        expectation = state.networks.decoder(torch.zeros(1, 8)).expectation[0]
    torch.testing.assert_close(expectation, dataset.train.float().mean(0), atol=2.0, rtol=0)


def test_first_weights_come_from_the_generator_alone(dataset: Dataset) -> None:
    torch.manual_seed(1)
    first = start(Config(seed=5), dataset).networks.state_dict()
    torch.manual_seed(2)
    again = start(Config(seed=5), dataset).networks.state_dict()
    other = start(Config(seed=6), dataset).networks.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if name.endswith("weight"))


@pytest.mark.parametrize("rows", [1, 5])
def test_shapes(rows: int) -> None:
    networks = pair()
    data = torch.randint(0, 17, (rows, *DATA.shape), generator=Generator().manual_seed(0), dtype=torch.uint8)
    posterior = networks.encoder(data)
    decoded = networks.decoder(posterior.mean)
    assert posterior.mean.shape == posterior.log_variance.shape == (rows, 2)
    assert decoded.data.shape == decoded.expectation.shape == decoded.parameters.shape == (rows, *DATA.shape)


def test_points_have_mean_0_and_variance_1_once_fitted_and_decode_to_what_they_did() -> None:
    networks = pair("none")
    data = torch.randint(0, 17, (500, *DATA.shape), generator=Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        own = networks.encoder(data).mean
        before = networks.decoder(own).parameters
        assert networks.encoder.standard is not None
        networks.encoder.standard.fit(own)
        standard = networks.encoder(data).mean
        torch.testing.assert_close(standard.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(standard.std(0, correction=0), torch.ones(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(networks.decoder(standard).parameters, before, atol=1e-4, rtol=1e-4)
