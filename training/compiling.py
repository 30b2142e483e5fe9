"""torch.compile: a step that it made is taken once its gradients were seen to be those of the step as written."""

from typing import NamedTuple

import torch
from torch import Tensor

from training.memory import is_lack_of_memory
from training.models.model import Objective
from training.networks.pair import Networks
from training.objective import Weights
from vae.errors import TrainingError, innermost

LARGEST_DIFFERENCE = 0.1  # of a parameter's gradient; sound ones differ by 0.007 in bfloat16, unsound ones by all of it


class Trial(NamedTuple):
    """What both are run on."""

    networks: Networks
    data: Tensor  # [batch, *row_shape]
    noise: Tensor  # [draws, batch, latent]
    weights: Weights
    narrow: bool
    """Whether in bfloat16."""


def compiled(step: Objective, trial: Trial) -> Objective:
    """Returns a step, compiled.

    It may be wrong without a word: with PyTorch 2.13, convolutions in bfloat16 on a CPU got no gradient at all.

    Raises:
        TrainingError: it cannot be compiled here, or then gives other gradients.
    """
    fast = torch.compile(step)
    expected = gradients(step, trial)
    try:
        found = gradients(fast, trial)
    except RuntimeError as exc:
        if is_lack_of_memory(exc):
            raise
        raise TrainingError(f"--compile: PyTorch cannot compile the step here: {innermost(exc)}") from exc
    for name, gradient in expected.items():
        if not (found[name] - gradient).norm() <= LARGEST_DIFFERENCE * gradient.norm():  # also where it is NaN
            raise TrainingError(
                f"--compile: PyTorch's compiled step gives {name} another gradient than the step as written: leave it "
                "out, or choose another --network or precision"
            )
    return fast


def gradients(step: Objective, trial: Trial) -> dict[str, Tensor]:
    """Returns the gradient of a step's mean loss by each parameter that it reaches, by name."""
    networks, data, noise, weights, narrow = trial
    with torch.autocast(data.device.type, torch.bfloat16, enabled=narrow):
        loss = step(networks, data.float(), data, noise, weights).loss.mean()
    names, parameters = zip(*networks.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}
