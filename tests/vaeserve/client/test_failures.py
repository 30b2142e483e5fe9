"""What a client makes of the errors that a server, or the network, answers."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from vaeserve import AsyncClient, Client
from vaeserve.client.failures import StreamFailure
from vaeserve.errors import CallError, InvalidInput
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Hang, Server


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    delay = Duration()
    delay.FromTimedelta(timedelta(seconds=seconds))
    return error_details_pb2.RetryInfo(retry_delay=delay)


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


def test_a_server_without_tls_is_named_as_such(server: "Server") -> None:
    with Client(server.target, tls=True) as client, pytest.raises(CallError) as err:
        client.get_model()
    assert err.value.code == "UNAVAILABLE"
    assert str(err.value).endswith(f"{server.target}: it does not speak TLS")


def test_a_reply_without_an_answer_is_no_success() -> None:
    failure = StreamFailure.of_reply(pb.Reply(id=1).error)
    assert (failure.code(), failure.is_passing) == (grpc.StatusCode.UNKNOWN, False)
    assert "neither an answer that this client knows nor an error" in failure.details()


class _Cut(grpc.RpcError):
    """What gRPC reports when a stream is reset; with the trailers of a server's own answer, or without any."""

    def __init__(self, trailers: tuple[tuple[str, str], ...]) -> None:
        self._trailers = trailers

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.INTERNAL

    def details(self) -> str:
        return "Stream removed (RST_STREAM (Received RST_STREAM with error code 2))"

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]  # plain pairs do
        return self._trailers


def test_a_stream_that_a_proxy_cut_off_is_opened_again() -> None:
    assert StreamFailure.of_stream(_Cut(())).is_passing
    assert not StreamFailure.of_stream(_Cut((("x-request-id", "1"),))).is_passing


def test_overload_is_retried_when_the_server_says_when(server: "Server", client: Client) -> None:
    server.script.before = [
        server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", retry_info(0.05)),
        server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", retry_info(0)),
    ]
    assert len(client.sample(1).output) == 1
    server.script.before = [server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", retry_info(0.05))]

    async def sample() -> int:
        async with AsyncClient(server.target, timeout_seconds=20) as other:
            return len((await other.sample(1)).output)

    assert asyncio.run(sample()) == 1
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


@pytest.mark.parametrize("seconds", [-(10**18), 10**18])
def test_a_time_that_no_clock_can_tell_is_no_time(server: "Server", client: Client, seconds: int) -> None:
    info = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds))
    reason = error_details_pb2.ErrorInfo(reason="QUEUE_FULL")
    server.script.before = [server.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", info, reason)]
    with pytest.raises(CallError, match="queue is full") as err:
        client.sample(1)
    assert (err.value.retry_seconds, err.value.reason) == (None, "QUEUE_FULL")


def test_deadline(server: "Server", client: Client, hang: "Hang") -> None:
    client.get_model()
    server.script.before = [hang]
    with pytest.raises(CallError, match=r"no answer from 127\.0\.0\.1:\d+ within 0\.1 s") as err:
        client.sample(1, timeout_seconds=0.1)
    assert err.value.code == "DEADLINE_EXCEEDED"
    assert str(err.value).endswith("; allow more time (timeout_seconds, --timeout) or send fewer rows")


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
