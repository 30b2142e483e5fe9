"""The best epoch by validation: what is exported, if there are rows to validate on."""

from collections.abc import Collection
from math import isfinite

import torch

from training.data import Dataset
from training.models.kind import Kind
from training.settings.config import Config
from training.step.state import Best, State
from vaeserve.errors import TrainingError


def is_comparable(config: Config, kind: Kind) -> bool:
    """Whether one epoch's loss on validation rows can be compared with another's.

    That of a steered KL cannot, because the KL has another weight in every epoch.
    """
    return kind.validates and config.target_rate is None


def update_best(config: Config, state: State, validated: float | None) -> None:
    """Keeps the epoch that just ended if it is the best so far. Of two equal epochs the earlier counts as better.

    Epoch 0 stands for first weights that come from data, because training may make those worse.

    Args:
        config: the run's.
        state: at the end of an epoch, or before the first.
        validated: the loss of its average on validation rows; None where there are none.
    """
    if validated is None or not isfinite(validated) or not is_comparable(config, state.kind):
        return
    if state.best is not None and validated >= state.best.validation_nats:
        return
    weights = {} if config.keep == "last" else state.average.state_dict()
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in weights.items()
    }
    state.best = Best(state.epoch, validated, copies)


def refuse_without_validation(config: Config, kind: Kind, dataset: Dataset, given: Collection[str]) -> None:
    """Makes sure that the settings about validation rows have an effect.

    Args:
        config: the run's.
        kind: what is trained.
        dataset: the run's data.
        given: names of the settings that a file or a flag sets.

    Raises:
        TrainingError: one has none; the message names its flag.
    """
    needs = {"--keep best": config.keep == "best", "--patience": config.patience > 0}
    flags = [flag for flag, is_set in needs.items() if is_set and flag.split()[0].removeprefix("--") in given]
    if not flags:
        return
    if not kind.validates:
        raise TrainingError(
            f"{flags[0]}: has no effect, because the loss of {config.model} does not say what is better"
        )
    if config.target_rate is not None:
        raise TrainingError(
            f"{flags[0]}: has no effect with --target-rate, because the loss changes as the KL is steered"
        )
    if not len(dataset.validation):
        raise TrainingError(f"{flags[0]}: there are no rows to validate on: set --validation-rows")
