import numpy as np
from scipy.stats import multivariate_normal

from benchmarks.reproductions.linear import probabilistic_pca
from training.data import Dataset
from training.settings.resolve import parse_config
from training.step.loop import epochs
from training.step.state import start


def test_a_linear_vae_becomes_probabilistic_pca(dataset: Dataset) -> None:
    config = parse_config(
        {"network": "linear", "likelihood": "gaussian", "latent_size": 3, "input_noise": 0.0, "weight_decay": 0.0}
        | {"epochs": 150, "batch_size": 1437, "learning_rate": 3e-2, "average_decay": 0.9}
    )
    state = start(config, dataset)
    list(epochs(config, dataset, state))
    decoder = state.average.decoder
    weights = (
        decoder.body.get_parameter("0.weight").detach().double().numpy() * 8
    )  # images are scaled by half their range
    mean = decoder.likelihood.expectation(decoder.bias).detach().double().numpy().ravel()
    noise = (decoder.likelihood.constants["scale"]) ** 2
    rows = dataset.train.flatten(1).double().numpy()
    found = multivariate_normal(mean, weights @ weights.T + noise * np.eye(64)).logpdf(rows).mean()
    closed = probabilistic_pca(rows, 3).nats(rows).mean()
    assert closed - 1e-2 < found <= closed + 1e-6
