from pathlib import Path

import numpy as np
import pytest

from benchmarks.h2load import Request
from benchmarks.harness import Server
from benchmarks.peers import check
from benchmarks.peers.dialects import Dialect
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows

GRAPH = Graph(Path(), 2, (2,))
SERVER = Server("127.0.0.1:1", 1, "")


class Twice:
    """Stands for ONNX Runtime: doubles latents."""

    def __init__(self, _: Path) -> None:
        pass

    def run(self, latent: Rows) -> Rows:
        return 2 * latent


def dialect_of(added: float, small_only: bool = False) -> Dialect:
    """A server that doubles latents and adds something, maybe only to calls of one row."""

    def ask(_: Server, request: Request) -> bytes:
        latent = np.frombuffer(request.body, np.float32)
        error = np.float32(added if latent.size == 2 or not small_only else 0)
        return bytes((2 * latent + error).tobytes())

    return Dialect(lambda rows: Request("", rows.tobytes(), (), 0), ask, lambda reply: np.frombuffer(reply, np.float32))


@pytest.fixture(autouse=True)
def _without_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "Decoder", Twice)


def test_the_largest_difference_is_returned() -> None:
    assert check.difference(SERVER, dialect_of(0), GRAPH) == 0
    assert 0 < check.difference(SERVER, dialect_of(5e-6), GRAPH) < 1e-5


@pytest.mark.parametrize("dialect", [dialect_of(1e-4), dialect_of(1e-4, small_only=True), dialect_of(float("nan"))])
def test_other_answers_end_it(dialect: Dialect) -> None:
    with pytest.raises(SystemExit, match="its answers differ from ONNX Runtime's by"):
        check.difference(SERVER, dialect, GRAPH)
