"""A server of a decoder, which is started again if it has ended by itself.

Triton's Python backend did that on a busy machine, with an exception about a lock in shared memory.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from http.client import HTTPException
from pathlib import Path
from subprocess import CalledProcessError
from types import TracebackType
from typing import Self

import grpc
import numpy as np

from benchmarks.h2load import repeat
from benchmarks.harness import Load, Server
from benchmarks.peers.dialects import Peer
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows

FAILURES = (SystemExit, CalledProcessError, grpc.RpcError, OSError, HTTPException)


class Served:
    """A running server; as a context it stops it at the end."""

    server: Server

    def __init__(self, peer: Peer, graph: Graph, work: Path) -> None:
        self.dialect = peer.dialect
        self._name = peer.name
        self._one = np.zeros((1, graph.latent_size), np.float32)
        self._start = partial(peer.start, graph, work)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.server = self._stack.enter_context(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def load(self, latent: Rows, callers: int, seconds: float) -> Load:
        """Loads it with h2load; every caller has a connection of its own, and decodes the same latents."""
        request = self.dialect.request(latent)

        def load() -> Load:
            ask = partial(self.dialect.ask, self.server, request)
            return repeat(self.server, request, ask, callers=callers, seconds=seconds, connections=callers)

        return self.once_more(load)

    def once_more(self, load: Callable[[], Load]) -> Load:
        """Loads it; once more if that failed, and the server does not answer any longer."""
        try:
            return load()
        except FAILURES:
            if self._answers():
                raise
        print(f"!! {self._name} ended by itself and is started again", flush=True)
        self._stack.close()
        self.server = self._stack.enter_context(self._start())
        return load()

    def _answers(self) -> bool:
        try:
            self.dialect.decode(self.server, self._one)
        except FAILURES:
            return False
        return True
