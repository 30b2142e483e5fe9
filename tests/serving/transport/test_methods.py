"""Calls of methods that nobody serves, and metadata that is not text: answered, and kept out of the log."""

import asyncio
from typing import Any, Never

import grpc
import pytest

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.transport.admission import CallAdmission
from serving.transport.methods import known_methods_only
from tests.support import http2
from tests.support.servers import RunningServer, StartServer
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


def test_a_refusal_that_fails_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(CallAdmission):
        def service(self, handler_call_details: object) -> Never:
            raise RuntimeError("admission broke")

    async def call() -> grpc.aio.AioRpcError:
        admission = Broken(None, 0, Calls(), CallTally())
        server = known_methods_only(admission, [], lambda: None)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            unknown: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary("/vae.v1.VaeService/Unknown")
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await unknown(b"", timeout=20)
        await server.stop(0)
        return failed.value

    error = asyncio.run(call())
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "the server failed")
    [record] = [record for record in caplog.records if record.name.startswith("serving")]
    assert record.exc_info is not None
    assert "admission broke" in caplog.text
    assert "never retrieved" not in caplog.text
