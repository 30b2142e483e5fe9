"""Calls are taken over, refused or answered, whatever their method's name is; and the front stops."""

import asyncio
import struct
from typing import Never

import grpc
import pytest

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.transport import front
from serving.transport.admission import CallAdmission
from serving.transport.context import Context
from serving.transport.front import Front
from tests.support import http2
from tests.support.fronts import play_front, unary
from tests.support.servers import RunningServer, StartServer, eventually
from vaeserve import Client

LIST_MODELS = b"/vae.v1.VaeService/ListModels"


@pytest.mark.parametrize(
    "path",
    [
        b"/vae.v1.VaeService/NoSuchMethod",
        b"/vae.v1.VaeService/\xff\xfe",
        b"\xff",
        b"/",
        b"/vae.v1.VaeService/ListModels\nforged",
    ],
)
def test_a_method_that_is_not_there_is_told_so_whatever_its_name(server: RunningServer, path: bytes) -> None:
    with http2.connect(server) as connection:
        connection.sendall(http2.call(1, path))
        assert b"grpc-status\x0212" in http2.answer(connection)  # UNIMPLEMENTED
        connection.sendall(http2.call(3, LIST_MODELS))
        assert b"grpc-status\x010" in http2.answer(connection)
    with Client(server.target) as client:  # new connections are taken as before
        assert client.list_models()[0].name == "tiny"


def test_many_of_them_leave_the_server_as_it_was(server: RunningServer) -> None:
    with http2.connect(server) as connection:
        for number in range(1, 401, 2):
            connection.sendall(http2.call(number, b"/\xff"))
            assert b"grpc-status\x0212" in http2.answer(connection)
    with grpc.insecure_channel(server.target) as channel:
        unknown: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/vae.v1.VaeService/Unknown")
        with pytest.raises(grpc.RpcError, match="Method not found!"):
            next(unknown(iter([b"", b""])))


@pytest.mark.parametrize("name", [b"authorization", b"x-request-id", b"user-agent", b"x-other"])
def test_metadata_that_is_no_text_stays_out_of_the_log(start_server: StartServer, name: bytes) -> None:
    server = start_server("--log-level", "debug")
    with http2.connect(server) as connection:
        for number in range(1, 41, 2):
            connection.sendall(http2.call(number, LIST_MODELS, (name, b"Bearer secret-token\xff\xfe")))
            assert b"grpc-status\x010" in http2.answer(connection)
    log = server.stop()
    assert "secret" not in log
    assert "Traceback" not in log
    assert len(log.splitlines()) == 20 + log.count("INFO")  # a line a call at level debug, and nothing else


def test_a_token_that_is_no_text_is_refused_and_not_told(
    start_server: StartServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text("secret-token\n")
    server = start_server("--token-file", str(tokens), "--log-level", "error")
    with http2.connect(server) as connection:
        for number in range(1, 401, 2):
            connection.sendall(http2.call(number, LIST_MODELS, (b"authorization", b"Bearer secret-token\xff")))
            assert b"grpc-status\x0216" in http2.answer(connection)  # UNAUTHENTICATED
        connection.sendall(http2.call(401, b"/\xff"))
        assert b"grpc-status\x0216" in http2.answer(connection)
        connection.sendall(http2.call(403, LIST_MODELS, (b"authorization", b"Bearer secret-token")))
        assert b"grpc-status\x010" in http2.answer(connection)
    assert server.stop() == ""


@pytest.mark.parametrize("path", [b"/grpc.health.v1.Health/Check", b"/vae.v1.VaeService/Decode"])
def test_messages_that_cannot_be_unpacked_are_not_the_servers_fault(start_server: StartServer, path: bytes) -> None:
    server = start_server()
    broken = b"\1" + struct.pack(">I", 10) + b"not gzip.."
    with http2.connect(server) as connection:
        frames = http2.frames(connection)
        ended = (kind for kind, flags, _ in frames if kind == http2.HEADERS and flags & http2.END_STREAM)
        for first in range(1, 2001, 200):
            numbers = range(first, first + 200, 2)
            for number in numbers:
                headers = http2.headers(number, path, (b"grpc-encoding", b"gzip"))
                connection.sendall(headers + http2.frame(http2.DATA, broken, http2.END_STREAM, number))
            for _ in numbers:
                next(ended)
    with Client(server.target) as client:
        assert client.list_models()[0].name == "tiny"
    log = server.stop()
    assert "ERROR" not in log
    assert "Traceback" not in log


async def echo(context: Context) -> None:
    context.finish(await context.read() or b"")


def test_a_burst_is_answered_and_the_front_stops(caplog: pytest.LogCaptureFixture) -> None:
    burst = 2 * front._REQUESTED
    all_are_here = asyncio.Barrier(burst)

    async def wait_and_echo(context: Context) -> None:
        await all_are_here.wait()
        await echo(context)

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        calls = (unary(channel, "Echo")(bytes([number]), timeout=60) for number in range(burst))
        assert await asyncio.gather(*calls) == [bytes([number]) for number in range(burst)]

    play_front(scenario, {"Echo": wait_and_echo})
    assert not [record for record in caplog.records if record.name.startswith(("serving", "grpc", "asyncio"))]


def test_a_refusal_that_fails_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(CallAdmission):
        def refuse(self, context: Context) -> Never:
            raise RuntimeError("admission broke")

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        for method in ("Unknown", "Echo"):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await unary(channel, method)(b"", timeout=60)
            assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.INTERNAL, "the server failed")

    play_front(scenario, {"Echo": echo}, Broken(None, 0, Calls(), CallTally()))
    assert caplog.text.count("RuntimeError: admission broke") == 2
    assert "beginning to answer /a.Service/Echo failed. This is a bug." in caplog.text
    assert "never retrieved" not in caplog.text


def test_an_answer_that_fails_ends_its_own_call_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(context: Context) -> None:
        raise RuntimeError("the answer broke")

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await unary(channel, "Fail")(b"", timeout=60)
        assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.INTERNAL, "the server failed")
        assert await unary(channel, "Echo")(b"after", timeout=60) == b"after"

    play_front(scenario, {"Fail": fail, "Echo": echo})
    assert "answering /a.Service/Fail failed. This is a bug." in caplog.text
    assert "RuntimeError: the answer broke" in caplog.text


def test_who_does_not_end_in_time_is_cancelled_when_the_front_stops() -> None:
    ends = list[str]()

    async def hang(context: Context) -> None:
        ends.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async def scenario(channel: grpc.aio.Channel, served: Front) -> None:
        hanging = asyncio.ensure_future(unary(channel, "Hang")(b"", timeout=60))
        await eventually(lambda: ends)
        await asyncio.wait_for(served.stop(0.01), 60)
        with pytest.raises(grpc.aio.AioRpcError):
            await hanging
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await unary(channel, "Hang")(b"", timeout=60)
        assert gone.value.code() == grpc.StatusCode.UNAVAILABLE

    play_front(scenario, {"Hang": hang}, stops=False)
    assert ends == ["begun", "cancelled"]


def test_a_port_that_is_taken_is_an_error() -> None:
    async def scenario(channel: grpc.aio.Channel, served: Front) -> None:
        port = served.add_port("127.0.0.1:0", None)
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            Front(CallAdmission(None, 0, Calls(), CallTally()), {}, [("grpc.so_reuseport", 0)], print).add_port(
                f"127.0.0.1:{port}", None
            )

    play_front(scenario, {})
