"""The state of a run: all that changes while training, between two epochs."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.optim import AdamW

from training.data import Dataset
from training.likelihoods import likelihood_of
from training.models import kind_named
from training.models.kind import Kind
from training.models.optimizers import Rates
from training.networks import Sizes
from training.networks.pair import Blueprint, Networks
from training.scaling import scaling_of
from training.settings.config import Config
from training.step.device import device_of
from training.step.length import Continuation
from training.step.memory import check_networks


class Best(NamedTuple):
    """The epoch with the lowest loss on validation rows so far."""

    epoch: int
    """Epochs done when it was measured."""
    validation_nats: float
    weights: Mapping[str, Tensor]
    """The average's state then, on the CPU; never changed. Empty if the run keeps the last epoch."""


@dataclass
class State:
    """All that changes while training, between two epochs, and the kind that changes it."""

    kind: Kind
    networks: Networks
    average: Networks
    """Running average of the networks' weights: what is evaluated and exported."""
    optimizers: dict[str, AdamW]
    """By the name of the loss that each lowers."""
    generator: Generator
    """Source of every random number but the first weights: order of rows, noise."""
    epoch: int = 0
    """Epochs done."""
    kl_weight: float = 1.0
    """After the warm-up: beta, or what it was steered to so far."""
    rollbacks: int = 0
    """How often the run went back to the last whole epoch, each time at half the learning rate."""
    best: Best | None = None
    """The best epoch so far; None where none is validated."""
    continuations: tuple[Continuation, ...] = ()
    """Each time that the run was given another number of epochs; the schedules follow the last."""

    @cached_property
    def weights(self) -> list[Tensor]:
        """The networks' weights, listed once: walking the modules at every step takes some percent of its time."""
        return list(self.networks.parameters())

    @cached_property
    def averages(self) -> list[Tensor]:
        """The average's weights, in the same order."""
        return list(self.average.parameters())

    @cached_property
    def lowered_over(self) -> dict[str, list[Tensor]]:
        """The weights over which each loss is lowered, by the loss's name, listed once."""
        return {name: weights_of(optimizer) for name, optimizer in self.optimizers.items()}

    def moments(self) -> dict[str, tuple[Tensor, dict[Tensor, dict[str, Tensor]]]]:
        """Returns each weight that an optimizer has, by its name, and where that optimizer keeps its moments.

        Raises:
            AssertionError: two optimizers have one weight, so neither could go on from a checkpoint.
        """
        owners: dict[Tensor, AdamW] = {}
        for optimizer in self.optimizers.values():
            for weight in weights_of(optimizer):
                if weight in owners:
                    raise AssertionError("two optimizers share a weight. This is a bug of the model.")
                owners[weight] = optimizer
        named = self.networks.named_parameters()
        return {name: (weight, owners[weight].state) for name, weight in named if weight in owners}


def weights_of(optimizer: AdamW) -> list[Tensor]:
    """Returns the weights that an optimizer changes."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def build(kind: Kind, config: Config, dataset: Dataset) -> Networks:
    """Returns networks with first weights, which the seed alone decides."""
    family = config.likelihood or dataset.family
    scaling = scaling_of(dataset.spec, dataset.train, family)
    likelihood = likelihood_of(family, dataset.spec, scaling)
    sizes = Sizes(config.hidden_sizes, config.blocks)
    blueprint = Blueprint(config.network, sizes, config.latent_size, kind.posterior, likelihood, scaling)
    build_networks = partial(
        kind.networks, blueprint, **{name: getattr(config, name) for name in kind.network_settings}
    )
    check_networks(build_networks)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        networks = build_networks()
    with torch.no_grad():
        networks.decoder.bias.copy_(likelihood.initial_parameters(dataset.train))
    return networks


def start(config: Config, dataset: Dataset) -> State:
    """Returns the state before the first step; the seed alone decides it."""
    device, kind = device_of(config.device), kind_named(config.model)
    networks = build(kind, config, dataset).to(device)
    average = deepcopy(networks).requires_grad_(False)
    optimizers = kind.optimizers(networks, Rates(config.learning_rate, config.weight_decay))
    generator = Generator(device).manual_seed(config.seed)
    return State(kind, networks, average, optimizers, generator, kl_weight=config.beta)
