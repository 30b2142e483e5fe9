from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import training
from tests.flat_pictures import SETTINGS, spec
from training.bring.part import module_part
from vae.errors import TrainingError


class Answering(nn.Module):
    """Answers what a function makes of what a linear layer answers."""

    def __init__(self, function: Callable[[Tensor], object], inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, outputs), nn.Dropout(0.5))
        self.function = function

    def forward(self, *values: Tensor) -> object:
        return self.function(self.layers(*values))


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
        (
            nn.Linear(3, 2),
            r"encoder: mat1 and mat2 shapes cannot be multiplied .*; it is given \[2, 12\] by the spec's shape",
        ),
        (encoder(lambda h: {"mean": h}), "encoder: answers dict, must answer a tensor or a tuple of tensors"),
        (encoder(lambda h: (h, h, h)), "encoder: answers 3 tensors, and it is not clear which is what"),
        (
            encoder(lambda h: h),
            r"encoder: answers moments of shape \[64, 2\] for 64 rows, must answer \[64, 4\] by the spec's latent",
        ),
        (encoder(lambda h: (h[:1], h)), r"encoder: answers mean of shape \[1, 2\] for 64 rows"),
        (
            encoder(lambda h: (h + torch.randn_like(h), h)),
            "encoder: what it answers as mean changes by up to .* from one call",
        ),
        (encoder(normalised), "encoder: what it answers as mean changes by up to .* with the rows beside it"),
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
    with pytest.raises(TrainingError, match=r"^decoder: mat1 .*; it is given \[2, 2\] by the spec's shape"):
        training.export(encoder(), nn.Linear(3, 12), SETTINGS, tmp_path / "model")


def test_the_module_itself_is_left_alone() -> None:
    own = encoder().double().train()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    part = module_part("encoder", own, spec().encoder, (12,))
    first, again = part.run(torch.ones(2, 12))[0], part.run(torch.ones(2, 12))[0]
    assert torch.equal(first, again)  # no dropout
    assert first.dtype == torch.float32
    assert own.training
    assert part.roles == ("mean", "log_variance")
    assert [value.name for value in part.model().graph.input] == ["rows"]
    assert all(torch.equal(before[name], value) for name, value in own.state_dict().items())
