"""The training loop: straight-line gradient steps over data that stays in memory, epoch by epoch."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import ceil, cos, exp, pi
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from training.compiling import compiled
from training.config import Config
from training.data import Dataset, draw_binary
from training.evaluate.aggregate import active_units
from training.guard import Guard
from training.likelihoods import likelihood_of
from training.memory import check_networks
from training.models import model_of
from training.models.model import Inputs, Objective
from training.networks.pair import Networks
from training.objective import Weights
from training.scaling import scaling_of
from vae.errors import TrainingError

STEERING = 0.01  # change of the KL weight's logarithm a step, for each time that the KL misses its target by all of it
VALIDATED = 1000  # latents at a time
STEERED = (1e-3, 1e3)  # where the weight stays


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


class Epoch(NamedTuple):
    """Figures of one epoch, means over its rows, as the weights went along."""

    epoch: int
    """Epochs done, this one included."""
    loss_nats: float
    """What was lowered: the negative ELBO, or another bound, or a part of one."""
    negative_elbo_nats: float | None
    """None for a model without a posterior."""
    reconstruction_nats: float
    kl_nats: float | None
    """As it is, not as it is weighed."""
    active_units: int
    validation_nats: float | None
    """The loss of the average of the weights on the validation rows, at the KL's full weight; None without such."""
    kl_weight: float
    """At its last step."""
    learning_rate: float
    """At its last step."""
    skipped_steps: int
    """Steps without a finite gradient."""


def device_of(config: Config) -> torch.device:
    """Returns where a run computes.

    Raises:
        TrainingError: a GPU was asked for and PyTorch finds none.
    """
    found = torch.cuda.is_available()
    if config.device == "cuda" and not found:
        raise TrainingError("--device: PyTorch finds no GPU that it can use")
    return torch.device("cuda" if found and config.device != "cpu" else "cpu")


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
    weights: list[Tensor] = []
    spared: list[Tensor] = []
    for parameter in networks.parameters():
        is_bias = parameter.ndim <= 1 or parameter is networks.decoder.bias
        (spared if is_bias else weights).append(parameter)
    groups = [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
    generator = Generator(device).manual_seed(config.seed)
    return State(networks, average, optimizer, generator, kl_weight=config.beta)


def epochs(config: Config, dataset: Dataset, state: State) -> Iterator[Epoch]:
    """Trains to the last epoch. After each it yields the epoch's figures, and the state is whole.

    Between two yields the state is halfway through an epoch: who may be interrupted copies it at every yield.

    Raises:
        Diverged: several steps in a row had no finite gradient, or the last one left no finite loss.
        TrainingError: the step was to be compiled, and cannot be, or is then another.
    """
    device, networks, generator = device_of(config), state.networks, state.generator
    rows = dataset.train.to(device)
    model = model_of(config.model)
    if model.step is None:
        raise AssertionError(f"{config.model} is fitted, it has no steps. This is a bug.")
    parameters = list(networks.parameters())
    steps_per_epoch = ceil(len(rows) / config.batch_size)
    narrow = config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")
    objective = faster(model.step, config, dataset, rows, narrow) if config.compile else model.step
    while state.epoch < config.epochs:
        step = state.epoch * steps_per_epoch
        guard, terms, means = Guard(steps_per_epoch), [], []
        order = torch.randperm(len(rows), generator=generator, device=device)
        for batch in torch.split(order, config.batch_size):
            pace = pace_at(config, state, step, config.epochs * steps_per_epoch)
            inputs = drawn(config, dataset, networks, rows[batch], generator)
            weights = Weights(torch.tensor(pace.kl_weight), config.free_bits)

            with torch.autocast(device.type, torch.bfloat16, enabled=narrow):
                found = objective(networks, *inputs, weights)
            loss = found.loss.mean()
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.get_total_norm(
                parameter.grad for parameter in parameters if parameter.grad is not None
            )
            if config.gradient_norm is not None:
                torch.nn.utils.clip_grads_with_norm_(parameters, config.gradient_norm, norm)
            if guard.admits(float(loss.detach()), float(norm)):
                for group in state.optimizer.param_groups:
                    group["lr"] = pace.learning_rate
                state.optimizer.step()
                follow(state.average, networks, pace.average_decay)
                proof = *inputs, weights
                if config.target_rate is not None:
                    state.kl_weight = steered(state.kl_weight, float(found.kl.detach().mean()), config.target_rate)

            terms.append(torch.stack((found.loss, found.reconstruction, found.kl)).detach())
            means.append(found.mean.detach())
            step += 1
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=narrow):
            guard.passes(float(model.step(networks, *proof).loss.mean()))  # nobody is to go back to what its end broke
        state.epoch += 1
        yield summary(
            config,
            state,
            torch.cat(terms, 1),
            torch.cat(means),
            pace=pace,
            skipped=guard.skipped,
            validated=validate(config, dataset, state),
        )


def drawn(config: Config, dataset: Dataset, networks: Networks, rows: Tensor, generator: Generator) -> Inputs:
    """Returns what a step on these rows is given; all that is random in it comes from the generator."""
    data = draw_binary(rows, dataset.spec.maximum, generator) if dataset.binarised else rows
    seen = networks.decoder.likelihood.noisy(data, config.input_noise, generator)
    return Inputs(seen, data, noise_for(config, data, generator))


def noise_for(config: Config, data: Tensor, generator: Generator) -> Tensor:
    """Returns standard normals [draws, rows, latent] for rows of data, from the generator and on its device."""
    draws = model_of(config.model).draws(config)
    return torch.randn(draws, len(data), config.latent_size, generator=generator, device=generator.device)


def faster(step: Objective, config: Config, dataset: Dataset, rows: Tensor, narrow: bool) -> Objective:
    """Returns a step compiled, proved with the first weights on a batch of every size that these rows make.

    Raises:
        TrainingError: it cannot be compiled here, or is then another step.
    """
    networks, generator = build(config, dataset).to(rows.device), Generator(rows.device).manual_seed(0)
    order = torch.arange(len(rows), device=rows.device)
    batches = {len(batch): batch for batch in torch.split(order, config.batch_size)}
    trials = [drawn(config, dataset, networks, rows[batch], generator) for batch in batches.values()]
    return compiled(step, networks, trials, Weights(torch.tensor(1.0), config.free_bits), narrow=narrow)


class Pace(NamedTuple):
    """What the schedules say about one step."""

    learning_rate: float
    kl_weight: float
    average_decay: float


def pace_at(config: Config, state: State, step: int, steps: int) -> Pace:
    """Returns the schedules' values at a step of so many: linear warm-ups, then a cosine down to 1 % for the rate."""
    warmup = min(1.0, (step + 1) / max(1.0, config.learning_rate_warmup * steps))
    kl_steps = config.kl_warmup * steps
    cosine = 0.01 + 0.99 * 0.5 * (1 + cos(pi * step / steps))
    return Pace(
        learning_rate=config.learning_rate * warmup * cosine / 2**state.rollbacks,
        kl_weight=state.kl_weight * (min(1.0, step / kl_steps) if kl_steps else 1.0),
        # A young average follows closely, so that it forgets the first weights.
        average_decay=min(config.average_decay, (1 + step) / (10 + step)),
    )


def steered(kl_weight: float, kl_nats: float, target_nats: float) -> float:
    """Returns the KL's weight after a step: larger where the KL was above its target, smaller where it was below.

    The weight is a Lagrange multiplier, moved in the logarithm (Rezende and Viola, "Taming VAEs", 2018).
    """
    low, high = STEERED
    missed = max(-1.0, min(1.0, kl_nats / target_nats - 1))
    return max(low, min(high, kl_weight * exp(STEERING * missed)))


def follow(average: Networks, networks: Networks, decay: float) -> None:
    """Moves the average towards the networks' weights by 1 - decay of the way."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(networks.parameters()), 1 - decay)


def validate(config: Config, dataset: Dataset, state: State) -> float | None:
    """Returns the average's loss on the validation rows, the same noise at every call; None where there are none.

    The KL has its full weight: beta, or what it was steered to so far.
    """
    rows = dataset.validation
    step = model_of(config.model).step
    if len(rows) == 0 or step is None:
        return None
    device = device_of(config)
    generator = Generator().manual_seed(0)
    weights, total = Weights(state.kl_weight, config.free_bits), 0.0
    with torch.inference_mode():
        for data in torch.split(rows, max(1, VALIDATED // model_of(config.model).draws(config))):
            noise = noise_for(config, data, generator)
            found = step(state.average, data.to(device), data.to(device), noise.to(device), weights)
            total += float(found.loss.double().sum())
    return total / len(rows)


def summary(
    config: Config, state: State, terms: Tensor, means: Tensor, *, pace: Pace, skipped: int, validated: float | None
) -> Epoch:
    """Returns an epoch's figures from every row's loss, reconstruction and KL [3, rows] and means [rows, latent]."""
    finite = terms.isfinite().all(0)
    loss, reconstruction, kl = terms[:, finite].double().mean(1).tolist()
    has_posterior = model_of(config.model).posterior == "gaussian"
    return Epoch(
        epoch=state.epoch,
        loss_nats=loss,
        negative_elbo_nats=reconstruction + kl if has_posterior else None,
        reconstruction_nats=reconstruction,
        kl_nats=kl if has_posterior else None,
        active_units=active_units(means[finite].cpu().numpy()),
        validation_nats=validated,
        kl_weight=pace.kl_weight,
        learning_rate=pace.learning_rate,
        skipped_steps=skipped,
    )
