import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from vae import AsyncClient, Client
from vae.errors import CallError, InvalidInput
from vae.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vae.conftest import Server

Result = TypeVar("Result")

DIGITS = np.arange(20 * 64).reshape(20, 8, 8, 1) % 17


@pytest.fixture
def client(server: "Server") -> Iterator[Client]:
    with Client(server.target, timeout_seconds=20) as client:
        yield client


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    delay = Duration()
    delay.FromTimedelta(timedelta(seconds=seconds))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def awaited(server: "Server", use: Callable[[AsyncClient], Coroutine[Any, Any, Result]]) -> Result:
    async def run() -> Result:
        async with AsyncClient(server.target, timeout_seconds=20) as client:
            return await use(client)

    return asyncio.run(run())


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


def test_async_client_keeps_the_order_of_the_parts(server: "Server") -> None:
    pauses = iter([0.15, 0.1, 0.05])
    server.script.before = [lambda _: time.sleep(next(pauses))] * 3
    sampled = awaited(server, lambda client: client.sample(60, include_latent=True))
    assert sampled.latent is not None
    assert sampled.latent[:, 0].tolist() == list(range(60))


def test_async_client_does_what_the_client_does(server: "Server") -> None:
    async def use(client: AsyncClient) -> None:
        assert (await client.get_model()).name == "digits"
        assert len(await client.list_models()) == 1
        encoded = await client.encode(DIGITS, output="sample", seed=7)
        assert encoded.seed == 7
        assert (await client.decode(encoded)).output.shape == (20, 8, 8, 1)

    awaited(server, use)


def test_async_client_stops_its_other_parts_when_one_fails(server: "Server") -> None:
    server.script.before = [server.refuse(grpc.StatusCode.INTERNAL, "broken")]
    with pytest.raises(CallError, match="INTERNAL: broken"):
        awaited(server, lambda client: client.sample(800))
    assert len(server.script.requests("Sample")) < 100


def test_async_client_can_be_cancelled(server: "Server") -> None:
    server.script.before = [lambda _: time.sleep(0.3)] * 4

    async def use(client: AsyncClient) -> None:
        await client.get_model()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.sample(80), 0.1)
        assert (await client.sample(1)).output.shape[0] == 1

    awaited(server, use)


@pytest.mark.parametrize("rows", [1, 20])
def test_unavailable_is_retried(server: "Server", client: Client, rows: int) -> None:
    server.script.before = [server.refuse(grpc.StatusCode.UNAVAILABLE, "restarting")] * 2
    assert len(client.sample(rows).output) == rows


def test_unavailable_for_good_names_the_target() -> None:
    with (
        Client("127.0.0.1:1") as client,
        pytest.raises(CallError, match=r"UNAVAILABLE: 127\.0\.0\.1:1 .*refused") as err,
    ):
        client.get_model()
    assert err.value.code == "UNAVAILABLE"
    assert "\n" not in str(err.value)


def test_overload_is_retried_when_the_server_says_when(server: "Server", client: Client) -> None:
    server.script.before = [
        server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", retry_info(0.05)),
        server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", retry_info(0)),
    ]
    assert len(client.sample(1).output) == 1
    server.script.before = [server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", retry_info(0.05))]
    assert len(awaited(server, lambda client: client.sample(1)).output) == 1
    assert len(server.script.requests("Sample")) == 5


def test_overload_is_not_waited_for_past_the_deadline(server: "Server", client: Client) -> None:
    server.script.before = [server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", retry_info(900))]
    with pytest.raises(CallError, match="queue is full") as err:
        client.sample(1)
    assert err.value.retry_seconds == 900


def test_exhaustion_without_a_time_is_not_retried(server: "Server", client: Client) -> None:
    server.script.before = [server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "quota used up")]
    with pytest.raises(CallError, match="RESOURCE_EXHAUSTED: quota used up"):
        client.sample(1)
    assert len(server.script.requests("Sample")) == 1


def test_details_become_attributes(server: "Server", client: Client) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="latent.data", description="must be finite")
    server.script.before = [
        server.refuse(
            grpc.StatusCode.INVALID_ARGUMENT,
            "latent.data: must be\nfinite",
            error_details_pb2.BadRequest(field_violations=[violation]),
            error_details_pb2.ErrorInfo(reason="NOT_FINITE", domain="vaeserve"),
        )
    ]
    with pytest.raises(CallError) as err:
        client.decode([[0.0, 1.0]])
    assert str(err.value) == "INVALID_ARGUMENT: latent.data: must be finite"
    assert (err.value.code, err.value.field, err.value.reason) == ("INVALID_ARGUMENT", "latent.data", "NOT_FINITE")


def test_unreadable_details_do_not_hide_the_error(server: "Server", client: Client) -> None:
    def act(context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(grpc.StatusCode.INTERNAL, "odd")

    server.script.before = [act]
    with pytest.raises(CallError, match="INTERNAL: odd"):
        client.sample(1)


def test_deadline(server: "Server", client: Client) -> None:
    client.get_model()
    server.script.before = [lambda _: time.sleep(0.5)]
    with pytest.raises(CallError, match=r"no answer from 127\.0\.0\.1:\d+ within 0\.1 s") as err:
        client.sample(1, timeout_seconds=0.1)
    assert err.value.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_impossible_deadlines(client: Client, seconds: float) -> None:
    with pytest.raises(InvalidInput, match="timeout_seconds"):
        client.sample(1, timeout_seconds=seconds)


def wide(server: "Server", values: int, request_bytes: int) -> None:
    """Makes the model one of long latents and wide pictures."""
    server.script.model.latent_shape[:] = [values]
    server.script.model.data.shape[:] = [values, 1, 1]
    server.script.model.limits.request_bytes = request_bytes


def test_large_payloads_travel_both_ways_and_are_retried(server: "Server", client: Client) -> None:
    wide(server, 2_500_000, 64 << 20)
    server.script.before = [server.refuse(grpc.StatusCode.UNAVAILABLE, "restarting")] * 2
    latent = np.zeros((1, 2_500_000), np.float32)  # 10 MB
    decoded = client.decode(latent, output="expectation")
    assert decoded.output.nbytes == 10_000_000
    assert len(server.script.requests("Decode")) == 3


def test_oversized_message_is_named_with_its_limit(server: "Server", client: Client) -> None:
    wide(server, 20_000_000, 1 << 30)
    with pytest.raises(
        CallError, match=r"request takes 8\d+ bytes, the server's limit on a request is 67108864"
    ) as err:
        client.decode(np.zeros((1, 20_000_000), np.float32))
    assert (err.value.code, err.value.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")


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


def test_input_that_fits_the_new_model_is_not_judged_by_the_old_one(server: "Server", client: Client) -> None:
    client.decode(np.zeros((1, 2)))
    server.script.model.latent_shape[:] = [3]
    assert len(client.decode(np.zeros((1, 3))).output) == 1
    with pytest.raises(InvalidInput, match=r"latent: has shape \[1, 2\], must be \[rows, 3\]"):
        client.decode(np.zeros((1, 2)))


def test_a_refusal_makes_the_client_ask_again(server: "Server", client: Client) -> None:
    client.sample(1)
    server.script.before = [server.refuse(grpc.StatusCode.INVALID_ARGUMENT, "count: too many")]
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


def test_the_two_clients_take_the_same_arguments() -> None:
    for name in ("encode", "decode", "sample", "get_model", "list_models"):
        blocking, awaitable = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(blocking) == inspect.signature(awaitable)
        assert awaitable.__doc__
    assert next(iter(inspect.signature(Client("localhost:1").sample).parameters)) == "count"
