"""The state of a run: all that changes while training, between two epochs."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from training.data import Dataset
from training.likelihoods import likelihood_of
from training.models import model_of
from training.networks.pair import Networks
from training.scaling import scaling_of
from training.settings.config import Config
from training.step.device import device_of
from training.step.memory import check_networks

SCALE_RATE = 0.02  # least learning rate of what a likelihood learns: logarithms, which lie far from where they begin


@dataclass
class State:
    """All that changes while training, between two epochs."""

    networks: Networks
    average: Networks
    """Running average of the networks' weights: what is evaluated and exported."""
    optimizer: torch.optim.AdamW
    generator: Generator
    """Source of every random number but the first weights: order of rows, noise."""
    epoch: int = 0
    """Epochs done."""
    kl_weight: float = 1.0
    """After the warm-up: beta, or what it was steered to so far."""
    rollbacks: int = 0
    """How often the run went back to the last whole epoch, each time at half the learning rate."""

    @cached_property
    def weights(self) -> list[Tensor]:
        """The networks', listed once: to walk the modules at every step takes some percent of its time."""
        return list(self.networks.parameters())

    @cached_property
    def averages(self) -> list[Tensor]:
        """The average's, in the same order."""
        return list(self.average.parameters())


def build(config: Config, dataset: Dataset) -> Networks:
    """Returns networks with first weights, which the seed alone decides."""
    family = config.likelihood or dataset.family
    scaling = scaling_of(dataset.spec, dataset.train, family)
    likelihood = likelihood_of(family, dataset.spec, scaling)
    posterior = model_of(config.model).posterior
    check_networks(config, likelihood, scaling, posterior)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        networks = Networks(config, likelihood, scaling, posterior)
    with torch.no_grad():
        networks.decoder.bias.copy_(likelihood.initial_parameters(dataset.train))
    return networks


def start(config: Config, dataset: Dataset) -> State:
    """Returns the state before the first step; the seed alone decides it."""
    device = device_of(config)
    networks = build(config, dataset).to(device)
    average = deepcopy(networks).requires_grad_(False)
    scales = list(networks.decoder.likelihood.parameters())
    weights: list[Tensor] = []
    spared: list[Tensor] = []
    for parameter in (*networks.encoder.parameters(), *networks.decoder.body.parameters(), networks.decoder.bias):
        is_bias = parameter.ndim <= 1 or parameter is networks.decoder.bias
        (spared if is_bias else weights).append(parameter)
    groups = [
        {"params": weights, "weight_decay": config.weight_decay, "quickness": 1.0},
        {"params": spared, "weight_decay": 0.0, "quickness": 1.0},
        {"params": scales, "weight_decay": 0.0, "quickness": max(1.0, SCALE_RATE / config.learning_rate)},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
    generator = Generator(device).manual_seed(config.seed)
    return State(networks, average, optimizer, generator, kl_weight=config.beta)
