"""Every model: trained by the command, served beside the others, sampled from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.servers import RunningServer, start
from training import cli
from training.models import MODELS, kind_named
from vaeserve import Client
from vaeserve.errors import CallError

QUICK = {"latent_size": 3, "epochs": 2, "batch_size": 512, "evaluation_samples": 10}
MIXTURES = {"ae": 2, "vae": 2}  # components; exporting a prior for every model would take a minute

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def served(directory: Path) -> Iterator[RunningServer]:
    for model in MODELS:
        settings = {key: value for key, value in QUICK.items() if key == "latent_size" or key in MODELS[model].uses}
        if "mixture_components" in MODELS[model].uses:
            settings["mixture_components"] = MIXTURES.get(model, 0)
        quick = directory / f"{model}.toml"
        quick.write_text("\n".join(f"{key} = {value}" for key, value in settings.items()))
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
        learned = kind_named(model).prior is not None
        priors = ["standard", *["learned"] * learned, *["mixture"] * (model in MIXTURES)]
        assert [prior.name for prior in described.priors] == priors
        assert described.posterior == kind_named(model).posterior
        assert described.default_prior == ("learned" if learned else "mixture" if model == "ae" else "standard")
        for prior in priors:
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


def test_a_run_leaves_its_evidence(directory: Path, served: RunningServer) -> None:
    for model in MODELS:
        names = {path.name for path in (directory / model / "model").iterdir()}
        assert {"README.md", "samples.png", "evaluation.json"} <= names
        assert ("prior-mixture.onnx" in names) == (model in MIXTURES)
