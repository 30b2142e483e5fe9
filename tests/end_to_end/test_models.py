"""Every model: trained by the command, served beside the others, sampled from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.servers import RunningServer, start
from training import cli
from training.models import MODELS, model_of
from vae import Client
from vae.errors import CallError

QUICK = "epochs = 2\nlatent_size = 3\nbatch_size = 512\nevaluation_samples = 10\nmixture_components = 2\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("models")
    quick = directory / "quick.toml"
    quick.write_text(QUICK)
    for model in MODELS:
        arguments = ["digits", "--out", str(directory / model), "--name", model, "--model", model]
        assert cli.train([*arguments, "--config", str(quick)]) == 0
    running = start(directory)
    yield running
    log = running.stop()
    assert "Traceback" not in log


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_trained_served_and_sampled_from(served: RunningServer, model: str) -> None:
    with Client(served.target) as client:
        described = client.get_model(model)
        assert [prior.name for prior in described.priors] == ["standard", "mixture"]
        assert described.posterior == model_of(model).posterior
        assert described.default_prior == ("standard" if described.posterior == "gaussian" else "mixture")
        for prior in ("standard", "mixture"):
            sampled = client.sample(5, seed=1, prior=prior, include_latent=True, model=model)
            assert sampled.output.shape == (5, 8, 8, 1)
            assert sampled.output.dtype == np.uint8
            assert sampled.latent is not None
            again = client.decode(sampled.latent, model=model).output
            np.testing.assert_array_equal(again, sampled.output)
        means = client.encode(sampled.output, model=model)
        assert means.latent.shape == (5, 3)


def test_a_model_without_a_posterior_says_so(served: RunningServer) -> None:
    rows = np.zeros((1, 8, 8, 1), np.uint8)
    with Client(served.target) as client, pytest.raises(CallError) as raised:
        client.encode(rows, output="sample", model="ae")
    assert (raised.value.code, raised.value.reason) == ("FAILED_PRECONDITION", "NO_POSTERIOR")


def test_latents_of_one_model_are_not_decoded_by_another(served: RunningServer) -> None:
    rows = np.zeros((1, 8, 8, 1), np.uint8)
    with Client(served.target) as client, pytest.raises(CallError) as raised:
        client.decode(client.encode(rows, model="vae"), model="iwae")
    assert raised.value.reason == "FINGERPRINT_MISMATCH"


def test_a_run_leaves_its_evidence(served: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    (directory,) = (path for path in tmp_path_factory.getbasetemp().glob("models*") if (path / "vae").is_dir())
    for model in MODELS:
        names = {path.name for path in (Path(directory) / model / "model").iterdir()}
        assert {"README.md", "samples.png", "evaluation.json", "prior-mixture.onnx"} <= names
