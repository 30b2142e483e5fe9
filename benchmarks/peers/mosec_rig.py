"""mosec: an HTTP server in Rust before a Python worker, and how it is asked: bytes of float32 there and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.counters import free_port
from benchmarks.h2load import Request
from benchmarks.harness import Server
from benchmarks.peers.dialects import Dialect, Peer, ask_http
from benchmarks.peers.environments import RUNTIME, environment
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows
from benchmarks.peers.processes import running

WHEEL = "mosec==0.9.8"
TIMEOUT_MILLISECONDS = 20_000  # the default, three seconds, would refuse calls on a busy machine


@contextmanager
def start(graph: Graph, work: Path) -> Iterator[Server]:
    """Serves a decoder with one worker."""
    directory = work / "mosec"
    python = environment(directory / "environment", WHEEL, RUNTIME)
    port = free_port()
    command = [str(python), "-m", "benchmarks.peers.mosec_server", "--address", "127.0.0.1", "--port", str(port)]
    command += ["--timeout", str(TIMEOUT_MILLISECONDS), "--log-level", "warning"]
    variables = {"DECODER": str(graph.file), "LATENT_SIZE": str(graph.latent_size)}
    one = np.zeros((1, graph.latent_size), np.float32)
    with running(command, port, directory / "log", variables, lambda server: DIALECT.decode(server, one)) as server:
        yield server


def request_of(latent: Rows) -> Request:
    """Returns the call that decodes latents."""
    return Request("/inference", latent.tobytes(), ("--h1", "-H", "content-type: application/octet-stream"), 0)


def values_of(reply: bytes) -> Rows:
    """Returns the values of a reply."""
    return np.frombuffer(reply, "<f4")


DIALECT = Dialect(request_of, ask_http, values_of)
MOSEC = Peer("mosec", start, DIALECT)
