"""A prior that is a graph, through a real server: which rows are drawn, from what, and how it comes and goes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from scipy.stats import norm

from tests.support.make_mixture_prior import CENTERS, NOISE, SCALES, draw
from tests.support.packages import corrupt, publish
from tests.support.servers import RunningServer, RunVae, StartServer, running, until
from vaeserve import Client
from vaeserve.errors import CallError
from vaeserve.package.row_spec import Array
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.tensors import to_array
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

SEED = 9


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(publish(tmp_path_factory.mktemp("priors") / "package", prior="gmm")) as server:
        yield server


def drawn(first_row: int, rows: int, temperature: float = 1.0) -> Array:
    """Returns the latents of some rows of SEED."""
    noise = standard_normals(Purpose.PRIOR, [RowRange(SEED, first_row, rows)], NOISE)
    return draw(noise, np.full(rows, temperature, np.float32))


def test_the_model_tells_its_priors(client: Client) -> None:
    model = client.get_model()
    assert [(prior.name, prior.noise_size) for prior in model.priors] == [("standard", 3), ("gmm", 4)]
    assert (model.default_prior, model.exactness is not None and model.exactness.is_exact) == ("gmm", True)


def test_rows_are_what_the_graph_makes_of_their_noise(client: Client) -> None:
    whole = client.sample(200, seed=SEED, temperature=0.5, prior="gmm", include_latent=True)
    assert whole.latent is not None
    np.testing.assert_array_equal(whole.latent, drawn(0, 200, 0.5))
    np.testing.assert_array_equal(client.decode(whole.latent).output, whole.output)
    by_default = client.sample(200, seed=SEED, temperature=0.5)
    np.testing.assert_array_equal(by_default.output, whole.output)
    with pytest.raises(CallError, match=r"'vamp' is unknown, must be one of standard, gmm$"):
        client.sample(1, prior="vamp")


def test_another_prior_than_the_standard_one_leaves_out_the_kl(client: Client) -> None:
    scored = client.reconstruct(client.sample(3, seed=SEED).output)
    assert (scored.kl, scored.elbo) == (None, None)
    assert scored.log_likelihood is not None


def test_the_standard_prior_is_what_it_was(client: Client) -> None:
    sampled = client.sample(20, seed=SEED, first_row=5, temperature=0.5, prior="standard", include_latent=True)
    noise = standard_normals(Purpose.PRIOR, [RowRange(SEED, 5, 20)], 3)
    np.testing.assert_array_equal(sampled.latent, noise * np.float32(0.5))


def test_a_row_is_the_same_however_the_draw_is_split(client: Client) -> None:
    whole = client.sample(300, seed=SEED, include_latent=True)
    pages = [client.sample(rows, seed=SEED, first_row=first) for first, rows in ((0, 1), (1, 99), (100, 200))]
    np.testing.assert_array_equal(np.concatenate([page.output for page in pages]), whole.output)
    for message_rows in (7, 300):
        parts = list(client.sample_stream(300, seed=SEED, message_rows=message_rows, include_latent=True))
        np.testing.assert_array_equal(np.concatenate([part.output for part in parts]), whole.output)
        np.testing.assert_array_equal(np.concatenate([part.latent for part in parts]), whole.latent)


def test_calls_of_other_priors_and_temperatures_share_a_batch_and_keep_their_own(server: RunningServer) -> None:
    wanted = [
        (prior, temperature, rows) for prior in ("gmm", "standard") for temperature in (0.5, 2.0) for rows in (1, 3)
    ]
    requests = [
        pb.SampleRequest(
            count=rows, seed=SEED, first_row=100 * i, temperature=temperature, prior=prior, include_latent=True
        )
        for i, (prior, temperature, rows) in enumerate(wanted * 20)
    ]
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        alone = [stub.Sample(request) for request in requests]
        together = [begun.result() for begun in [stub.Sample.future(request) for request in requests]]
    for one, other in zip(alone, together, strict=True):
        assert (one.latent, one.data) == (other.latent, other.data)
    for request, reply in zip(requests, together, strict=True):
        if request.prior == "gmm":
            latent = to_array(reply.latent, "latent", "float32", (3,))
            np.testing.assert_array_equal(latent, drawn(request.first_row, request.count, request.temperature))
    assert max(reply.timing.batch_rows for reply in together) > 3


def test_draws_follow_the_mixture(client: Client) -> None:
    rows = 4000
    latent = client.sample(rows, seed=SEED, include_latent=True).latent
    assert latent is not None
    picked = latent[:, 0] < 1
    assert abs(picked.sum() - 0.75 * rows) < 4 * np.sqrt(rows * 0.75 * 0.25)
    for own, center, scale in zip((latent[~picked], latent[picked]), CENTERS, SCALES, strict=True):
        z = (own.mean(0) - center) / scale * np.sqrt(len(own))
        assert np.all(norm.sf(np.abs(z)) > 1e-4)
        np.testing.assert_allclose(own.std(0), scale, rtol=4 / np.sqrt(2 * len(own)))


def test_the_command_names_a_prior(vae: RunVae, server: RunningServer, tmp_path: Path) -> None:
    out = tmp_path / "drawn.npz"
    asked = ["--count", "4", "--seed", str(SEED), "--with-latent", "--out", out]
    done = vae("sample", "--target", server.target, "--prior", "gmm", *asked)
    assert done.returncode == 0, done.stderr
    with np.load(out) as archive:
        np.testing.assert_array_equal(archive["latent"], drawn(0, 4))


def test_a_prior_comes_without_a_new_pair_and_a_damaged_one_changes_nothing(
    start_server: StartServer, tmp_path: Path
) -> None:
    package = publish(tmp_path / "served")
    running = start_server("--watch", "on", package=tmp_path)
    with Client(running.target) as client:
        old = client.encode(np.zeros((1, 4, 4, 1), np.uint8))
        damaged = publish(tmp_path / ".damaged", prior="gmm", version=2)
        corrupt(damaged, "prior-gmm.onnx")
        shutil.copytree(damaged, tmp_path / "damaged")
        publish(package, prior="gmm")
        _until_default(client, "gmm")
        assert client.decode(old).fingerprint == old.fingerprint
        assert client.get_model().version == 1
        publish(package)
        _until_default(client, "standard")
    errors = [line for line in running.stop().splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert "damaged/prior-gmm.onnx: wrong checksum" in errors[0]


def _until_default(client: Client, prior: str) -> None:
    until(lambda: client.get_model().default_prior == prior)
