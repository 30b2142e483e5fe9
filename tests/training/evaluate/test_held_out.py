from math import log

import pytest
import torch

from training.config import Config
from training.data import Dataset
from training.evaluate.held_out import HeldOut, evaluate, pca_squared_error, squared_error
from training.loop import start


def test_the_figures_belong_together(metrics: HeldOut) -> None:
    assert metrics.negative_elbo_nats == pytest.approx(metrics.reconstruction_nats + metrics.kl_nats)
    assert metrics.bits_per_dimension == pytest.approx(metrics.negative_elbo_nats / 64 / log(2))


def test_the_same_weights_give_the_same_figures_whatever_was_drawn_before(dataset: Dataset) -> None:
    networks = start(Config(), dataset).average
    first = evaluate(networks, dataset)
    torch.manual_seed(7)
    torch.randn(5)
    assert evaluate(networks, dataset) == first


def test_untrained_networks_use_few_nats_and_answer_the_mean_row(dataset: Dataset) -> None:
    metrics = evaluate(start(Config(), dataset).average, dataset)
    about_the_mean = squared_error(dataset.train.float().mean(0), dataset.test)
    assert metrics.squared_error == pytest.approx(about_the_mean, rel=0.1)
    assert metrics.kl_nats < 1


def test_squared_errors_are_sums_over_a_row() -> None:
    assert squared_error(torch.zeros(2, 3, 1), torch.full((2, 3, 1), 2, dtype=torch.uint8)) == 12


def test_pca_with_every_component_is_exact(dataset: Dataset) -> None:
    assert pca_squared_error(dataset, 64) == pytest.approx(0, abs=1e-6)
    assert pca_squared_error(dataset, 200) == pytest.approx(0, abs=1e-6)
    assert pca_squared_error(dataset, 2) > pca_squared_error(dataset, 8) > 100
