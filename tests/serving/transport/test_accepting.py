"""Calls are taken over several at a time, and as gRPC does it where grpcio is made of other parts."""

import asyncio

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs do not have it

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.transport import accepting
from serving.transport.accepting import AcceptingServer, server_class
from serving.transport.admission import CallAdmission
from serving.transport.methods import Methods, known_methods_only

BURST = 8


@pytest.fixture(params=["several", "one"])
def at_a_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "one":
        monkeypatch.setitem(accepting._PARTS, "_handle_rpc", ["other", "parameters"])
    return str(request.param)


def test_the_version_of_grpcio_that_is_installed_has_the_parts() -> None:
    assert server_class() is AcceptingServer


def test_a_burst_is_answered_and_the_server_stops(at_a_time: str, caplog: pytest.LogCaptureFixture) -> None:
    all_are_here = asyncio.Barrier(BURST)

    async def answer(request: bytes, _context: object) -> bytes:
        await all_are_here.wait()
        return request

    async def call() -> list[bytes]:
        server = known_methods_only(CallAdmission(None, 0, Calls(), CallTally()), [], lambda: None)
        Methods(server).add("a.Service", {"Echo": grpc.unary_unary_rpc_method_handler(answer)})
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            echo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/a.Service/Echo")
            replies = await asyncio.gather(*(echo(bytes([number]), timeout=20) for number in range(BURST)))
        await asyncio.wait_for(server.stop(0), 20)
        return replies

    assert (server_class() is cygrpc.AioServer) is (at_a_time == "one")
    assert asyncio.run(call()) == [bytes([number]) for number in range(BURST)]
    assert not [record for record in caplog.records if record.name.startswith(("serving", "grpc", "asyncio"))]


def test_a_loop_that_fails_is_told_to_the_server(caplog: pytest.LogCaptureFixture) -> None:
    broken = asyncio.Event()

    async def start() -> None:
        server = known_methods_only(CallAdmission(None, 0, Calls(), CallTally()), [], broken.set)

        async def fail(_method: bytes | None) -> None:
            raise RuntimeError("no more calls")

        server._server._request = fail  # type: ignore[attr-defined]  # grpc.aio's server has gRPC's in it
        server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await asyncio.wait_for(broken.wait(), 20)

    asyncio.run(start())
    assert "gRPC takes no more calls" in caplog.text
