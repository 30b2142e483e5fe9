"""The training loop: straight-line gradient steps over data that stays in memory, epoch by epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, cos, isfinite, pi
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from training.config import Config
from training.data import Dataset
from training.likelihood import likelihood_of
from training.networks import Networks, initialise
from training.objective import elbo_terms
from vae.errors import TrainingError

ACTIVE_VARIANCE = 0.01  # above it a unit's posterior mean says something (Burda et al., "IWAE", 2016)


@dataclass
class State:
    """All that changes while training, between two epochs."""

    networks: Networks
    average: Networks
    """Running average of the networks' weights: what is evaluated and exported."""
    optimizer: torch.optim.AdamW
    generator: Generator
    """Source of every random number: first weights, order of rows, noise."""
    epoch: int
    """Epochs done."""


class Epoch(NamedTuple):
    """Figures of one epoch, means over its rows, as the weights went along."""

    epoch: int
    """Epochs done, this one included."""
    negative_elbo_nats: float
    reconstruction_nats: float
    kl_nats: float
    """As it is, not as the warm-up weighs it."""
    active_units: int
    kl_weight: float
    """At its last step."""
    learning_rate: float
    """At its last step."""


def start(config: Config, dataset: Dataset) -> State:
    """Returns the state before the first step; the seed alone decides it."""
    likelihood = likelihood_of(dataset.likelihood)
    generator = Generator().manual_seed(config.seed)
    networks = Networks(dataset.spec, config.hidden_sizes, config.latent_size, likelihood)
    initialise(networks, likelihood.initial_parameters(dataset.train), generator)
    average = Networks(dataset.spec, config.hidden_sizes, config.latent_size, likelihood).requires_grad_(False)
    average.load_state_dict(networks.state_dict())
    weights = [parameter for parameter in networks.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in networks.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), foreach=True)
    return State(networks, average, optimizer, generator, epoch=0)


def epochs(config: Config, dataset: Dataset, state: State) -> Iterator[Epoch]:
    """Trains to the last epoch. After each it yields the epoch's figures, and the state is whole.

    Between two yields the state is halfway through an epoch: who may be interrupted copies it at every yield.

    Raises:
        TrainingError: the ELBO is no longer finite.
    """
    rows, encoder, decoder = dataset.train, state.networks.encoder, state.networks.decoder
    steps_per_epoch = ceil(len(rows) / config.batch_size)
    while state.epoch < config.epochs:
        step = state.epoch * steps_per_epoch
        terms, means = [], []
        order = torch.randperm(len(rows), generator=state.generator)
        for batch in torch.split(order, config.batch_size):
            data = rows[batch]
            seen = decoder.likelihood.noisy(data, config.input_noise, state.generator)
            noise = torch.randn(len(batch), config.latent_size, generator=state.generator)
            pace = pace_at(config, step, config.epochs * steps_per_epoch)

            posterior = encoder(seen)
            elbo = elbo_terms(posterior, decoder, data, noise)
            loss = (elbo.reconstruction + pace.kl_weight * elbo.kl).mean()
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for group in state.optimizer.param_groups:
                group["lr"] = pace.learning_rate
            state.optimizer.step()
            follow(state.average, state.networks, pace.average_decay)

            terms.append(torch.stack(elbo).detach())
            means.append(posterior.mean.detach())
            step += 1
        figures = summary(state.epoch + 1, torch.cat(terms, 1), torch.cat(means), pace)
        if not isfinite(figures.negative_elbo_nats):
            raise TrainingError(
                f"training diverged in epoch {figures.epoch}: try a learning_rate below {config.learning_rate:g}"
            )
        state.epoch += 1
        yield figures


class Pace(NamedTuple):
    """What the schedules say about one step."""

    learning_rate: float
    kl_weight: float
    average_decay: float


def pace_at(config: Config, step: int, steps: int) -> Pace:
    """Returns the schedules' values at a step of so many: linear warm-ups, then a cosine down to 1 % for the rate."""
    warmup = min(1.0, (step + 1) / max(1.0, config.learning_rate_warmup * steps))
    cosine = 0.01 + 0.99 * 0.5 * (1 + cos(pi * step / steps))
    return Pace(
        learning_rate=config.learning_rate * warmup * cosine,
        kl_weight=min(1.0, step / max(1.0, config.kl_warmup * steps)),
        # A young average follows closely, so that it forgets the first weights.
        average_decay=min(config.average_decay, (1 + step) / (10 + step)),
    )


def follow(average: Networks, networks: Networks, decay: float) -> None:
    """Moves the average towards the networks' weights by 1 - decay of the way."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(networks.parameters()), 1 - decay)


def summary(epoch: int, terms: Tensor, means: Tensor, pace: Pace) -> Epoch:
    """Returns an epoch's figures from every row's terms [2, rows] and posterior means [rows, latent]."""
    reconstruction, kl = terms.double().mean(1).tolist()
    return Epoch(
        epoch=epoch,
        negative_elbo_nats=reconstruction + kl,
        reconstruction_nats=reconstruction,
        kl_nats=kl,
        active_units=active_units(means),
        kl_weight=pace.kl_weight,
        learning_rate=pace.learning_rate,
    )


def active_units(means: Tensor) -> int:
    """Returns how many latent dimensions have posterior means [rows, latent] that vary from row to row."""
    return int((means.double().var(0) > ACTIVE_VARIANCE).sum())
