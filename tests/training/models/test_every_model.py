"""Every model: resumed bit for bit, trained by the command, and served beside the others, in every verb."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.servers import RunningServer, start
from training import cli
from training.data import Dataset
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.models import MODELS, kind_named
from training.run import checkpoint
from training.run.beginning import first_state
from training.settings.config import Config
from training.step.loop import epochs
from vaeserve import Client
from vaeserve.errors import CallError

QUICK = {"latent_size": 3, "epochs": 2, "batch_size": 512, "evaluation_samples": 10, "pseudo_inputs": 10}
MIXTURES = {"ae": 2, "vae": 2}  # components; exporting a prior for every model would take a minute
STEPPED = [model for model in MODELS if kind_named(model).step is not None]

pytestmark = pytest.mark.timeout(400)


def quick(model: str) -> dict[str, object]:
    """Returns the settings that make a short run of a model."""
    settings: dict[str, object] = {
        key: value for key, value in QUICK.items() if key == "latent_size" or key in MODELS[model].uses
    }
    if "mixture_components" in MODELS[model].uses:
        settings["mixture_components"] = MIXTURES.get(model, 0)
    return settings


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def served(directory: Path) -> Iterator[RunningServer]:
    for model in MODELS:
        file = directory / f"{model}.toml"
        file.write_text("\n".join(f"{key} = {value}" for key, value in quick(model).items()))
        arguments = ["digits", "--out", str(directory / model), "--name", model, "--model", model]
        assert cli.train([*arguments, "--config", str(file)]) == 0
    running = start(directory)
    yield running
    log = running.stop()
    assert "Traceback" not in log


@pytest.fixture(scope="module")
def client(served: RunningServer) -> Iterator[Client]:
    with Client(served.target) as client:
        yield client


@pytest.mark.parametrize("model", STEPPED)
def test_two_epochs_are_one_and_another_resumed_from_a_file(model: str, dataset: Dataset, tmp_path: Path) -> None:
    config = Config.model_validate({**MODELS[model].fixed, **quick(model), "model": model, "hidden_sizes": (16, 8)})
    whole = first_state(config, dataset)
    going = epochs(config, dataset, whole)
    next(going)
    checkpoint.write(tmp_path / "checkpoint", checkpoint.take(config, dataset, whole))
    with suppress(StopIteration):
        next(going)
    resumed = checkpoint.restore(checkpoint.read(tmp_path / "checkpoint"), dataset)
    list(epochs(config, dataset, resumed))
    expected, found = (checkpoint.take(config, dataset, state).tensors for state in (whole, resumed))
    assert expected.keys() == found.keys()
    assert [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)] == []
    first = first_state(config, dataset).networks.decoder.bias
    assert not torch.equal(first, found["networks.decoder.bias"])


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_trained_served_and_sampled_from(client: Client, model: str) -> None:
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
    assert client.decode(means, output="expectation", model=model).output.shape == (5, 8, 8, 1)


@pytest.mark.parametrize("model", MODELS)
def test_what_a_model_does_not_have_is_refused_by_name_or_left_out(
    client: Client, dataset: Dataset, model: str
) -> None:
    rows, described = dataset.test[:4].numpy(), client.get_model(model)
    has_posterior, has_codes = described.posterior == "gaussian", described.codes is not None
    for output, is_there, reason in (
        ("sample", has_posterior, "NO_POSTERIOR"),
        ("moments", has_posterior, "NO_POSTERIOR"),
        ("codes", has_codes, "NO_CODES"),
    ):
        if is_there:
            encoded = client.encode(rows, output=output, model=model)  # type: ignore[arg-type]
            assert encoded.latent.shape == (4, 3)
            continue
        with pytest.raises(CallError) as raised:
            client.encode(rows, output=output, model=model)  # type: ignore[arg-type]
        assert (raised.value.code, raised.value.reason) == ("FAILED_PRECONDITION", reason)
    scored = client.reconstruct(rows, model=model)
    has_likelihood, has_kl = described.likelihood.family != "none", described.default_prior == "standard"
    assert has_likelihood == (model != "gan")
    assert scored.squared_error.shape == (4,)
    there_are = [each is not None for each in (scored.log_likelihood, scored.kl, scored.elbo)]
    assert there_are == [has_likelihood, has_posterior and has_kl, has_likelihood and has_posterior and has_kl]
    np.testing.assert_array_equal(scored.output, client.decode(client.encode(rows, model=model), model=model).output)


@pytest.mark.parametrize("model", MODELS)
def test_streams_answer_as_calls_do(client: Client, dataset: Dataset, model: str) -> None:
    rows = dataset.test[:6].numpy()
    whole = client.encode(rows, model=model).latent
    parts = [each.latent for each in client.encode_stream((rows[:4], rows[4:]), model=model)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    made = [each.output for each in client.decode_stream((whole[:4], whole[4:]), model=model)]
    again = [each.output for each in client.reconstruct_stream((rows[:4], rows[4:]), model=model)]
    np.testing.assert_array_equal(np.concatenate(made), np.concatenate(again))
    sampled = [each.output for each in client.sample_stream(6, seed=3, message_rows=4, model=model)]
    np.testing.assert_array_equal(np.concatenate(sampled), client.sample(6, seed=3, model=model).output)


def test_latents_of_one_model_are_not_decoded_by_another(client: Client) -> None:
    rows = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(CallError) as raised:
        client.decode(client.encode(rows, model="vae"), model="iwae")
    assert raised.value.reason == "FINGERPRINT_MISMATCH"


@pytest.mark.parametrize("model", MODELS)
def test_a_run_leaves_its_evidence(directory: Path, served: RunningServer, model: str) -> None:
    names = {path.name for path in (directory / model / "model").iterdir()}
    assert {"README.md", "samples.png", "evaluation.json"} <= names
    assert ("prior-mixture.onnx" in names) == (model in MIXTURES)
    likelihoods = Evaluation.read(directory / model / EVALUATION_FILE).likelihoods
    if kind_named(model).prior is not None and kind_named(model).posterior == "gaussian":
        assert likelihoods.prior == "learned"
        assert likelihoods.nll is not None
