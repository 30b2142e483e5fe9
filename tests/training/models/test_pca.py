import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from training.data import Dataset
from training.likelihoods.gaussian import Gaussian
from training.models.pca import KIND as PCA_KIND
from training.networks.pair import Networks
from training.settings.config import Config
from training.settings.resolve import complete, parse_config
from training.step.loop import epochs
from training.step.state import build, start
from vaeserve.errors import TrainingError

CONFIG = parse_config(complete({"model": "pca", "latent_size": 5}, None))


def fit(config: Config, dataset: Dataset) -> Networks:
    networks = build(PCA_KIND, config, dataset)
    assert PCA_KIND.fit is not None
    PCA_KIND.fit(networks, dataset.train)
    return networks


def test_the_pair_is_scikit_learns(dataset: Dataset) -> None:
    networks = fit(CONFIG, dataset)
    assert isinstance(networks.decoder.likelihood, Gaussian)
    rows = dataset.test.flatten(1).double().numpy()
    pca = PCA(5).fit(dataset.train.flatten(1).double().numpy())
    with torch.inference_mode():
        latent = networks.encoder(dataset.test).mean
        expectation = networks.decoder(latent).expectation.flatten(1).numpy()
    np.testing.assert_allclose(expectation, pca.inverse_transform(pca.transform(rows)), atol=1e-3)
    left = networks.decoder.likelihood.log_scale.exp().item() * 8
    assert left == pytest.approx(pca.noise_variance_**0.5, rel=1e-3)


def test_other_likelihoods_and_too_many_components_are_refused(dataset: Dataset) -> None:
    with pytest.raises(TrainingError, match="--likelihood: pca is the linear model of gaussian data"):
        fit(Config(network="linear", model="pca", likelihood="binomial"), dataset)
    with pytest.raises(TrainingError, match="--latent-size: 64 principal components are all there are"):
        fit(CONFIG.model_copy(update={"latent_size": 65}), dataset)


def test_a_linear_autoencoder_spans_the_same_subspace(dataset: Dataset) -> None:
    config = parse_config(
        {"model": "linear-ae", "network": "linear", "likelihood": "gaussian", "latent_size": 3, "input_noise": 0.0}
        | {
            "epochs": 200,
            "batch_size": 1437,
            "learning_rate": 2e-2,
            "weight_decay": 0.0,
            "average_decay": 0.9,
            "kl_warmup": 0.0,
        }
    )
    state = start(config, dataset)
    list(epochs(config, dataset, state))
    learned = state.average.decoder.body.get_submodule("0").get_parameter("weight").detach().double().numpy()
    pca = PCA(3).fit(dataset.train.flatten(1).double().numpy())
    assert float(subspace_angles(learned, pca.components_.T).max()) < 0.05
