"""Optimizers and their parameter groups: which weights decay, and which learn at a rate of their own."""

from typing import NamedTuple

from torch import nn
from torch.optim import AdamW

from training.likelihoods.likelihood import Likelihood
from training.objective import LOSS

SCALE_RATE = 0.02  # minimum learning rate of a likelihood's own parameters: logarithms, which start far from their goal


class Rates(NamedTuple):
    """What the settings say about optimizers."""

    learning_rate: float
    weight_decay: float


def one_optimizer(networks: nn.Module, rates: Rates) -> dict[str, AdamW]:
    """Returns one optimizer, which lowers the loss over every weight."""
    return {LOSS: adamw(networks, rates=rates)}


def adamw(*modules: nn.Module, rates: Rates, betas: tuple[float, float] = (0.9, 0.99)) -> AdamW:
    """Returns AdamW over the weights of some modules.

    Biases do not decay. What a likelihood learns does not decay either, and its learning rate is at least SCALE_RATE:
    each step multiplies the scheduled learning rate by a group's `rate_factor`.
    """
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    scales = [
        weight
        for each in modules
        for part in each.modules()
        if isinstance(part, Likelihood)
        for weight in part.parameters()
    ]
    of_likelihoods = set(scales)
    for name, weight in (named for module in modules for named in module.named_parameters()):
        if weight not in of_likelihoods:
            is_bias = weight.ndim <= 1 or name.rpartition(".")[2] == "bias"
            (spared if is_bias else decayed).append(weight)
    groups = [
        {"params": decayed, "weight_decay": rates.weight_decay, "rate_factor": 1.0},
        {"params": spared, "weight_decay": 0.0, "rate_factor": 1.0},
        {"params": scales, "weight_decay": 0.0, "rate_factor": max(1.0, SCALE_RATE / rates.learning_rate)},
    ]
    return AdamW(groups, lr=rates.learning_rate, betas=betas, fused=True)
