"""How a server is asked, and what it answers."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import grpc

from benchmarks.calls import ANY_SIZE
from benchmarks.h2load import FRAME_BYTES, Request
from benchmarks.harness import Server
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows

TIMEOUT_SECONDS = 60


class Dialect(NamedTuple):
    """What one kind of server understands."""

    request: Callable[[Rows], Request]
    """Returns the request that decodes latents."""
    ask: Callable[[Server, Request], bytes]
    """Sends it once and returns the reply, without what differs from call to call."""
    values: Callable[[bytes], Rows]
    """Returns all values of such a reply, each row's channels first."""

    def decode(self, server: Server, latent: Rows) -> Rows:
        """Decodes latents and returns all values."""
        return self.values(self.ask(server, self.request(latent)))


class Peer(NamedTuple):
    """A kind of server."""

    name: str
    start: Callable[[Graph, Path], AbstractContextManager[Server]]
    """Serves a decoder on the server's core, with a directory to work in; raises MissingPeer if it cannot be had."""
    dialect: Dialect


def ask_grpc(server: Server, request: Request) -> bytes:
    """Returns the reply of a unary gRPC call."""
    with grpc.insecure_channel(server.target, options=ANY_SIZE) as channel:
        method = channel.unary_unary(request.path, request_serializer=bytes, response_deserializer=bytes)
        return method(request.body[FRAME_BYTES:], timeout=TIMEOUT_SECONDS)


def ask_http(server: Server, request: Request) -> bytes:
    """Returns the body that answers a POST.

    Raises:
        OSError: the server refuses it.
    """
    connection = HTTPConnection(server.target, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", request.path, request.body)
        response = connection.getresponse()
        if response.status != 200:
            raise OSError(f"{request.path} answered {response.status} {response.reason}")
        return response.read()
    finally:
        connection.close()
