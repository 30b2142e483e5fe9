"""The schedules: what changes from step to step, by the step's number or by the KL so far."""

from collections.abc import Sequence
from math import cos, exp, pi
from typing import NamedTuple

from torch import Tensor

from training.objective import TermWeights
from training.settings.config import Config
from training.step.length import Continuation
from training.step.state import State

STEERING = 0.01  # maximum change of the KL weight's logarithm in a step, where the KL misses its target by 100 %
STEERED = (1e-3, 1e3)  # the range in which the weight stays


class StepSchedule(NamedTuple):
    """What the schedules say about one step."""

    learning_rate: float
    kl_weight: float
    average_decay: float
    progress: float
    """The share of the run's steps that are done."""


class SchedulePosition(NamedTuple):
    """How far the schedules are before a step."""

    warmup: float
    """The learning rate's warm-up, a factor."""
    cosine: float
    """The learning rate as a share of the highest, without the warm-up."""
    progress: float
    """The share of the run's steps that are done."""


def schedule_at(config: Config, state: State, step: int, steps: int) -> StepSchedule:
    """Returns the schedules' values at a step: linear warm-ups, then for the learning rate a cosine down to 1 %.

    Args:
        config: the run's.
        state: of the run; with each continuation the learning rate begins at its highest again.
        step: number of steps before it.
        steps: of the whole run.
    """
    at = position_at(config, state.continuations, step, steps)
    return StepSchedule(
        learning_rate=config.learning_rate * at.warmup * at.cosine / 2**state.rollbacks,
        kl_weight=state.kl_weight * (min(1.0, at.progress / config.kl_warmup) if config.kl_warmup else 1.0),
        # Early on the average follows closely, so that it forgets the first weights.
        average_decay=min(config.average_decay, (1 + step) / (10 + step)),
        progress=at.progress,
    )


def position_at(config: Config, continuations: Sequence[Continuation], step: int, steps: int) -> SchedulePosition:
    """Returns how far the schedules are.

    Args:
        config: the run's.
        continuations: of the run.
        step: number of steps before.
        steps: of the whole run.
    """
    if not continuations:
        warmup = min(1.0, (step + 1) / max(1.0, config.learning_rate_warmup * steps))
        return SchedulePosition(warmup, _cosine(step, steps), step / steps)
    last = continuations[-1]
    before = last.epoch * steps // config.epochs
    done, every = step - before, steps - before
    return SchedulePosition(1.0, _cosine(done, every), last.progress + (1 - last.progress) * done / every)


def _cosine(step: int, steps: int) -> float:
    """Returns the learning rate on its way from the highest to the lowest, as a share of the highest."""
    return 0.01 + 0.99 * 0.5 * (1 + cos(pi * step / steps))


def term_weights(config: Config, kl_weight: Tensor | float, progress: Tensor | float = 1.0) -> TermWeights:
    """Returns the weights of a step's terms, and the share of the steps that are done."""
    return TermWeights(kl_weight, config.free_bits, config.feature_weight, config.adversarial_start, progress)


def steered(kl_weight: float, kl_nats: float, target_nats: float) -> float:
    """Returns the KL's weight after a step: larger if the KL was above its target, smaller if it was below.

    The weight is a Lagrange multiplier, moved in the logarithm (Rezende and Viola, "Taming VAEs", 2018).
    """
    low, high = STEERED
    missed = max(-1.0, min(1.0, kl_nats / target_nats - 1))
    return max(low, min(high, kl_weight * exp(STEERING * missed)))
