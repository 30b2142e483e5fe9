"""The whole way: digits are trained on, packaged, served and called, each by the command that a user types."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.servers import RunningServer, RunVae, running
from vaeserve import Client
from vaeserve.command.cli import run
from vaeserve.package.directory import ModelPackage
from vaeserve.package.probes import compare, reach_of
from vaeserve.package.row_spec import Array


@pytest.fixture(scope="module")
def package(vae: RunVae, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    directory = tmp_path_factory.mktemp("digits") / "run"
    done = vae("train", "digits", "--out", directory, "--epochs", "3", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"next     vae serve {directory / 'model'}"
    return ModelPackage.open(directory / "model")


@pytest.fixture(scope="module")
def server(package: ModelPackage) -> Iterator[RunningServer]:
    with running(package.directory) as server:
        yield server


def test_samples_are_digits(client: Client) -> None:
    samples = client.sample(50, seed=7).output
    assert samples.shape == (50, 8, 8, 1)
    assert samples.dtype == np.uint8
    assert samples.min() >= 0
    assert 8 < samples.max() <= 16  # drawn with ink, and within the data's range
    assert len(np.unique(samples, axis=0)) == 50
    np.testing.assert_array_equal(client.sample(10, seed=7, first_row=40).output, samples[40:])


def test_digits_come_back_from_their_latents(client: Client, package: ModelPackage) -> None:
    digits = package.read_probes()["encoder.data"][:40]  # held out, not random
    encoded = client.encode(digits)
    assert encoded.latent.shape == (40, *package.manifest.latent_shape)
    decoded = client.decode(encoded)
    assert decoded.output.shape == digits.shape
    assert decoded.output.dtype == np.uint8
    assert decoded.fingerprint == encoded.fingerprint == package.manifest.fingerprint

    def error(one: np.ndarray, other: np.ndarray) -> float:
        return float(((one.astype(float) - other) ** 2).sum((1, 2, 3)).mean())

    assert error(decoded.output, digits) < error(np.roll(decoded.output, 1, 0), digits)  # its own digit, not another


def test_answers_are_those_that_the_trainer_put_into_the_package(client: Client, package: ModelPackage) -> None:
    probes, manifest = package.read_probes(), package.manifest
    moments = client.encode(probes["encoder.data"], output="moments")
    assert moments.log_variance is not None
    latent = probes["decoder.latent"]
    answers: dict[str, dict[str, Array]] = {
        "encoder": {"mean": moments.latent, "log_variance": moments.log_variance},
        "decoder": {
            "data": client.decode(latent).output,
            "expectation": client.decode(latent, output="expectation").output,
        },
    }
    for graph, outputs in answers.items():
        references = {name: probes[f"{graph}.{name}"] for name in outputs}
        reach = reach_of(manifest.data, probes["encoder.data"])
        for found in compare(outputs, references, reach, manifest.probes.tolerances["cpu"]):
            assert found.passed, found


def test_info_describes_the_package_and_its_server_alike(
    vae: RunVae, server: RunningServer, package: ModelPackage
) -> None:
    of_package, of_server = vae("info", package.directory), vae("info", "--target", server.target)
    for done in (of_package, of_server):
        assert (done.returncode, done.stderr) == (0, "")
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        assert f"fingerprint {package.manifest.fingerprint}" in lines
        assert "data image, uint8 [8, 8, 1] in [0, 16]" in lines
        assert "priors standard (8 normals a row, default), mixture (9 normals a row)" in lines
        assert f"negative_elbo_nats {package.manifest.metrics['negative_elbo_nats']:.6g}" in lines
    assert of_package.stdout.startswith(f"digits, version 1: model package in {package.directory}\n")
    assert "checksums verified" in of_package.stdout
    assert of_server.stdout.startswith(f"digits, version 1: served at {server.target}\n")


def test_the_job_goes_on_where_there_is_a_run(package: ModelPackage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "digits", "--out", str(package.directory.parent), "--resume"]) == 0
    assert ", resumed after epoch 3" in capsys.readouterr().err
    assert ModelPackage.open(package.directory).manifest.fingerprint == package.manifest.fingerprint
    assert {path.name for path in package.directory.parent.iterdir()} == {
        "checkpoint.safetensors",
        "evaluation.json",
        "metrics.jsonl",
        "model",
    }
