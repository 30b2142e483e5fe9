from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan

import pytest
import torch

from training.data import Dataset
from training.models.vae import KIND as VAE
from training.settings.config import Config
from training.step.best import refuse_without_validation, update_best
from training.step.state import State, start
from vaeserve.errors import TrainingError


def after(config: Config, state: State, losses: Iterable[float | None]) -> State:
    """Ends an epoch for each loss, whose average is full of the epoch's number."""
    for state.epoch, loss in enumerate(losses, 1):
        for parameter in state.average.parameters():
            parameter.data.fill_(state.epoch)
        update_best(config, state, loss)
    return state


def test_the_epoch_with_the_lowest_loss_is_kept_with_its_weights(tiny: Config, dataset: Dataset) -> None:
    best = after(tiny, start(tiny, dataset), [nan, 9.0, 7.0, 7.0, 8.0, inf]).best
    assert best is not None
    assert (best.epoch, best.validation_nats) == (3, 7.0)
    assert best.weights["encoder.body.1.weight"].flatten().tolist() == [3] * 1024
    assert best.weights.keys() == start(tiny, dataset).average.state_dict().keys()


def test_what_keeps_the_last_epoch_knows_the_best_but_not_its_weights(tiny: Config, dataset: Dataset) -> None:
    best = after(tiny.model_copy(update={"keep": "last"}), start(tiny, dataset), [9.0, 7.0, 8.0]).best
    assert best is not None
    assert (best.epoch, best.validation_nats, best.weights) == (2, 7.0, {})


def test_there_is_no_best_where_losses_cannot_be_compared(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    assert after(tiny, replace(state), [None, None]).best is None
    assert after(tiny.model_copy(update={"target_rate": 6.0}), replace(state), [9.0, 7.0]).best is None
    assert after(tiny, replace(state, kind=VAE._replace(validates=False)), [9.0, 7.0]).best is None


def test_settings_about_validation_rows_are_refused_where_they_have_no_effect(dataset: Dataset) -> None:
    validated = dataset._replace(validation=torch.zeros(9, 8, 8))
    patient, best = Config(patience=10), Config(keep="best")
    for config, key in ((patient, "patience"), (best, "keep")):
        refuse_without_validation(config, VAE, validated, {key})
        refuse_without_validation(config, VAE, dataset, {"seed"})  # a preset's
        with pytest.raises(
            TrainingError, match=rf"^--{key}.*: there are no rows to validate on: set --validation-rows"
        ):
            refuse_without_validation(config, VAE, dataset, {key})
        with pytest.raises(TrainingError, match=rf"^--{key}.*: has no effect with --target-rate, because"):
            refuse_without_validation(config.model_copy(update={"target_rate": 6.0}), VAE, validated, {key})
        with pytest.raises(TrainingError, match=rf"^--{key}.*: has no effect, because the loss of vae does not say"):
            refuse_without_validation(config, VAE._replace(validates=False), validated, {key})
    refuse_without_validation(Config(keep="last"), VAE, dataset, {"keep"})


def test_the_weights_are_kept_as_a_file_takes_them(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"network": "conv", "hidden_sizes": (4,)})
    state = start(config, dataset)
    for parameter in state.average.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    best = after(config, state, [7.0]).best
    assert best is not None
    assert all(tensor.is_contiguous() for tensor in best.weights.values())
