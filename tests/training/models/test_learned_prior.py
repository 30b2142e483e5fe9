"""A kind that learns its prior: the file `own/vamp_vae.py` and a line in MODELS."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import training.models
from tests.support.servers import start as start_server
from training import cli
from training.export.onnx_runner import open_session, run
from training.models import MODELS, POSTERIOR, STEPS, Entry, kind_named
from training.run import checkpoint
from training.run.checkpoint import CHECKPOINT_FILE
from training.run.publish import networks_to_export
from training.run.run import data_of
from vaeserve import Client
from vaeserve.package.directory import ModelPackage

NAME = "vamp-vae"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.models, "__path__", [*training.models.__path__, str(Path(__file__).parent / "own")])
    monkeypatch.setitem(MODELS, NAME, Entry({}, (*STEPS, *POSTERIOR)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    brief = tmp_path / "brief.toml"
    brief.write_text("epochs = 2\nlatent_size = 3\nmixture_components = 2\nevaluation_samples = 10\n")
    assert cli.train(["digits", "--out", str(tmp_path / "run"), "--model", NAME, "--config", str(brief)]) == 0
    return tmp_path / "run"


def test_the_learned_prior_is_exported_and_served_by_default(directory: Path) -> None:
    package = ModelPackage.open(directory / "model")
    assert [prior.name for prior in package.manifest.priors] == ["standard", "learned", "mixture"]
    assert package.manifest.default_prior == "learned"
    assert {"learned_hole_fraction", "mixture_hole_fraction"} <= package.manifest.metrics.keys()

    last = checkpoint.read(directory / CHECKPOINT_FILE)
    networks: Any = networks_to_export(kind_named(NAME), last, data_of(last))
    graph = package.manifest.priors[1].density
    assert graph is not None
    latent = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    (log_prior,) = run(open_session("density.learned", package.read(graph)), {"latent": latent}, ["log_prior"])
    np.testing.assert_allclose(log_prior, networks.log_prior(torch.from_numpy(latent)), rtol=1e-4, atol=1e-4)

    server = start_server(directory / "model")
    try:
        with Client(server.target) as client:
            first, named, other = (
                client.sample(1000, seed=1, prior=prior, include_latent=True).latent
                for prior in ("", "learned", "standard")
            )
    finally:
        server.stop()
    assert first is not None
    assert other is not None
    np.testing.assert_array_equal(first, named)
    assert not np.array_equal(first, other)
    mean, log_variance = networks.components()
    deviation = (log_variance.exp().mean(0) + mean.var(0, correction=0)).sqrt().numpy()
    np.testing.assert_allclose(first.mean(0), mean.mean(0), atol=4 * deviation.max() / 1000**0.5)
    np.testing.assert_allclose(first.std(0), deviation, rtol=0.15)
