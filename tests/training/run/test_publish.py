import numpy as np
import pytest
import torch

from training.data import Dataset, training_rows
from training.models.ae import KIND as AE
from training.run import checkpoint
from training.run.publish import evaluation_rows_of, networks_to_export
from training.settings.config import Config
from training.step.state import start


@pytest.fixture
def binary(dataset: Dataset) -> Dataset:
    return dataset._replace(binarised=True)


def test_latents_without_a_posterior_have_unit_variance_on_the_rows_that_are_evaluated(binary: Dataset) -> None:
    config = Config(model="ae", hidden_sizes=(8,), latent_size=3, likelihood="binomial")
    networks = networks_to_export(AE, checkpoint.take(config, binary, start(config, binary)), binary)
    with torch.inference_mode():
        latents = networks.encoder(torch.from_numpy(evaluation_rows_of(binary).train)).mean.numpy()
    np.testing.assert_allclose(latents.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(latents.std(0), 1, atol=1e-4)


def test_training_rows_are_evaluated_as_held_out_ones_are(dataset: Dataset, binary: Dataset) -> None:
    assert set(np.unique(evaluation_rows_of(binary).train)) == {0, 16}
    np.testing.assert_array_equal(evaluation_rows_of(binary).train, training_rows(binary).numpy())
    np.testing.assert_array_equal(evaluation_rows_of(dataset).train, dataset.train.numpy())
