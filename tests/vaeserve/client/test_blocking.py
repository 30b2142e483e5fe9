from concurrent import futures
from typing import TYPE_CHECKING, cast

import grpc
import numpy as np
import pytest

import vaeserve
from vaeserve import Client
from vaeserve.errors import CallError, InvalidInput
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server

DIGITS = np.arange(20 * 64).reshape(20, 8, 8, 1) % 17


def test_describes_models(client: Client) -> None:
    model = client.get_model()
    assert (model.name, model.version, model.provider) == ("digits", 1, "cpu")
    assert model.data.kind == "image"
    assert model.data.shape == (8, 8, 1)
    assert model.data.dtype == "uint8"
    assert model.latent_shape == (2,)
    assert model.posterior == "gaussian"
    assert model.likelihood.constants == {"trials": 16}
    assert model.priors[0].noise_size == 2
    assert model.limits.call_rows == 8
    assert client.list_models() == [model]


def test_encodes_in_parts_and_joins_them(server: "Server", client: Client) -> None:
    encoded = client.encode(DIGITS, output="moments")
    assert encoded.latent.shape == (20, 2)
    assert encoded.log_variance is not None
    assert encoded.log_variance.shape == (20, 2)
    assert encoded.seed is None
    assert encoded.timing.running_seconds == pytest.approx(0.003)
    assert encoded.timing.batch_rows == 8
    requests = cast(list[pb.EncodeRequest], server.script.requests("Encode"))
    assert [request.data.shape[0] for request in requests] == [8, 8, 4]
    assert b"".join(request.data.data for request in requests) == DIGITS.astype(np.uint8).tobytes()


def test_reconstructs_in_parts_and_knows_what_is_not_scored(server: "Server", client: Client) -> None:
    scored = client.reconstruct(DIGITS, latent="sample", seed=5, first_row=100)
    requests = cast(list[pb.ReconstructRequest], server.script.requests("Reconstruct"))
    assert [(request.seed, request.first_row) for request in requests] == [(5, 100), (5, 108), (5, 116)]
    np.testing.assert_array_equal(scored.squared_error, np.arange(100, 120))
    assert (scored.log_likelihood, scored.kl, scored.elbo, scored.seed) == (None, None, None, 5)
    with pytest.raises(InvalidInput, match="latent: is 'mean', which draws no noise"):
        client.reconstruct(DIGITS, seed=5)
    with pytest.raises(InvalidInput, match="latent: is 'mode', must be one of mean, sample"):
        client.reconstruct(DIGITS, latent="mode")  # type: ignore[arg-type]  # wrong on purpose


def test_parts_of_a_draw_share_a_seed_and_go_on_counting(server: "Server", client: Client) -> None:
    encoded = client.encode(DIGITS, output="sample", first_row=100)
    requests = cast(list[pb.EncodeRequest], server.script.requests("Encode"))
    assert [request.first_row for request in requests] == [100, 108, 116]
    assert {request.seed for request in requests} == {encoded.seed}


def test_pages_samples(server: "Server", client: Client) -> None:
    sampled = client.sample(20, first_row=3, include_latent=True, temperature=0.5, prior="standard")
    assert sampled.latent is not None
    assert sampled.latent[:, 0].tolist() == list(range(3, 23))
    assert sampled.output[:, 0, 0, 0].tolist() == [row % 17 for row in range(3, 23)]
    assert sampled.output.dtype == np.uint8
    requests = cast(list[pb.SampleRequest], server.script.requests("Sample"))
    assert [request.count for request in requests] == [8, 8, 4]
    assert {(request.seed, request.temperature, request.prior) for request in requests} == {
        (sampled.seed, 0.5, "standard")
    }


def test_an_answer_that_is_not_the_models(server: "Server", client: Client) -> None:
    client.get_model()
    server.script.model.data.shape[:] = [4, 16, 1]
    with pytest.raises(CallError, match=r"no usable data: data\.shape: is \[1, 4, 16, 1\], must be \[rows, 8, 8, 1\]"):
        client.sample(1)


def test_results_can_be_written_to(client: Client) -> None:
    client.sample(2).output[0] = 1


def test_decoding_what_was_encoded_insists_on_its_pair(server: "Server", client: Client) -> None:
    encoded = client.encode(DIGITS)
    assert client.decode(encoded, output="expectation").output.dtype == np.float32
    assert client.decode(encoded.latent).output.dtype == np.uint8
    client.decode(encoded, fingerprint="b" * 64)
    client.decode(encoded, fingerprint="")
    requests = cast(list[pb.DecodeRequest], server.script.requests("Decode"))
    told = [request.fingerprint for request in requests[::3]]
    assert told == [encoded.fingerprint, "", "b" * 64, ""]


def test_parts_of_two_pairs_are_not_joined(server: "Server", client: Client) -> None:
    def replace(_: grpc.ServicerContext) -> None:
        server.script.model.fingerprint = "b" * 64

    server.script.before = [lambda _: None, replace]
    with pytest.raises(CallError, match="replaced") as err:
        client.sample(20)
    assert (err.value.code, err.value.reason) == ("ABORTED", "MODEL_REPLACED")
    assert client.sample(20).fingerprint == "b" * 64


def test_description_is_kept_until_another_pair_answers(server: "Server", client: Client) -> None:
    for _ in range(3):
        client.sample(1)
    assert len(server.script.requests("GetModel")) == 1
    server.script.model.fingerprint = "b" * 64
    client.sample(1)
    client.sample(1)
    client.sample(1)
    assert len(server.script.requests("GetModel")) == 2


def test_each_model_is_described_on_its_own(server: "Server", client: Client) -> None:
    for model, version in (("", 0), ("digits", 0), ("digits", 1), ("digits", 1)):
        client.sample(1, model=model, version=version)
    requests = cast(list[pb.GetModelRequest], server.script.requests("GetModel"))
    assert [(request.model, request.version) for request in requests] == [("", 0), ("digits", 0), ("digits", 1)]


def test_input_that_fits_the_new_model_is_not_judged_by_the_old_one(server: "Server", client: Client) -> None:
    client.decode(np.zeros((1, 2)))
    server.script.model.latent_shape[:] = [3]
    assert len(client.decode(np.zeros((1, 3))).output) == 1
    with pytest.raises(InvalidInput, match=r"latent: has shape \[1, 2\], must be \[rows, 3\]"):
        client.decode(np.zeros((1, 2)))


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL]
)
def test_a_failure_makes_the_client_ask_again(server: "Server", client: Client, code: grpc.StatusCode) -> None:
    client.sample(1)
    server.script.before = [server.refuse(code, "count: too many")]
    with pytest.raises(CallError, match="too many"):
        client.sample(1)
    server.script.model.limits.call_rows = 4
    client.sample(8)
    assert [cast(pb.SampleRequest, request).count for request in server.script.requests("Sample")[2:]] == [4, 4]


def test_a_model_from_the_future_is_refused_clearly(server: "Server", client: Client) -> None:
    server.script.model.data.kind = 9  # type: ignore[assignment]
    with pytest.raises(CallError, match=r"does not understand: DataSpec\.kind"):
        client.sample(1)


def test_token_travels_with_every_call(server: "Server") -> None:
    with Client(server.target, token="secret") as client:
        client.sample(1)
        assert "secret" not in repr(client)
    assert [received.metadata["authorization"] for received in server.script.received] == ["Bearer secret"] * 2


def test_the_package_offers_nothing_else() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        vaeserve.nothing  # noqa: B018


def test_threads_share_a_client_from_its_first_call_on(server: "Server") -> None:
    with Client(server.target) as client, futures.ThreadPoolExecutor(16) as threads:
        assert [len(sampled.output) for sampled in threads.map(client.sample, [3] * 64)] == [3] * 64
