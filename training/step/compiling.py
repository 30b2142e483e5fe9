"""torch.compile: a step that it made is taken once its gradients were seen to be those of the step as written."""

import torch
from torch import Generator, Tensor

from training.data import Dataset
from training.models.model import Objective
from training.networks.pair import Networks
from training.objective import TermWeights
from training.settings.config import Config
from training.step.device import products
from training.step.inputs import Inputs, draw_inputs
from training.step.memory import is_lack_of_memory
from training.step.state import build
from vaeserve.errors import TrainingError, innermost

LARGEST_DIFFERENCE = 0.1  # of a parameter's gradient; sound ones differ by 0.007 in bfloat16, unsound ones by all of it
NUDGE = 0.01  # added to weights, normally distributed: behind one that begins at zero no gradient would be seen


def compiled(step: Objective, config: Config, dataset: Dataset, rows: Tensor) -> Objective:
    """Returns a step, compiled.

    It may be wrong without a word: with PyTorch 2.13, most convolutions in bfloat16 on a CPU got no gradient at all. So
    each size of batch has a graph of its own, and each is tried with the run's first weights.

    Args:
        step: as written.
        config: the run's.
        dataset: its data.
        rows: those that it trains on, where it computes.

    Raises:
        TrainingError: it cannot be compiled here, or then gives other gradients.
    """
    networks = build(config, dataset).to(rows.device)
    nudge(networks)
    faster: Objective = torch.compile(step, dynamic=False)
    for inputs in a_batch_of_every_size(config, dataset, networks, rows):
        expected = gradients(step, config, networks, inputs)
        try:
            found = gradients(faster, config, networks, inputs)
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
    return faster


def nudge(networks: Networks) -> None:
    """Moves every weight a little, always the same way."""
    generator = Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter.add_(NUDGE * torch.randn(parameter.shape, generator=generator).to(parameter.device))


def a_batch_of_every_size(config: Config, dataset: Dataset, networks: Networks, rows: Tensor) -> list[Inputs]:
    """Returns a batch, drawn as in training, of every size that rows are cut into."""
    generator = Generator(rows.device).manual_seed(0)
    order = torch.arange(len(rows), device=rows.device)  # a slice of rows would get a graph that no batch has
    batches = {len(batch): batch for batch in torch.split(order, config.batch_size)}
    return [draw_inputs(config, dataset, networks, rows[batch], generator) for batch in batches.values()]


def gradients(step: Objective, config: Config, networks: Networks, inputs: Inputs) -> dict[str, Tensor]:
    """Returns the gradient of a step's mean loss by each parameter, by name; 0 where it does not reach one."""
    with products(config, inputs.data.device):
        loss = step(networks, *inputs, TermWeights(torch.tensor(1.0), config.free_bits)).loss.mean()
    names, parameters = zip(*networks.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters, materialize_grads=True), strict=True))
