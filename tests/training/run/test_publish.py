import numpy as np
import pytest
import torch

from training.data import Dataset, load_dataset, training_rows
from training.models.ae import KIND as AE
from training.run import checkpoint
from training.run.publish import evaluation_rows_of, networks_to_export
from training.settings.config import Config
from training.settings.source import Source
from training.step.state import start
from training.study.subject import validation_rows_of


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


def test_anomalies_are_apart_from_the_held_out_rows_that_figures_are_of() -> None:
    digits = load_dataset(Source(train_classes=("0", "3"), validation_rows=20))
    rows = evaluation_rows_of(digits)
    assert rows.test_labels is not None
    assert rows.anomalies is not None
    assert rows.anomaly_labels is not None
    assert set(rows.test_labels.tolist()) == set(digits.trained_classes) == {0, 3}
    assert set(rows.anomaly_labels.tolist()) == {1, 2, 4, 5, 6, 7, 8, 9}
    assert len(rows.test) + len(rows.anomalies) == len(digits.test)
    assert np.array_equal(rows.anomalies[0], digits.test[digits.are_anomalies][0])
    assert validation_rows_of(digits).anomalies is None
