"""torch.compile: a compiled step is used only after its gradients were compared with those of the step as written."""

import torch
from torch import Generator, Tensor

from training.data import Dataset
from training.models.kind import Kind, Objective
from training.models.optimizers import Rates
from training.networks.pair import Networks
from training.settings.config import Config
from training.step.device import products
from training.step.inputs import InputSampling, StepInputs, draw_inputs
from training.step.memory import is_lack_of_memory
from training.step.schedule import term_weights
from training.step.state import build, weights_of
from vaeserve.errors import TrainingError, innermost

LARGEST_DIFFERENCE = (
    0.1  # relative, of a parameter's gradient; sound ones differ by 0.007 in bfloat16, unsound ones by 1
)
NUDGE = 0.01  # times normal noise, added to weights: behind weights of zero there would be no gradient to compare


def compiled(kind: Kind, config: Config, dataset: Dataset, device: torch.device) -> Objective:
    """Returns a kind's step, compiled.

    It may be wrong without an error: with PyTorch 2.13, most convolutions in bfloat16 on a CPU got no gradient at all.
    Each size of batch has a graph of its own, so each is tried with the run's first weights.

    Args:
        kind: whose step it is.
        config: the run's.
        dataset: its data.
        device: that computes.

    Raises:
        TrainingError: it cannot be compiled here, or its gradients then differ.
    """
    if kind.step is None:
        raise AssertionError(f"{config.model} is fitted, it has no steps. This is a bug.")
    networks = build(kind, config, dataset).to(device)
    nudge(networks)
    faster: Objective = torch.compile(kind.step, dynamic=False)
    sampling = InputSampling.of(kind, config, dataset)
    for inputs in a_batch_of_every_size(sampling, config.batch_size, networks, dataset.train, device):
        expected = gradients(kind, kind.step, config, networks, inputs)
        try:
            answer = gradients(kind, faster, config, networks, inputs)
        except RuntimeError as exc:
            if is_lack_of_memory(exc):
                raise
            raise TrainingError(f"--compile: PyTorch cannot compile the step here: {innermost(exc)}") from exc
        for name, gradient in expected.items():
            is_same = (answer[name] - gradient).norm() <= LARGEST_DIFFERENCE * gradient.norm()
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


def a_batch_of_every_size(
    sampling: InputSampling, batch_size: int, networks: Networks, rows: Tensor, device: torch.device
) -> list[StepInputs]:
    """Returns a batch, drawn as in training, of every size that the rows are cut into."""
    generator, likelihood = Generator(device).manual_seed(0), networks.decoder.likelihood
    # Indexed as in training, because a slice would get a graph of its own.
    batches = {len(batch): batch for batch in torch.split(torch.arange(len(rows)), batch_size)}
    return [draw_inputs(sampling, likelihood, rows[batch].to(device), generator) for batch in batches.values()]


def gradients(kind: Kind, step: Objective, config: Config, networks: Networks, inputs: StepInputs) -> dict[str, Tensor]:
    """Returns the gradient of each loss by the parameters that it is lowered over, by name; 0 where not reached."""
    optimizers = kind.optimizers(networks, Rates(config.learning_rate, config.weight_decay))
    with products(config.precision, inputs.data.device):
        answer = step(networks, *inputs, term_weights(config, torch.tensor(1.0)))
    names: dict[Tensor, str] = {parameter: name for name, parameter in networks.named_parameters()}
    by_name: dict[str, Tensor] = {}
    for number, (loss, optimizer) in enumerate(optimizers.items(), 1):
        weights, is_last = weights_of(optimizer), number == len(optimizers)
        # A compiled graph whose first backward pass does not retain it can never retain it: it overwrites its buffers.
        by_weight = torch.autograd.grad(answer.lowered(loss), weights, materialize_grads=True, retain_graph=not is_last)
        by_name |= {names[weight]: gradient for weight, gradient in zip(weights, by_weight, strict=True)}
    return by_name
