from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import training
from training.bring import reference
from training.bring.reference import OfExpectation, family_of, from_own, to_own
from training.bring.spec import Spec, parse_spec
from vae.errors import TrainingError

SETTINGS: dict[str, object] = {
    "name": "own",
    "kind": "image",
    "shape": [2, 2, 3],
    "latent_shape": 2,
    "layout": "flat",
    "scaled_to": [0, 1],
}


def spec(**changes: object) -> Spec:
    return parse_spec(SETTINGS | changes, "spec")


class Answering(nn.Module):
    """Answers what a function makes of what a linear layer answers."""

    def __init__(self, function: Callable[[Tensor], object], inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, outputs), nn.Dropout(0.5))
        self.function = function

    def forward(self, values: Tensor) -> object:
        return self.function(self.layers(values))


def encoder(function: Callable[[Tensor], object] = lambda h: (h, h)) -> Answering:
    return Answering(function, 12, 2)


def decoder(function: Callable[[Tensor], object] = torch.sigmoid) -> Answering:
    return Answering(function, 2, 12)


def normalised(values: Tensor) -> tuple[Tensor, Tensor]:
    values = values - values.mean(0)
    return values, values


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (len, "encoder: is a builtin_function_or_method, must be a torch.nn.Module"),
        (nn.Linear(3, 2), r"encoder: fails on float32 \[2, 12\]: mat1 and mat2 shapes cannot be multiplied"),
        (encoder(lambda h: {"mean": h}), "encoder: answers dict, must answer a tensor or a tuple of tensors"),
        (encoder(lambda h: (h, h, h)), "encoder: answers 3 tensors, and it is not clear which is what"),
        (encoder(lambda h: h), r"encoder: answers moments of shape \[2\] a row, and the spec says \[4\]"),
        (encoder(lambda h: (h[:1], h)), r"encoder: answers mean of shape \[1, 2\] for 64 rows"),
        (encoder(lambda h: (h + torch.randn_like(h), h)), "encoder: a row's mean changes by up to .* from one call"),
        (encoder(normalised), "encoder: a row's mean changes by up to .* with the rows beside it"),
        (encoder(lambda h: (h, (h.exp() - 9).log())), "encoder: answers log_variance of NaN or infinity"),
    ],
)
def test_encoders_that_cannot_be_served(tmp_path: Path, module: nn.Module, complaint: str) -> None:
    torch.manual_seed(0)
    rows = np.random.default_rng(0).integers(0, 256, (64, 2, 2, 3), np.uint8)
    with pytest.raises(TrainingError, match=f"^{complaint}") as raised:
        training.export(module, decoder(), SETTINGS, tmp_path / "model", rows)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_decoder_of_other_latents(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^decoder: fails on float32 \[2, 2\]"):
        training.export(encoder(), nn.Linear(3, 12), SETTINGS, tmp_path / "model")


def test_the_module_itself_is_left_alone() -> None:
    own = encoder().double().train()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    copied, run = reference.runner_of("encoder", own)
    first, again = run(torch.ones(2, 12))[0], run(torch.ones(2, 12))[0]
    assert torch.equal(first, again)  # no dropout
    assert first.dtype == torch.float32
    assert own.training
    assert not copied.training
    assert all(torch.equal(before[name], value) for name, value in own.state_dict().items())


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "flat"])
def test_layouts_and_ranges_there_and_back(layout: str) -> None:
    data = torch.randint(0, 256, (5, 2, 2, 3), dtype=torch.uint8)
    own = to_own(data, spec(layout=layout, scaled_to=[-1, 1]))
    assert own.dtype == torch.float32
    assert own.shape[1:] == spec(layout=layout).own_shape
    assert float(own.flatten()[0]) == pytest.approx(float(data[0, 0, 0, 0]) / 127.5 - 1)
    assert float(own.abs().max()) <= 1
    torch.testing.assert_close(from_own(own, spec(layout=layout)) * 127.5 + 127.5, data.float())
    if layout == "flat":  # as PyTorch flattens its own pictures
        torch.testing.assert_close(own, (data.float() / 127.5 - 1).permute(0, 3, 1, 2).flatten(1))


@pytest.mark.parametrize("family", ["bernoulli", "binomial"])
def test_the_likelihood_of_an_expectation_is_that_of_its_logits(family: str) -> None:
    likelihood = family_of(spec(likelihood=family))
    assert likelihood is not None
    data = torch.randint(0, 256, (5, 2, 2, 3), dtype=torch.uint8)
    logits = torch.randn(5, 2, 2, 3)
    found = OfExpectation(likelihood)(data, likelihood.expectation(logits))
    torch.testing.assert_close(found, likelihood(data, logits), rtol=1e-4, atol=1e-2)
    extreme = OfExpectation(likelihood)(data, torch.tensor([0.0, 255.0, -3.0, 300.0]).repeat(5, 3).reshape(5, 2, 2, 3))
    assert bool(extreme.isfinite().all())


def test_the_gaussian_is_in_the_datas_units() -> None:
    likelihood = family_of(spec(likelihood="gaussian", likelihood_scale=0.5, scaled_to=[-1, 1]))
    assert likelihood is not None
    data, expectation = torch.randint(0, 256, (5, 2, 2, 3), dtype=torch.uint8), torch.rand(5, 2, 2, 3) * 255
    normal = torch.distributions.Normal(expectation, 0.5 * 127.5)
    expected = normal.log_prob(data.float()).flatten(1).sum(1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(OfExpectation(likelihood)(data, expectation), expected, rtol=1e-4, atol=1e-3)
    assert likelihood.describe().constants["scale"] == pytest.approx(63.75, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"likelihood": "poisson"}, "likelihood: poisson is none of bernoulli, binomial, gaussian, logistic"),
        ({"likelihood": "gaussian"}, "likelihood_scale: must be given for a gaussian likelihood"),
        ({"likelihood": "binomial", "minimum": 1.0}, "likelihood: binomial is for whole numbers from 0 up"),
        ({"likelihood": "logistic"}, "likelihood: logistic needs scales too"),
        (
            {"decoder_outputs": ["logits"], "likelihood": "gaussian", "likelihood_scale": 1.0},
            "likelihood: must be berno",
        ),
    ],
)
def test_likelihoods_that_do_not_fit(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(TrainingError, match=f"^{complaint}"):
        training.export(encoder(), decoder(), SETTINGS | changes, tmp_path / "model")
