from dataclasses import replace
from itertools import islice
from math import isfinite, log

import pytest
import torch
from torch import Tensor, nn

from training.data import Dataset
from training.models.vae import KIND as VAE
from training.networks.pair import DiagonalGaussian
from training.objective import LOSS, TermWeights, negative_elbo
from training.run import checkpoint
from training.settings.config import Config
from training.step.guard import Diverged
from training.step.inputs import InputSampling
from training.step.loop import epochs, update_average, validate
from training.step.schedule import term_weights
from training.step.state import State, start


def weights(state: State) -> Tensor:
    both = (*state.networks.parameters(), *state.average.parameters())
    return torch.cat([parameter.detach().flatten() for parameter in both])


def validated(config: Config, dataset: Dataset, rows: Tensor, state: State) -> float | None:
    return validate(InputSampling.of(VAE, config, dataset), term_weights(config, state.kl_weight), rows, state)


def trained(config: Config, dataset: Dataset) -> State:
    state = start(config, dataset)
    assert len(list(epochs(config, dataset, state))) == config.epochs
    return state


def test_training_lowers_the_negative_elbo(tiny: Config, dataset: Dataset) -> None:
    figures = list(epochs(tiny, dataset, start(tiny, dataset)))
    assert [epoch.epoch for epoch in figures] == [1, 2, 3]
    assert figures[-1].loss_nats < figures[0].loss_nats
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


def test_the_average_follows(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    for parameter in state.networks.parameters():
        parameter.data.fill_(1.0)
    for parameter in state.average.parameters():
        parameter.data.fill_(0.0)
    update_average(state, 0.9)
    torch.testing.assert_close(next(state.average.parameters()).mean(), torch.tensor(0.1))


def test_a_finished_run_has_no_epochs_left(tiny: Config, dataset: Dataset) -> None:
    state = replace(start(tiny, dataset), epoch=tiny.epochs)
    assert list(epochs(tiny, dataset, state)) == []


def test_steps_that_lead_nowhere_end_an_epoch(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"learning_rate": 1e30, "learning_rate_warmup": 0.0, "batch_size": 64})
    with pytest.raises(Diverged, match="5 steps in a row without a finite loss and gradient"):
        list(epochs(config, dataset, start(config, dataset)))


@pytest.mark.parametrize("batch_size", [1437, 500])
def test_few_steps_an_epoch_end_as_many_do(tiny: Config, dataset: Dataset, batch_size: int) -> None:
    config = tiny.model_copy(update={"learning_rate": 1e30, "learning_rate_warmup": 0.0, "batch_size": batch_size})
    state = start(config, dataset)
    with pytest.raises(Diverged):
        list(epochs(config, dataset, state))
    assert state.epoch == 0  # there is no later epoch whose weights are broken, that one could go back to


def test_a_single_bad_step_changes_nothing_and_is_counted(tiny: Config, dataset: Dataset) -> None:
    state = start(tiny, dataset)
    calls = iter(range(100))

    def spoil(_module: nn.Module, _inputs: object, output: DiagonalGaussian) -> DiagonalGaussian:
        return output._replace(mean=output.mean * float("inf")) if next(calls) == 2 else output

    state.networks.encoder.register_forward_hook(spoil)
    figures = next(epochs(tiny, dataset, state))
    assert figures.skipped_steps == 1
    assert isfinite(figures.loss_nats)
    assert bool(weights(state).isfinite().all())


def test_the_kl_is_steered_to_its_target(dataset: Dataset) -> None:
    config = Config(target_rate=6.0, epochs=60, hidden_sizes=(64,))
    state = start(config, dataset)
    *_, last = epochs(config, dataset, state)
    assert last.kl_nats == pytest.approx(6.0, rel=0.1)
    assert state.kl_weight > 1.5


def test_a_steered_run_goes_on_where_it_was(dataset: Dataset) -> None:
    config = Config(target_rate=6.0, epochs=4, hidden_sizes=(16,), samples=2)
    whole = start(config, dataset)
    going = epochs(config, dataset, whole)
    next(going)
    kept = checkpoint.restore(checkpoint.take(config, dataset, whole), dataset)
    list(going)
    list(epochs(config, dataset, kept))
    assert kept.kl_weight == whole.kl_weight
    assert torch.equal(weights(kept), weights(whole))


def test_the_average_is_validated_at_the_full_weight_with_the_same_noise_every_time(
    tiny: Config, dataset: Dataset
) -> None:
    rows = dataset.test
    state = replace(start(tiny, dataset), kl_weight=2.5)
    for parameter in state.networks.parameters():
        parameter.data.fill_(0.0)
    noise = torch.randn(1, len(rows), tiny.latent_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = negative_elbo(state.average, rows, rows, noise, TermWeights(kl=2.5)).loss.double().mean()
    assert validated(tiny, dataset, rows, state) == pytest.approx(float(expected), rel=1e-6)
    assert validated(tiny, dataset, rows, state) == validated(tiny, dataset, rows, state)
    assert validated(tiny, dataset, rows[:0], state) is None


def test_a_run_validates_where_there_are_rows_for_it(tiny: Config, dataset: Dataset) -> None:
    held_out = dataset._replace(validation=dataset.test)
    state = start(tiny, held_out)
    assert next(epochs(tiny, held_out, state)).validation_nats == validated(tiny, dataset, dataset.test, state)
    assert next(epochs(tiny, dataset, start(tiny, dataset))).validation_nats is None
    silent = replace(state, kind=state.kind._replace(validates=False))
    assert validated(tiny, dataset, dataset.test, silent) is None


def test_long_gradients_are_shortened(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"gradient_norm": 1e-3, "epochs": 1})
    state, lengths = start(config, dataset), list[float]()
    parameters = list(state.networks.parameters())
    state.optimizers[LOSS].register_step_pre_hook(
        lambda *_: lengths.append(float(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm()))
    )
    list(epochs(config, dataset, state))
    assert lengths == pytest.approx([1e-3] * len(lengths), rel=1e-2)
    assert lengths


def test_narrow_products_train_as_well(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"precision": "bfloat16", "epochs": 10})
    narrow = list(epochs(config, dataset, start(config, dataset)))[-1]
    config = config.model_copy(update={"precision": "float32"})
    wide = list(epochs(config, dataset, start(config, dataset)))[-1]
    assert narrow.loss_nats == pytest.approx(wide.loss_nats, rel=0.02)
    assert narrow.loss_nats != wide.loss_nats


def test_the_scale_is_what_the_residual_says(tiny: Config, dataset: Dataset) -> None:
    """It begins at half the range, 127 levels, and is not to move as slowly as the networks do."""
    spec = dataset.spec.model_copy(update={"maximum": 255.0})
    grey = dataset._replace(spec=spec, family="gaussian", train=(dataset.train.float() * 255 / 16).round().byte())
    config = tiny.model_copy(update={"hidden_sizes": (64,), "latent_size": 8, "input_noise": 0.0, "batch_size": 64})
    config = config.model_copy(update={"learning_rate": 5e-4, "epochs": 30, "weight_decay": 0.0})
    state = start(config, grey)
    *_, last = epochs(config, grey, state)
    pair = state.average
    with torch.inference_mode():
        found = pair.decoder(pair.encoder(grey.train).mean).expectation
    left = float((found - grey.train.float()).square().mean().sqrt())
    assert left < 50
    assert pair.decoder.likelihood.constants["scale"] == pytest.approx(left, rel=0.1)
    assert last.loss_nats < 64 * log(256)


def test_binary_rows_are_drawn_anew_at_every_step(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"likelihood": "bernoulli", "input_noise": 0.0, "epochs": 1})
    binary = dataset._replace(binarised=True)
    state = start(config, binary)
    seen = []
    state.networks.encoder.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    list(epochs(config, binary, state))
    values = torch.cat(seen)
    assert set(values.flatten().tolist()) == {0, 16}
    torch.testing.assert_close(values.mean(0), dataset.train.float().mean(0), atol=1.5, rtol=0)
