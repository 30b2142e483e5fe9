from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.h2load import Request
from benchmarks.harness import Load, Server
from benchmarks.peers.dialects import Dialect, Peer
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows
from benchmarks.peers.served import Served

GRAPH = Graph(Path(), 2, (2,))
LOAD = Load(1.0, 1.0, 1.0, 1.0, 0.0)


class Fragile:
    """Servers with numbers, of which some have ended."""

    def __init__(self) -> None:
        self.ended = set[int]()
        self.log: list[str] = []

    @contextmanager
    def start(self, _: Graph, __: Path) -> Iterator[Server]:
        number = len([line for line in self.log if line.startswith("start")])
        self.log.append(f"start {number}")
        yield Server("127.0.0.1:1", number, "")
        self.log.append(f"stop {number}")

    def ask(self, server: Server, request: Request) -> bytes:
        if server.pid in self.ended:
            raise ConnectionRefusedError
        return request.body

    def peer(self) -> Peer:
        def request(latent: Rows) -> Request:
            return Request("", latent.tobytes(), (), 0)

        return Peer("fragile", self.start, Dialect(request, self.ask, lambda reply: np.frombuffer(reply, np.float32)))


def test_a_server_that_ended_is_started_again_and_loaded_once_more(capsys: pytest.CaptureFixture[str]) -> None:
    fragile, seen = Fragile(), list[int]()
    with Served(fragile.peer(), GRAPH, Path()) as served:

        def load() -> Load:
            seen.append(served.server.pid)
            if served.server.pid == 0:
                fragile.ended.add(0)
                raise SystemExit("some were not answered")
            return LOAD

        assert served.once_more(load) == LOAD
    assert seen == [0, 1]
    assert fragile.log == ["start 0", "stop 0", "start 1", "stop 1"]
    assert capsys.readouterr().out == "!! fragile ended by itself and is started again\n"


def test_a_load_that_fails_while_the_server_answers_ends_the_run() -> None:
    def load() -> Load:
        raise SystemExit("the answer changed under load")

    with (
        Served(Fragile().peer(), GRAPH, Path()) as served,
        pytest.raises(SystemExit, match="the answer changed under load"),
    ):
        served.once_more(load)
