"""Which loss changes which weights, before and after a VAE-GAN becomes adversarial."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from training.data import Dataset
from training.models.vae_gan import DECODER, DISCRIMINATOR, KIND
from training.networks.discriminator import Adversaries, losses_of
from training.objective import LOSS, Step, TermWeights, draw, negative_elbo
from training.settings.config import Config
from training.step.inputs import InputSampling, StepInputs, draw_inputs
from training.step.state import State, start

CONFIG = Config(model="vae-gan", likelihood="gaussian", hidden_sizes=(16, 8), latent_size=3)


@pytest.fixture
def state(dataset: Dataset) -> State:
    return start(CONFIG, dataset)


@pytest.fixture
def inputs(dataset: Dataset, state: State) -> StepInputs:
    generator = torch.Generator().manual_seed(0)
    sampling = InputSampling.of(KIND, CONFIG, dataset)
    return draw_inputs(sampling, state.networks.decoder.likelihood, dataset.train[:32], generator)


def step_at(state: State, inputs: StepInputs, progress: float, features: float = 0.5) -> Step:
    assert KIND.step is not None
    weights = TermWeights(0.7, features=features, adversarial_start=0.3, progress=progress)
    return KIND.step(state.networks, *inputs, weights)


def slopes(loss: Tensor, over: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(over), retain_graph=True, materialize_grads=True))


def test_every_network_has_an_optimizer_of_its_own(state: State) -> None:
    names = {weight: name.partition(".")[0] for name, weight in state.networks.named_parameters()}
    owners = {loss: {names[weight] for weight in weights} for loss, weights in state.lowered_over.items()}  # type: ignore[index]
    assert owners == {LOSS: {"encoder"}, DECODER: {"decoder"}, DISCRIMINATOR: {"discriminator"}}
    assert sum(map(len, state.lowered_over.values())) == len(names)


def test_it_begins_as_a_vae(state: State, inputs: StepInputs) -> None:
    step = step_at(state, inputs, 0.2)
    elbo = negative_elbo(state.networks, inputs.seen, inputs.data, inputs.noise[:1], TermWeights(0.7))
    for loss in (LOSS, DECODER):
        over = state.lowered_over[loss]
        for found, expected in zip(slopes(step.lowered(loss), over), slopes(elbo.loss.mean(), over), strict=True):
            torch.testing.assert_close(found, expected)


def test_then_each_network_lowers_its_own_terms(state: State, inputs: StepInputs) -> None:
    """Computed once more, term by term, as the paper writes them."""
    networks = state.networks
    assert isinstance(networks, Adversaries)
    step, judge, decoder = step_at(state, inputs, 0.3), networks.discriminator, networks.decoder
    posterior = networks.encoder(inputs.seen)
    again, sample = (
        judge(decoder.expectation_of(latent)) for latent in (draw(posterior, inputs.noise[0]), inputs.noise[1])
    )
    rows = judge(inputs.data)
    features = 0.5 * (rows.features - again.features).square().sum(1)
    torch.testing.assert_close(step.loss, 0.7 * step.kl + features)
    game = losses_of(rows, again, sample)
    torch.testing.assert_close(step.lowered(DISCRIMINATOR), game.discriminator.mean())
    body = [weight for name, weight in decoder.named_parameters() if not name.startswith("likelihood")]
    expected = slopes((0.5 * features + game.generator).mean(), body)
    for found, wanted in zip(slopes(step.lowered(DECODER), body), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_learned_scale_still_follows_the_residual(state: State, inputs: StepInputs) -> None:
    scale = list(state.networks.decoder.likelihood.parameters())
    assert len(scale) == 1
    step = step_at(state, inputs, 0.3)
    torch.testing.assert_close(slopes(step.lowered(DECODER), scale), slopes(step.reconstruction.mean(), scale))
