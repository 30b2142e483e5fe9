"""Which calls are compared, and their loads: every caller has a connection of its own."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.h2load import repeat
from benchmarks.harness import Server, Side
from benchmarks.limits import MINIMAL, looped
from benchmarks.peers.dialects import Dialect
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows
from benchmarks.peers.ours import OURS

BARE, LEAST = "session.run", MINIMAL["uvloop"]


class Case(NamedTuple):
    """Calls of one kind."""

    model: str
    rows: int
    """Rows of each call."""
    callers: int

    def __str__(self) -> str:
        return f"{self.model}, {self.rows}-row calls, {self.callers} in flight"


LONE, BUSY, BULK = Case("mlp", 1, 1), Case("mlp", 1, 64), Case("mlp", 64, 1)
BUSY_CONV, BULK_CONV = Case("conv", 1, 64), Case("conv", 64, 1)
CASES = (LONE, Case("mlp", 1, 16), BUSY, BULK, Case("conv", 1, 1), BUSY_CONV, BULK_CONV)


class Running(NamedTuple):
    """A running server, and how it is asked."""

    server: Server
    dialect: Dialect


def latent_of(graph: Graph, rows: int) -> Rows:
    """Returns the latents that every call of a case decodes."""
    return np.random.default_rng(0).normal(size=(rows, graph.latent_size)).astype(np.float32)


def sides_of(
    case: Case, graph: Graph, servers: Mapping[str, Running], least: Server, seconds: float
) -> dict[str, Side]:
    """Returns the servers of a case, and what bounds them: a minimal server for small calls, a bare loop for large.

    Args:
        case: the case.
        graph: its decoder.
        servers: the servers, by name.
        least: a minimal server that answers one row.
        seconds: about how long one load takes.
    """
    latent = latent_of(graph, case.rows)
    sides = {name: load_of(running, latent, case.callers, seconds) for name, running in servers.items()}
    if case.rows == 1:
        sides[LEAST] = load_of(Running(least, OURS.dialect), latent, case.callers, seconds)
    else:
        sides[BARE] = partial(looped, "benchmarks.peers.bare", graph.file, graph.latent_size, case.rows, seconds)
    return sides


def load_of(running: Running, latent: Rows, callers: int, seconds: float) -> Side:
    """Returns a load of a server."""
    server, dialect = running
    request = dialect.request(latent)
    ask = partial(dialect.ask, server, request)
    return partial(repeat, server, request, ask, callers=callers, seconds=seconds, connections=callers)
