"""Limits of connections, seen as frames of HTTP/2 where gRPC's own client would hide them."""

import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.http2 import GOAWAY, PING, SETTINGS, connect, frame, frames
from tests.support.servers import StartServer
from vaeserve import Client
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

_MAX_CONCURRENT_STREAMS = 3
_ACKNOWLEDGED = 1


def _last_words(connection: socket.socket) -> bytes:
    """Returns why the server says goodbye."""
    return next(payload[8:] for kind, _, payload in frames(connection) if kind == GOAWAY)


def test_a_connection_is_told_how_many_calls_it_may_make(start_server: StartServer) -> None:
    server = start_server("--connection-calls", "3")
    with connect(server) as connection:
        payload = next(payload for kind, flags, payload in frames(connection) if kind == SETTINGS and not flags)
    assert dict(struct.iter_unpack(">HI", payload))[_MAX_CONCURRENT_STREAMS] == 3


def test_a_call_past_the_limit_waits_in_the_caller(start_server: StartServer) -> None:
    server = start_server("--connection-calls", "2")
    with grpc.insecure_channel(server.target) as channel, Client(server.target) as other:
        watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in watches:
            next(watch)
        call = VaeServiceStub(channel).Sample.future(pb.SampleRequest(count=1, seed=5))
        assert other.sample(1, seed=6).seed == 6  # another connection is free
        assert not call.done()
        watches[0].cancel()
        assert call.result(60).seed == 5
        watches[1].cancel()


def test_an_old_connection_is_closed_and_its_caller_goes_on(start_server: StartServer) -> None:
    server = start_server("--connection-age-seconds", "0.2")
    with connect(server) as connection:
        assert _last_words(connection) == b"max_age"
    with Client(server.target) as client, ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            assert client.sample(1, seed=0).seed == 0  # from here on its connection is no younger than the next one
            with connect(server) as connection:
                closing = pool.submit(_last_words, connection)
                seed = 0
                while not closing.done():
                    seed += 1
                    assert client.sample(1, seed=seed).seed == seed
                assert closing.result() == b"max_age"


def test_an_idle_connection_is_closed(start_server: StartServer) -> None:
    server = start_server("--connection-idle-seconds", "0.2")
    with connect(server) as connection:
        assert _last_words(connection) == b"connection idle"


def test_who_pings_too_often_is_cut_off(start_server: StartServer) -> None:
    server = start_server("--client-ping-seconds", "60")
    with connect(server) as connection:
        connection.sendall(frame(PING, bytes(8)) * 5)
        assert _last_words(connection) == b"too_many_pings"


def test_who_may_ping_is_not(start_server: StartServer) -> None:
    server = start_server("--client-ping-seconds", "0", "--connection-idle-seconds", "0.5")
    with connect(server) as connection:
        connection.sendall(frame(PING, bytes(8)) * 5)
        assert _last_words(connection) == b"connection idle"


@pytest.mark.parametrize("answers", [True, False])
def test_a_silent_peer_is_asked_and_dropped(start_server: StartServer, answers: bool) -> None:
    server = start_server("--keepalive-seconds", "0.2", "--keepalive-timeout-seconds", "3" if answers else "0.2")
    asked = 0
    with connect(server) as connection:
        for kind, flags, payload in frames(connection):
            if kind == PING and flags != _ACKNOWLEDGED:
                asked += 1
                if answers and asked < 5:
                    connection.sendall(frame(PING, payload).replace(bytes([PING, 0]), bytes([PING, 1]), 1))
    assert asked >= (5 if answers else 1)
