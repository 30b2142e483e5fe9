"""The training loop: plain gradient steps, epoch by epoch."""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce

import torch
from torch import Generator, Tensor

from training.data import Dataset
from training.objective import Step, TermWeights
from training.settings.config import Config
from training.step.best import update_best
from training.step.collected import Collected
from training.step.compiling import compiled
from training.step.device import device_of, near, products
from training.step.epoch import Epoch, summary
from training.step.guard import Guard
from training.step.inputs import InputSampling, draw_inputs, draw_noise
from training.step.length import steps_of_epoch
from training.step.schedule import StepSchedule, position_at, schedule_at, steered, term_weights
from training.step.state import State

VALIDATED = 1000  # latents at once


def epochs(config: Config, dataset: Dataset, state: State) -> Iterator[Epoch]:
    """Trains to the last epoch. After each epoch it yields the epoch's figures, and the state is whole.

    Between two yields the state is halfway through an epoch, so a caller that may be interrupted copies it at each one.

    Raises:
        Diverged: several steps in a row had no finite gradient, or the last one left no finite loss.
        TrainingError: the step was to be compiled but cannot be, or is then another one.
    """
    device, networks, generator, kind = device_of(config.device), state.networks, state.generator, state.kind
    rows, held_out = near(dataset.train, device), near(dataset.validation, device)
    if kind.step is None:
        raise AssertionError(f"{config.model} is fitted, it has no steps. This is a bug.")
    objective = compiled(kind, config, dataset, device) if config.compile else kind.step
    sampling, likelihood = InputSampling.of(kind, config, dataset), networks.decoder.likelihood
    narrowing = products(config.precision, device)
    steps = steps_of_epoch(config, len(rows))
    every = steps * config.epochs
    while state.epoch < config.epochs:
        guard, terms, means = Guard(steps), Collected(len(rows), axis=1), Collected(len(rows))
        order = torch.randperm(len(rows), generator=generator, device=device)
        for number, batch in enumerate(torch.split(order, config.batch_size), state.epoch * steps):
            schedule = schedule_at(config, state, number, every)
            rest(state, position_at(config, state.continuations, max(number - 1, 0), every).progress, schedule.progress)
            inputs = draw_inputs(sampling, likelihood, rows[batch.to(rows.device)].to(device), generator)
            weights = term_weights(config, torch.tensor(schedule.kl_weight), torch.tensor(schedule.progress))
            with narrowing:
                step = objective(networks, *inputs, weights)
            if take_step(config, state, step, schedule, guard):
                proof = *inputs, weights
            terms.add(torch.stack((step.loss, step.reconstruction, step.kl, *step.figures.values())).detach())
            means.add(step.mean.detach())
        with torch.no_grad(), narrowing:  # before the epoch counts, so that no rollback leads to broken weights
            end = kind.step(networks, *proof)
            guard.check_end(float(sum_of(end.lowered(name) for name in state.optimizers)))
        state.epoch += 1
        validated = validate(sampling, term_weights(config, state.kl_weight), held_out, state)
        update_best(config, state, validated)
        figures = terms.whole, means.whole, step.figures
        yield summary(state, *figures, steps=number + 1, schedule=schedule, skipped=guard.skipped, validated=validated)


def lowered_at(state: State, progress: float) -> list[str]:
    """Returns the names of the losses that a step lowers, in the order of their optimizers.

    Args:
        state: the run.
        progress: the share of its steps that are done.
    """
    lowers = state.kind.lowers
    return [name for name in state.optimizers if lowers is None or name in lowers(progress)]


def rest(state: State, before: float, now: float) -> None:
    """Sets weights whose loss is no longer lowered to their average: they are exported like that.

    So what is trained from then on is trained for the weights that are exported.

    Args:
        state: the run.
        before: the share of its steps that was done at the last step.
        now: the share that is done.
    """
    for name in set(lowered_at(state, before)) - set(lowered_at(state, now)):
        resting = set(state.lowered_over[name])
        with torch.no_grad():
            for weight, average in zip(state.weights, state.averages, strict=True):
                if weight in resting:
                    weight.copy_(average)


def take_step(config: Config, state: State, step: Step, schedule: StepSchedule, guard: Guard) -> bool:
    """Takes one step of each optimizer, down its own loss over its own weights; then moves the average.

    Optimizers rest whose losses the kind does not lower at this step.

    Returns:
        Whether it was taken: without finite losses and gradients it changes nothing.

    Raises:
        Diverged: several steps in a row were not taken.
    """
    names = lowered_at(state, schedule.progress)
    losses = {name: step.lowered(name) for name in names}
    norms = backpropagate(losses, state, config.gradient_norm)
    # In one transfer, because each would wait for the GPU.
    figures: list[float] = torch.stack((sum_of(losses.values()), sum_of(norms), step.kl.mean())).tolist()
    loss_nats, gradient_norm, kl_nats = figures
    if not guard.admits(loss_nats, gradient_norm):
        return False
    for name in names:
        optimizer = state.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * group["rate_factor"]
        optimizer.step()
    update_average(state, schedule.average_decay)
    if config.target_rate is not None:
        state.kl_weight = steered(state.kl_weight, kl_nats, config.target_rate)
    return True


def backpropagate(losses: Mapping[str, Tensor], state: State, gradient_norm: float) -> list[Tensor]:
    """Sets the gradient of each loss by the weights over which it is lowered, and returns the gradients' norms.

    A loss leaves the gradients of other weights alone, although it may depend on them.
    """
    norms = list[Tensor]()
    *_, last = losses
    for name, loss in losses.items():
        weights = state.lowered_over[name]
        state.optimizers[name].zero_grad()
        loss.backward(inputs=weights, retain_graph=name != last)  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.get_total_norm(weight.grad for weight in weights if weight.grad is not None)
        if gradient_norm:
            torch.nn.utils.clip_grads_with_norm_(weights, gradient_norm, norm)
        norms.append(norm)
    return norms


def sum_of(values: Iterable[Tensor]) -> Tensor:
    """Returns the sum of one tensor or more; it is not finite if one of them is not."""
    return reduce(torch.add, values)


def update_average(state: State, decay: float) -> None:
    """Moves the average towards the networks' weights by 1 - decay of the way."""
    with torch.no_grad():
        torch._foreach_lerp_(state.averages, state.weights, 1 - decay)


def validate(sampling: InputSampling, weights: TermWeights, rows: Tensor, state: State) -> float | None:
    """Returns the average's loss on validation rows, with the same noise at every call.

    None where there are no rows, or the loss says nothing about which epoch is better.

    Args:
        sampling: how a step's inputs are drawn.
        weights: of the terms; the KL's is its full weight: beta, or what it was steered to so far.
        rows: the validation rows.
        state: the run, whose average of the weights is measured.
    """
    step, generator = state.kind.step, Generator().manual_seed(0)
    if len(rows) == 0 or step is None or not state.kind.validates:
        return None
    device = state.generator.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    with torch.inference_mode():
        for part in torch.split(rows, max(1, VALIDATED // sampling.draws)):
            data, noise = part.to(device), draw_noise(sampling, len(part), generator).to(device)
            total += step(state.average, data, data, noise, weights).loss.double().sum()
    return float(total) / len(rows)
