import torch

from training.data import Dataset
from training.models.vae import KIND as VAE
from training.settings.config import Config
from training.step.inputs import InputSampling, draw_inputs
from training.step.state import build


def test_the_encoder_alone_sees_noise(tiny: Config, dataset: Dataset) -> None:
    config, rows = tiny.model_copy(update={"input_noise": 0.5}), dataset.train[:32]
    inputs = draw_inputs(
        InputSampling.of(VAE, config, dataset),
        build(VAE, config, dataset).decoder.likelihood,
        rows,
        torch.Generator().manual_seed(0),
    )
    assert torch.equal(inputs.data, rows)
    assert not torch.equal(inputs.seen, rows)
    assert inputs.noise.shape == (1, 32, config.latent_size)


def test_about_half_of_the_rows_are_mirrored_for_both(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"input_noise": 0.0, "mirror": True})
    rows = dataset.train[:200]
    likelihood = build(VAE, config, dataset).decoder.likelihood
    inputs = draw_inputs(InputSampling.of(VAE, config, dataset), likelihood, rows, torch.Generator().manual_seed(0))
    turned = (inputs.data == rows.flip(2)).flatten(1).all(1)
    assert 60 < int(turned.sum()) < 140
    assert torch.equal(inputs.data[~turned], rows[~turned])
    assert torch.equal(inputs.seen, inputs.data)


def test_what_is_drawn_black_and_white_is_so_for_both(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"input_noise": 0.0, "likelihood": "bernoulli"})
    binary = dataset._replace(binarised=True)
    likelihood = build(VAE, config, binary).decoder.likelihood
    generator = torch.Generator().manual_seed(0)
    first, second = (
        draw_inputs(InputSampling.of(VAE, config, binary), likelihood, binary.train, generator) for _ in range(2)
    )
    assert torch.equal(first.seen, first.data)
    assert set(first.data.flatten().tolist()) == {0, 16}
    assert not torch.equal(first.data, second.data)
