"""A server's answers beside ONNX Runtime's."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from benchmarks.harness import Server
from benchmarks.peers.dialects import Dialect
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Decoder

ROWS, CALLERS = 64, 16
TOLERANCE = 1e-5


def difference(server: Server, dialect: Dialect, graph: Graph) -> float:
    """Returns the largest difference from ONNX Runtime's answers, of one large call and of small ones at once.

    Raises:
        SystemExit: it is too large, or not a number.
    """
    latent = np.random.default_rng(1).normal(size=(ROWS, graph.latent_size)).astype(np.float32)
    expected = Decoder(graph.file).run(latent).ravel()
    ask = partial(dialect.decode, server)
    with ThreadPoolExecutor(CALLERS) as pool:
        small = list(pool.map(ask, np.split(latent, ROWS)))
    largest = max(float(np.abs(answer - expected).max()) for answer in (ask(latent), np.concatenate(small)))
    if not largest <= TOLERANCE:
        raise SystemExit(f"its answers differ from ONNX Runtime's by {largest:.2g}")
    return largest
