"""The training loop: straight-line gradient steps over data that stays in memory, epoch by epoch."""

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from training.data import Dataset
from training.evaluate.aggregate import active_units
from training.models import model_of
from training.objective import Step, TermWeights
from training.settings.config import Config
from training.step.compiling import compiled
from training.step.device import device_of, products
from training.step.guard import Guard
from training.step.inputs import draw_inputs, draw_noise
from training.step.schedule import Pace, pace_at, steered
from training.step.state import State

VALIDATED = 1000  # latents at a time


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


def epochs(config: Config, dataset: Dataset, state: State) -> Iterator[Epoch]:
    """Trains to the last epoch. After each it yields the epoch's figures, and the state is whole.

    Between two yields the state is halfway through an epoch: who may be interrupted copies it at every yield.

    Raises:
        Diverged: several steps in a row had no finite gradient, or the last one left no finite loss.
        TrainingError: the step was to be compiled, and cannot be, or is then another.
    """
    device, networks, generator, model = device_of(config), state.networks, state.generator, model_of(config.model)
    rows, held_out = dataset.train.to(device), dataset.validation.to(device)
    if model.step is None:
        raise AssertionError(f"{config.model} is fitted, it has no steps. This is a bug.")
    objective = compiled(model.step, config, dataset, rows) if config.compile else model.step
    narrowing = products(config, device)
    steps = ceil(len(rows) / config.batch_size)
    while state.epoch < config.epochs:
        guard, terms, means = Guard(steps), [], []
        order = torch.randperm(len(rows), generator=generator, device=device)
        for step, batch in enumerate(torch.split(order, config.batch_size), state.epoch * steps):
            pace = pace_at(config, state, step, steps * config.epochs)
            inputs = draw_inputs(config, dataset, networks, rows[batch], generator)
            weights = TermWeights(torch.tensor(pace.kl_weight), config.free_bits)
            with narrowing:
                found = objective(networks, *inputs, weights)
            if take_step(config, state, found, pace, guard):
                proof = *inputs, weights
            terms.append(torch.stack((found.loss, found.reconstruction, found.kl)).detach())
            means.append(found.mean.detach())
        with torch.no_grad(), narrowing:
            guard.check_end(float(model.step(networks, *proof).loss.mean()))  # nobody goes back to what its end broke
        state.epoch += 1
        validated = validate(config, held_out, state)
        yield summary(
            config, state, torch.cat(terms, 1), torch.cat(means), pace=pace, skipped=guard.skipped, validated=validated
        )


def take_step(config: Config, state: State, found: Step, pace: Pace, guard: Guard) -> bool:
    """Lowers what an objective found: one step of the optimizer, which the average of the weights follows.

    Returns:
        Whether it was taken: without a finite loss and gradient it changes nothing.

    Raises:
        Diverged: several in a row were not.
    """
    loss = found.loss.mean()
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.get_total_norm(weight.grad for weight in state.weights if weight.grad is not None)
    if config.gradient_norm:
        torch.nn.utils.clip_grads_with_norm_(state.weights, config.gradient_norm, norm)
    figures: list[float] = torch.stack((loss, norm, found.kl.mean())).tolist()  # at once: each would wait for the GPU
    loss_nats, gradient_norm, kl_nats = figures
    if not guard.admits(loss_nats, gradient_norm):
        return False
    for group in state.optimizer.param_groups:
        group["lr"] = pace.learning_rate * group["quickness"]
    state.optimizer.step()
    follow(state, pace.average_decay)
    if config.target_rate is not None:
        state.kl_weight = steered(state.kl_weight, kl_nats, config.target_rate)
    return True


def follow(state: State, decay: float) -> None:
    """Moves the average towards the networks' weights by 1 - decay of the way."""
    with torch.no_grad():
        torch._foreach_lerp_(state.averages, state.weights, 1 - decay)


def validate(config: Config, rows: Tensor, state: State) -> float | None:
    """Returns the average's loss on validation rows, the same noise at every call; None where there are none.

    The KL has its full weight: beta, or what it was steered to so far.
    """
    model, generator = model_of(config.model), Generator().manual_seed(0)
    if len(rows) == 0 or model.step is None:
        return None
    weights = TermWeights(state.kl_weight, config.free_bits)
    total = torch.zeros((), dtype=torch.float64, device=rows.device)
    with torch.inference_mode():
        for data in torch.split(rows, max(1, VALIDATED // model.draws(config))):
            noise = draw_noise(config, len(data), generator).to(rows.device)
            total += model.step(state.average, data, data, noise, weights).loss.double().sum()
    return float(total) / len(rows)


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
