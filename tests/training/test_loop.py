from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from training import checkpoint
from training.config import Config
from training.data import Dataset
from training.loop import State, active_units, epochs, follow, pace_at, start
from vae.errors import TrainingError


def weights(state: State) -> Tensor:
    both = (*state.networks.parameters(), *state.average.parameters())
    return torch.cat([parameter.detach().flatten() for parameter in both])


def trained(config: Config, dataset: Dataset) -> State:
    state = start(config, dataset)
    assert len(list(epochs(config, dataset, state))) == config.epochs
    return state


def test_training_lowers_the_negative_elbo(tiny: Config, dataset: Dataset) -> None:
    figures = list(epochs(tiny, dataset, start(tiny, dataset)))
    assert [epoch.epoch for epoch in figures] == [1, 2, 3]
    assert figures[-1].negative_elbo_nats < figures[0].negative_elbo_nats
    assert figures[-1].kl_weight == 1


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tiny: Config, dataset: Dataset) -> None:
    first, again = trained(tiny, dataset), trained(tiny, dataset)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(trained(tiny.model_copy(update={"seed": 1}), dataset)))


def test_a_run_interrupted_within_an_epoch_goes_on_to_the_same_bits(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    calls = iter(range(100))

    def interrupt(_module: nn.Module, _inputs: object, _output: object) -> None:
        if next(calls) == 9:  # six steps make an epoch: in the middle of the second
            raise KeyboardInterrupt

    hook = state.networks.encoder.register_forward_hook(interrupt)
    kept = checkpoint.take(tiny, dataset, state)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for _ in epochs(tiny, dataset, state):
            kept = checkpoint.take(tiny, dataset, state)
    hook.remove()
    assert kept.epoch == 1

    resumed = checkpoint.restore(kept, dataset)
    list(epochs(tiny, dataset, resumed))
    assert torch.equal(weights(resumed), weights(trained(tiny, dataset)))


def test_a_checkpoint_does_not_change_with_the_state(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    going = epochs(tiny, dataset, state)
    next(going)
    kept = checkpoint.take(tiny, dataset, state)
    before = {name: tensor.clone() for name, tensor in kept.tensors.items()}
    list(islice(going, 1))
    assert all(torch.equal(before[name], tensor) for name, tensor in kept.tensors.items())


def test_the_schedules() -> None:
    config = Config()
    assert pace_at(config, 0, 1000).kl_weight == 0
    assert pace_at(config, 50, 1000).kl_weight == pytest.approx(0.5)
    assert pace_at(config, 100, 1000).kl_weight == 1
    assert pace_at(config, 0, 1000).learning_rate == pytest.approx(config.learning_rate / 20)
    assert pace_at(config, 20, 1000).learning_rate == pytest.approx(config.learning_rate, rel=0.01)
    assert pace_at(config, 999, 1000).learning_rate == pytest.approx(config.learning_rate / 100, rel=0.01)
    assert pace_at(config, 0, 1000).average_decay == pytest.approx(0.1)
    assert pace_at(config, 999, 1000).average_decay == config.average_decay


def test_no_warm_up_means_none() -> None:
    config = Config(kl_warmup=0.0, learning_rate_warmup=0.0)
    assert pace_at(config, 1, 1000).kl_weight == 1
    assert pace_at(config, 0, 1000).learning_rate == config.learning_rate


def test_weight_decay_spares_biases(tiny: Config, dataset: Dataset) -> None:
    weighed, spared = start(tiny, dataset).optimizer.param_groups
    assert weighed["weight_decay"] == tiny.weight_decay
    assert spared["weight_decay"] == 0
    assert all(parameter.ndim == 1 for parameter in spared["params"])


def test_the_average_follows(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    for parameter in state.networks.parameters():
        parameter.data.fill_(1.0)
    for parameter in state.average.parameters():
        parameter.data.fill_(0.0)
    follow(state.average, state.networks, 0.9)
    torch.testing.assert_close(next(state.average.parameters()).mean(), torch.tensor(0.1))


def test_active_units_are_those_whose_mean_varies() -> None:
    means = torch.tensor([[0.0, 1.0, -0.05], [0.0, -1.0, 0.05]])
    assert active_units(means) == 1


def test_a_finished_run_has_no_epochs_left(tiny: Config, dataset: Dataset) -> None:
    state = replace(start(tiny, dataset), epoch=tiny.epochs)
    assert list(epochs(tiny, dataset, state)) == []


def test_a_run_that_diverges_says_so(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"learning_rate": 1e30, "learning_rate_warmup": 0.0})
    with pytest.raises(TrainingError, match="training diverged in epoch 1: try a learning_rate below 1e\\+30"):
        list(epochs(config, dataset, start(config, dataset)))
