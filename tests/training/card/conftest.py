"""Pairs to make cards of: the tiny package's images, and a table's linear pair with what its algebra says."""

from typing import NamedTuple

import numpy as np
import pytest

from tests.support.make_coded_package import make
from tests.support.make_tiny_package import TINY
from tests.training.evaluate.conftest import LATENT, LinearGaussian, affine_prior
from training.card.about import About
from training.evaluate.evaluation import Budget, Evaluation
from training.evaluate.evidence import evaluate_pair
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair
from vaeserve.package.directory import ModelPackage

BUDGET = Budget(rows=10, samples=5, draws=2, points=60)


class Subject(NamedTuple):
    """What a card is made of."""

    served: ServedPair
    rows: EvaluationRows
    evaluation: Evaluation


@pytest.fixture(scope="session")
def images() -> Subject:
    random = np.random.default_rng(0)
    train, test = (random.integers(0, 17, (rows, 4, 4, 1)).astype(np.uint8) for rows in (90, 80))
    rows = EvaluationRows(train, test, np.arange(90) % 3, np.arange(80) % 3)
    served = ServedPair.from_package(ModelPackage.open(TINY))
    return Subject(served, rows, evaluate_pair(served, rows, BUDGET))


@pytest.fixture(scope="session")
def coded(images: Subject, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A pair with codes; its figures are those of another."""
    package = make(tmp_path_factory.mktemp("coded") / "package")
    return images._replace(served=ServedPair.from_package(package))


@pytest.fixture(scope="session")
def model() -> LinearGaussian:
    return LinearGaussian(np.random.default_rng(0).normal(size=(LATENT, 6)).astype(np.float32))


@pytest.fixture(scope="session")
def table(model: LinearGaussian) -> Subject:
    served = model.served(priors={"narrow": affine_prior(0.1, 0.0)})
    rows = EvaluationRows(model.draw(300, 3), model.draw(200, 4))
    return Subject(served, rows, evaluate_pair(served, rows, BUDGET))


@pytest.fixture
def about() -> About:
    return About(
        name="tiny",
        model="variational autoencoder",
        data="made-up rows",
        train_rows=90,
        validation_rows=0,
        test_rows=80,
        likelihood="binomial (trials 16)",
        networks="one linear map each way",
        settings={"latent_size": 3, "hidden_sizes": (16, 8), "binarised": True, "network": "linear", "beta": 0.5},
    )
