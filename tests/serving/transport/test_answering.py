"""A second service of ten lines: all that surrounds a method holds for it, and no other room knows of it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.models.registry import Models
from serving.settings import Settings
from serving.transport.answering import Answering
from serving.transport.context import Context
from serving.transport.held import CallMemory
from serving.transport.reading import Parse
from serving.transport.services import Method, Service
from tests.support.in_process import server_of
from tests.support.servers import eventually
from vaeserve.errors import DeadlineUnreachable, InvalidInput


async def model_ready(name: str, context: Context, memory: CallMemory) -> bytes:
    if name != "tiny":
        raise InvalidInput("name", f"{name!r} is not here")
    memory.take(100)
    return name.encode()


async def count_up(context: Context, parse: Parse) -> None:
    for number in range(3):
        await context.write(b"%d" % number)


def refuse_some(context: Context) -> None:
    metadata = context.metadata
    if ("refuse", "yes") in metadata:
        raise DeadlineUnreachable("the deadline is too near")
    if ("refuse", "fail") in metadata:
        raise RuntimeError("the check is wrong")


ECHO = Service(
    "echo.Echo",
    {
        "ModelReady": Method(parse=bytes.decode, unary=model_ready, check=refuse_some),
        "CountUp": Method(parse=bytes.decode, stream=count_up),
    },
)


Scenario = Callable[[grpc.aio.Channel, Answering], Awaitable[None]]


def play(settings: Settings, scenario: Scenario) -> None:
    async def run() -> None:
        server, answering = server_of(Models(), settings, others=[ECHO])
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            await server.ready()
            await scenario(channel, answering)

    asyncio.run(run())


async def ask(
    channel: grpc.aio.Channel, content: bytes, *metadata: tuple[str, str]
) -> tuple[object, dict[str, object]]:
    """Returns the reply to a call, or its error, and the call's trailers."""
    unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/echo.Echo/ModelReady")
    call = unary(content, metadata=metadata)
    try:
        reply: object = await call
    except grpc.aio.AioRpcError as error:
        reply = error
    return reply, dict(await call.trailing_metadata() or ())


def test_a_call_is_answered_and_counted_and_its_memory_is_given_back(settings: Settings) -> None:
    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        reply, trailers = await ask(channel, b"tiny", ("x-request-id", "mine"))
        assert (reply, trailers) == (b"tiny", {"x-request-id": "mine"})
        await ask(channel, b"other")
        counts = {key: sum(histogram.counts) for key, histogram in answering.tally.seconds.items()}
        assert counts == {("ModelReady", "unary", "OK"): 1, ("ModelReady", "unary", "INVALID_ARGUMENT"): 1}
        assert answering.held.take_peak() == 2 * (4096 + 4 + 100)
        await eventually(lambda: not answering.held.bytes and not answering.calls.open)  # gRPC is done with them

    play(settings, scenario)


@pytest.mark.parametrize(("content", "field"), [(b"other", "name"), (b"\xff", "request")])
def test_an_error_becomes_a_status_with_its_details_and_the_request_id(
    settings: Settings, content: bytes, field: str
) -> None:
    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        error, trailers = await ask(channel, content)
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert re.fullmatch("[0-9a-f]{16}", str(trailers["x-request-id"]))
        packed, violations = trailers["grpc-status-details-bin"], BadRequest()
        assert isinstance(packed, bytes)
        assert Status.FromString(packed).details[0].Unpack(violations)
        assert [violation.field for violation in violations.field_violations] == [field]

    play(settings, scenario)


def test_a_call_that_cannot_be_answered_is_refused_before_its_message_is_read(settings: Settings) -> None:
    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        error, trailers = await ask(channel, b"\xff", ("refuse", "yes"), ("x-request-id", "mine"))  # and no message
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert trailers["x-request-id"] == "mine"
        assert "grpc-status-details-bin" in trailers
        assert list(answering.tally.seconds) == [("ModelReady", "unary", "RESOURCE_EXHAUSTED")]
        assert not answering.held.take_peak()
        assert not answering.calls.open
        assert not answering.calls.coming

    play(settings, scenario)


def test_a_check_that_fails_ends_its_own_call_alone(settings: Settings) -> None:
    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        for _ in range(40):  # more than are taken over at a time
            error, _ = await ask(channel, b"tiny", ("refuse", "fail"))
            assert isinstance(error, grpc.aio.AioRpcError)
            assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "the server failed")
        assert (await ask(channel, b"tiny"))[0] == b"tiny"
        assert not answering.calls.open

    play(settings, scenario)


def test_a_server_that_stops_says_so_to_calls_that_would_be_refused_unread(settings: Settings) -> None:
    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        answering.calls.is_closed = True
        error, _ = await ask(channel, b"tiny", ("refuse", "yes"))
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() == grpc.StatusCode.UNAVAILABLE

    play(settings, scenario)


def test_who_may_not_call_learns_that_before_anything_else(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("good\n")

    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        codes = []
        for token in ("bad", "good"):
            error, _ = await ask(channel, b"tiny", ("refuse", "yes"), ("authorization", f"Bearer {token}"))
            assert isinstance(error, grpc.aio.AioRpcError)
            codes.append(error.code())
        assert codes == [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED]

    play(settings.model_copy(update={"token_file": tmp_path / "tokens"}), scenario)


def test_a_call_without_a_token_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("good\n")

    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        error, _ = await ask(channel, b"tiny", ("authorization", "Bearer bad"))
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        assert (await ask(channel, b"tiny", ("authorization", "Bearer good")))[0] == b"tiny"

    play(settings.model_copy(update={"token_file": tmp_path / "tokens"}), scenario)


def test_a_stream_is_answered_and_both_services_have_their_health(settings: Settings) -> None:
    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        counting: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/echo.Echo/CountUp")
        assert [reply async for reply in counting(b"")] == [b"0", b"1", b"2"]
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("echo.Echo", "vae.v1.VaeService"):
            reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING

    play(settings, scenario)


def test_once_calls_are_closed_both_kinds_are_told_to_go_elsewhere(settings: Settings) -> None:
    async def scenario(channel: grpc.aio.Channel, answering: Answering) -> None:
        answering.calls.is_closed = True
        error, _ = await ask(channel, b"tiny")
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        counting: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/echo.Echo/CountUp")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await counting(b"").read()
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        answering.calls.is_closed = False

    play(settings, scenario)
