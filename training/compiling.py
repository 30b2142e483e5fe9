"""torch.compile: a step that it made is taken once its gradients were seen to be those of the step as written."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from training.memory import is_lack_of_memory
from training.models.model import Inputs, Objective
from training.networks.pair import Networks
from training.objective import Weights
from vae.errors import TrainingError, innermost

LARGEST_DIFFERENCE = 0.1  # of a parameter's gradient; sound ones differ by 0.007 in bfloat16, unsound ones by all of it
NUDGE = 0.01  # added to weights, normally distributed: behind one that begins at zero no gradient would be seen


def compiled(
    step: Objective, networks: Networks, trials: Sequence[Inputs], weights: Weights, narrow: bool
) -> Objective:
    """Returns a step, compiled.

    It may be wrong without a word: with PyTorch 2.13, most convolutions in bfloat16 on a CPU got no gradient at all. So
    each size of batch has a graph of its own, and each is tried.

    Args:
        step: as written.
        networks: to try it on; their weights are changed.
        trials: a batch of every size that there will be, drawn as in training.
        weights: as in training.
        narrow: whether products are bfloat16.

    Raises:
        TrainingError: it cannot be compiled here, or then gives other gradients.
    """
    nudge(networks)
    fast: Objective = torch.compile(step, dynamic=False)
    for inputs in trials:
        expected = gradients(step, networks, inputs, weights, narrow)
        try:
            found = gradients(fast, networks, inputs, weights, narrow)
        except RuntimeError as exc:
            if is_lack_of_memory(exc):
                raise
            raise TrainingError(f"--compile: PyTorch cannot compile the step here: {innermost(exc)}") from exc
        for name, gradient in expected.items():
            is_same = (found[name] - gradient).norm() <= LARGEST_DIFFERENCE * gradient.norm()
            if gradient.isfinite().all() and not is_same:
                raise TrainingError(
                    f"--compile: PyTorch's compiled step gives {name} another gradient than the step as written: leave "
                    "it out, or choose another --network or precision"
                )
    return fast


def nudge(networks: Networks) -> None:
    """Moves every weight a little, always the same way."""
    generator = Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter.add_(NUDGE * torch.randn(parameter.shape, generator=generator).to(parameter.device))


def gradients(step: Objective, networks: Networks, inputs: Inputs, weights: Weights, narrow: bool) -> dict[str, Tensor]:
    """Returns the gradient of a step's mean loss by each parameter, by name; 0 where it does not reach one."""
    with torch.autocast(inputs.data.device.type, torch.bfloat16, enabled=narrow):
        loss = step(networks, *inputs, weights).loss.mean()
    names, parameters = zip(*networks.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters, materialize_grads=True), strict=True))
