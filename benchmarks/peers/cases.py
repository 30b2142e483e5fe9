"""Which calls are compared, and their loads."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.harness import Side
from benchmarks.limits import MINIMAL, looped
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows
from benchmarks.peers.served import Served

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


def latent_of(graph: Graph, rows: int) -> Rows:
    """Returns the latents that every call of a case decodes."""
    return np.random.default_rng(0).normal(size=(rows, graph.latent_size)).astype(np.float32)


def sides_of(case: Case, graph: Graph, servers: Mapping[str, Served], least: Served, seconds: float) -> dict[str, Side]:
    """Returns the servers of a case, and what bounds them: a minimal server for small calls, a bare loop for large.

    Args:
        case: the case.
        graph: its decoder.
        servers: the servers, by name.
        least: a minimal server that answers one row.
        seconds: about how long one load takes.
    """
    latent = latent_of(graph, case.rows)
    sides: dict[str, Side] = {
        name: partial(served.load, latent, case.callers, seconds) for name, served in servers.items()
    }
    if case.rows == 1:
        sides[LEAST] = partial(least.load, latent, case.callers, seconds)
    else:
        sides[BARE] = partial(looped, "benchmarks.peers.bare", graph.file, graph.latent_size, case.rows, seconds)
    return sides
